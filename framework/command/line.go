package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/colonyq/colony/framework"
)

// maxLineBytes bounds the memory that one line may take.
const maxLineBytes = 64 << 20

var errLineTooLong = fmt.Errorf("line is longer than %d MiB", maxLineBytes>>20)

// lineReader reads lines of any length up to maxLineBytes and counts them.
type lineReader struct {
	r      *bufio.Reader
	number int
	bytes  int64 // read so far
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next line that is not blank; it is good until the next call.
// io.EOF ends the file, errLineTooLong stands for one line only.
func (l *lineReader) next() ([]byte, error) {
	for {
		line, err := l.read()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

func (l *lineReader) read() ([]byte, error) {
	var line []byte
	var long error
	for {
		part, err := l.r.ReadSlice('\n')
		l.bytes += int64(len(part))
		if len(line)+len(part) > maxLineBytes {
			line, long = nil, errLineTooLong
		} else if long == nil {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !(errors.Is(err, io.EOF) && (len(line) > 0 || long != nil)) {
			return nil, err
		}
		l.number++
		return line, long
	}
}

// fileJob is one line of --file.
type fileJob struct {
	Kind        string            `json:"kind"`
	Payload     json.RawMessage   `json:"payload"`
	Queue       string            `json:"queue"`
	At          string            `json:"at"`
	In          string            `json:"in"`
	MaxAttempts *int              `json:"max_attempts"`
	Timeout     string            `json:"timeout"`
	Headers     map[string]string `json:"headers"`
}

// parseLine reads one line as a job, above the options that flags give.
func parseLine(line []byte, defaults []framework.JobOption) (framework.NewJob, error) {
	var f fileJob
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return framework.NewJob{}, lineError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return framework.NewJob{}, errors.New("more than one JSON object on the line")
	}
	if f.Kind == "" {
		return framework.NewJob{}, errors.New("kind is missing")
	}
	opts, err := f.options(defaults)
	if err != nil {
		return framework.NewJob{}, err
	}
	job := framework.NewRaw(f.Kind, f.Payload, opts...)
	return job, job.Err()
}

func (f *fileJob) options(defaults []framework.JobOption) ([]framework.JobOption, error) {
	opts := append(defaults[:len(defaults):len(defaults)], framework.Headers(f.Headers))
	if f.Queue != "" {
		opts = append(opts, framework.Queue(f.Queue))
	}
	if f.MaxAttempts != nil {
		opts = append(opts, framework.MaxAttempts(*f.MaxAttempts))
	}
	if f.At != "" && f.In != "" {
		return nil, errors.New("at and in exclude each other")
	}
	if f.At != "" {
		t, err := parseTime(f.At)
		if err != nil {
			return nil, fmt.Errorf("at: %w", err)
		}
		opts = append(opts, framework.At(t))
	}
	opts, err := addDuration(opts, "in", f.In, framework.In)
	if err != nil {
		return nil, err
	}
	return addDuration(opts, "timeout", f.Timeout, framework.Timeout)
}

func addDuration(opts []framework.JobOption, name, s string, option func(time.Duration) framework.JobOption) ([]framework.JobOption, error) {
	if s == "" {
		return opts, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%s: must be a duration such as 90s or 2h30m, got %q", name, s)
	}
	return append(opts, option(d)), nil
}

// lineError says what encoding/json found without naming its package or types.
func lineError(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s: must not be a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("must be a JSON object, got JSON %s", wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends too early (one job is one line)")
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return fmt.Errorf("unknown member %s; known are kind, payload, queue, at, in, max_attempts, timeout, headers", strings.TrimPrefix(err.Error(), "json: unknown field "))
	}
	return fmt.Errorf("not JSON: %w", err)
}
