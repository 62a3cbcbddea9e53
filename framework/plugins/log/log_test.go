package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/colonyq/colony/framework"
)

// A job is one line of JSON with exactly the promised members, and its payload
// comes out byte for byte: no digit lost, nothing escaped for HTML.
func TestLineHoldsTheJob(t *testing.T) {
	for name, c := range map[string]struct {
		d    framework.Delivery
		want string
	}{
		"json": {
			framework.Delivery{ID: "01A", Kind: "email.send", Queue: "emails", Attempt: 2, Payload: []byte(`{"n": 12345678901234567890, "to": "<a&b>"}`)},
			`{"id":"01A","kind":"email.send","queue":"emails","attempt":2,"payload":{"n":12345678901234567890,"to":"<a&b>"}}`,
		},
		"none": {
			framework.Delivery{ID: "01B", Kind: "k", Queue: "q", Attempt: 1},
			`{"id":"01B","kind":"k","queue":"q","attempt":1,"payload":null}`,
		},
		"bytes": {
			framework.Delivery{ID: "01C", Kind: "k", Queue: "q", Attempt: 1, ContentType: "image/png", Payload: []byte{0, 0xff, 0x80}},
			`{"id":"01C","kind":"k","queue":"q","attempt":1,"payload":"AP+A","content_type":"image/png"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := New(&out).Handle(t.Context(), &c.d); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

// Jobs that run side by side never mix their lines.
func TestLinesDoNotMix(t *testing.T) {
	var out bytes.Buffer
	l := New(&out)
	var g sync.WaitGroup
	for i := range 50 {
		g.Go(func() {
			payload := fmt.Sprintf(`"%0512d"`, i)
			if err := l.Handle(t.Context(), &framework.Delivery{ID: fmt.Sprint(i), Payload: []byte(payload)}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 50 {
		t.Fatalf("%d lines, want 50", len(lines))
	}
	for _, b := range lines {
		if !json.Valid(b) {
			t.Errorf("not a line of JSON: %s", b)
		}
	}
}

// A job whose line could not be written is not done.
func TestFailedWriteFailsTheJob(t *testing.T) {
	err := New(brokenWriter{}).Handle(t.Context(), &framework.Delivery{ID: "01A"})
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the error of the writer", err)
	}
}

var errBroken = errors.New("disk full")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
