// Package log is the plugin "log": it prints each job as one JSON line on
// standard output and calls it done. It is the handler to start with, and the
// smallest plugin to copy from.
//
//	worker run --handler '*=log'
//
// A line holds id, kind, queue, attempt and payload. A payload that is not JSON
// stands there as base64, beside its content_type. A line is one write, so that
// lines of jobs that run side by side never mix. If the line cannot be written
// the job has failed and is retried.
package log

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/wire"
)

func init() {
	framework.Register(framework.Plugin{
		Name:    "log",
		Summary: "prints each job as a JSON line on standard output",
		New:     func() any { return New(os.Stdout) },
	})
}

// Log is the plugin. It has no options.
type Log struct {
	mu  sync.Mutex
	out io.Writer
}

// New returns a Log that writes to out. It is safe for concurrent use even
// where out is not.
func New(out io.Writer) *Log { return &Log{out: out} }

type line struct {
	ID          string          `json:"id"`
	Kind        string          `json:"kind"`
	Queue       string          `json:"queue"`
	Attempt     int             `json:"attempt"`
	Payload     json.RawMessage `json:"payload"`
	ContentType string          `json:"content_type,omitempty"`
}

// Handle prints one job.
func (l *Log) Handle(_ context.Context, d *framework.Delivery) error {
	b, err := encode(d)
	if err != nil {
		return fmt.Errorf("log: write job %s as JSON: %w", d.ID, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(b); err != nil {
		return fmt.Errorf("log: write job %s: %w", d.ID, err)
	}
	return nil
}

// encode leaves <, > and & as they are: nobody reads this as HTML, and people
// read it as it stands.
func encode(d *framework.Delivery) ([]byte, error) {
	payload, contentType, err := asJSON(d)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(line{d.ID, d.Kind, d.Queue, d.Attempt, payload, contentType})
	return b.Bytes(), err
}

func asJSON(d *framework.Delivery) (payload json.RawMessage, contentType string, err error) {
	if d.ContentType != "" && d.ContentType != wire.JSON {
		payload, err = json.Marshal(d.Payload) // a []byte becomes base64
		return payload, d.ContentType, err
	}
	if len(d.Payload) == 0 {
		return json.RawMessage("null"), "", nil
	}
	return d.Payload, "", nil
}
