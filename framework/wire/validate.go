package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Limits of an envelope that Validate keeps.
const (
	MaxPayload     = 16 << 20 // bytes of payload, before base64
	MaxHeaderBytes = 64 << 10 // bytes of all header names and values together
	MaxContentType = 255      // bytes
)

// Validate reports everything that forbids to enqueue e, joined into one
// error, each problem named by its member. An empty ID is allowed: whoever
// enqueues fills it in.
func (e *Envelope) Validate() error {
	var p problems
	if e.ID != "" && !ValidID(e.ID) {
		p.addf("id: must be a ULID (26 capital Crockford characters), got %.40q", e.ID)
	}
	if err := ValidName(e.Kind); err != nil {
		p.addf("kind: %w", err)
	}
	p.numbers(e)
	p.headers(e.Headers)
	p.payload(e)
	if n := len(e.Errors); n > MaxErrors {
		p.addf("errors: at most %d are kept, got %d: add them by AddError", MaxErrors, n)
	}
	p.extra(e.Extra)
	return errors.Join(p...)
}

type problems []error

func (p *problems) addf(format string, args ...any) {
	*p = append(*p, fmt.Errorf(format, args...))
}

func (p *problems) numbers(e *Envelope) {
	p.within("n", e.N, MaxInteger)
	p.within("s", e.S, MaxInteger)
	p.within("attempt", int64(e.Attempt), maxCount)
	p.within("max_attempts", int64(e.MaxAttempts), maxCount)
	if e.Timeout < 0 {
		p.addf("timeout: must not be negative, got %v", e.Timeout)
	}
	p.time("at", e.At)
	p.time("ended", e.Ended)
}

func (p *problems) within(name string, v, most int64) {
	if v < 0 {
		p.addf("%s: must not be negative, got %d", name, v)
	} else if v > most {
		p.addf("%s: must be at most %d, got %d", name, most, v)
	}
}

func (p *problems) time(name string, t time.Time) {
	if ms := millis(t); ms < 0 || ms > MaxInteger {
		p.addf("%s: must lie between 1970 and the year 33658, got %v", name, t)
	}
}

func (p *problems) headers(h map[string]string) {
	size := 0
	for k, v := range h {
		if size += len(k) + len(v); k == "" {
			p.addf("headers: a name is empty")
		}
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			p.addf("headers: %.40q is not valid UTF-8: encode bytes as text", k)
		}
	}
	if size > MaxHeaderBytes {
		p.addf("headers: together at most %d bytes, got %d: large things belong into the payload", MaxHeaderBytes, size)
	}
}

func (p *problems) payload(e *Envelope) {
	if len(e.Payload) > MaxPayload {
		p.addf("payload: at most %d bytes, got %d: store it elsewhere and enqueue its address", MaxPayload, len(e.Payload))
	}
	if !e.jsonPayload() {
		p.contentType(e.ContentType)
	} else if len(e.Payload) > 0 {
		p.json("payload", e.Payload, ": send JSON, or state a content type to send any bytes")
	}
}

func (p *problems) contentType(t string) {
	if len(t) > MaxContentType {
		p.addf("content_type: at most %d characters, got %d", MaxContentType, len(t))
	}
	for _, c := range []byte(t) {
		if c < ' ' || c > '~' {
			p.addf("content_type: must be printable ASCII, like application/octet-stream, got %.40q", t)
			return
		}
	}
}

// json adds a problem unless raw is JSON that can be embedded in an entry.
func (p *problems) json(name string, raw []byte, advice string) {
	switch {
	case !utf8.Valid(raw):
		p.addf("%s: is not valid UTF-8%s", name, advice)
	case validJSON(raw):
	case json.Valid(raw):
		p.addf("%s: is nested deeper than %d levels%s", name, MaxDepth, advice)
	default:
		p.addf("%s: is not valid JSON: %w%s", name, syntaxError(raw), advice)
	}
}

func syntaxError(raw []byte) error {
	var any json.RawMessage
	return json.Unmarshal(raw, &any)
}

func (p *problems) extra(extra []Member) {
	for _, m := range extra {
		switch {
		case memberOf([]byte(m.Name)) != unknown:
			p.addf("%s: has a field of its own in the envelope, don't pass it as an extra member", m.Name)
		case !utf8.ValidString(m.Name):
			p.addf("extra member %.40q: its name is not valid UTF-8", m.Name)
		case len(m.Raw) > 0:
			p.json(fmt.Sprintf("%.40s", m.Name), m.Raw, "")
		}
	}
}
