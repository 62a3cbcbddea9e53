package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// parseSlow reads any entry by encoding/json. It is the reference for what an
// entry means, and words the errors.
func parseSlow(b []byte) (Envelope, error) {
	all, err := objectMembers(b)
	if err != nil {
		return Envelope{}, fmt.Errorf("entry: %w", err)
	}
	r := slowReader{known: map[string]json.RawMessage{}}
	for _, m := range all {
		if memberOf([]byte(m.Name)) == unknown {
			r.e.Extra = append(r.e.Extra, m)
		} else if _, twice := r.known[m.Name]; !twice {
			r.known[m.Name] = m.Raw
		}
	}
	r.read()
	if r.err != nil {
		return Envelope{}, r.err
	}
	if err := r.e.finish(r.known["payload"]); err != nil {
		return Envelope{}, err
	}
	return r.e, nil
}

// objectMembers takes a JSON object apart. Names are decoded, values are raw.
func objectMembers(b []byte) ([]Member, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	if b = bytes.TrimLeft(b, " \t\r\n"); b[0] != '{' {
		return nil, errors.New("must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var all []Member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := Member{Name: name.(string)} // valid JSON has strings here
		if err := d.Decode(&m.Raw); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// slowReader decodes the known members. It keeps the first error.
type slowReader struct {
	e     Envelope
	known map[string]json.RawMessage
	err   error
}

func (r *slowReader) read() {
	r.version() // first: what a newer version says, only that can judge
	e := &r.e
	if r.text("id", &e.ID); r.err == nil && e.ID != "" && !ValidID(e.ID) {
		r.fail("id", fmt.Sprintf("must be a ULID (26 capital Crockford characters), got %.40q", e.ID))
	}
	e.N = r.integer("n", MaxInteger)
	e.S = r.integer("s", MaxInteger)
	r.text("kind", &e.Kind)
	e.At = timeOf(r.integer("at", MaxInteger))
	e.Attempt = int(r.integer("attempt", maxCount))
	e.MaxAttempts = int(r.integer("max_attempts", maxCount))
	e.Timeout = time.Duration(r.integer("timeout", maxTimeoutMillis)) * time.Millisecond
	r.headers()
	r.text("content_type", &e.ContentType)
	r.text("reason", &e.Reason)
	e.Ended = timeOf(r.integer("ended", MaxInteger))
	r.errors()
}

func (r *slowReader) version() {
	v := r.integer("v", maxCount)
	_, given := r.value("v")
	switch {
	case r.err != nil:
	case v > Version:
		r.err = fmt.Errorf("v: %w: it is version %d, this program reads up to %d: run a newer one", ErrVersion, v, Version)
	case v == 0 && given:
		r.fail("v", "must be at least 1 (leave it out for 1)")
	}
	r.e.V = int(v)
}

// fail keeps the first problem.
func (r *slowReader) fail(member, problem string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", member, problem)
	}
}

// value returns the raw value of a member that is there and not null.
func (r *slowReader) value(name string) (raw json.RawMessage, ok bool) {
	raw, ok = r.known[name]
	return raw, ok && string(raw) != "null"
}

func (r *slowReader) text(name string, to *string) {
	if raw, ok := r.value(name); ok {
		*to = r.textValue(name, raw)
	}
}

func (r *slowReader) textValue(name string, raw json.RawMessage) (s string) {
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		r.fail(name, fmt.Sprintf("must be a string, got %.40s", raw))
	}
	return s
}

func (r *slowReader) integer(name string, most int64) int64 {
	raw, ok := r.value(name)
	if !ok {
		return 0
	}
	return r.integerValue(name, raw, most)
}

func (r *slowReader) integerValue(name string, raw json.RawMessage, most int64) int64 {
	v, end, ok := digits(raw, 0)
	switch {
	case ok && end == len(raw) && v <= most:
		return v
	case raw[0] == '-':
		r.fail(name, fmt.Sprintf("must not be negative, got %.40s", raw))
	case isDigits(raw):
		r.fail(name, fmt.Sprintf("must be at most %d, got %.40s", most, raw))
	default:
		r.fail(name, fmt.Sprintf("must be a whole number in plain digits, got %.40s", raw))
	}
	return 0
}

func isDigits(raw []byte) bool {
	return len(bytes.Trim(raw, "0123456789")) == 0
}

func (r *slowReader) headers() {
	raw, ok := r.value("headers")
	if !ok {
		return
	}
	all, err := objectMembers(raw)
	if err != nil {
		r.fail("headers", "must be an object of strings")
	}
	for _, m := range all {
		v := r.textValue("headers."+m.Name, m.Raw)
		if r.e.Headers == nil {
			r.e.Headers = make(map[string]string)
		}
		if _, twice := r.e.Headers[m.Name]; !twice {
			r.e.Headers[m.Name] = v
		}
	}
}

func (r *slowReader) errors() {
	raw, ok := r.value("errors")
	if !ok {
		return
	}
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		r.fail("errors", "must be an array of objects")
	}
	for i, raw := range all {
		r.e.Errors = append(r.e.Errors, r.error(fmt.Sprintf("errors[%d]", i), raw))
	}
}

// error reads one error of the history; what else its object holds is dropped.
func (r *slowReader) error(name string, raw json.RawMessage) (x Error) {
	all, err := objectMembers(raw)
	if err != nil {
		r.fail(name, "must be an object")
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.Name] || string(m.Raw) == "null" {
			seen[m.Name] = true
			continue
		}
		seen[m.Name] = true
		switch path := name + "." + m.Name; m.Name {
		case "at":
			x.At = timeOf(r.integerValue(path, m.Raw, MaxInteger))
		case "attempt":
			x.Attempt = int(r.integerValue(path, m.Raw, maxCount))
		case "error":
			x.Message = r.textValue(path, m.Raw)
		}
	}
	return x
}
