package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewID returns a ULID for a job enqueued at t.
func NewID(t time.Time) string {
	var b [26]byte
	ms := uint64(t.UnixMilli())
	for i := 9; i >= 0; i-- {
		b[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := 10; i < 26; i++ {
		b[i] = crockford[rand.IntN(32)]
	}
	return string(b[:])
}

type provisional struct {
	ID          string            `json:"id"`
	N           int64             `json:"n"`
	S           int64             `json:"s"`
	V           int               `json:"v"`
	Kind        string            `json:"kind"`
	At          int64             `json:"at,omitempty"`
	Attempt     int               `json:"attempt,omitempty"`
	MaxAttempts int               `json:"max_attempts,omitempty"`
	Timeout     int64             `json:"timeout,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Payload     json.RawMessage   `json:"payload"`
	Reason      string            `json:"reason,omitempty"`
	Ended       int64             `json:"ended,omitempty"`
	Errors      []provisionalErr  `json:"errors,omitempty"`
}
type provisionalErr struct {
	At      int64  `json:"at"`
	Attempt int    `json:"attempt"`
	Error   string `json:"error"`
}

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Append appends the canonical bytes of e to dst.
func (e *Envelope) Append(dst []byte) []byte {
	p := provisional{e.ID, e.N, e.S, Version, e.Kind, ms(e.At), e.Attempt, e.MaxAttempts, e.Timeout.Milliseconds(), e.Headers, e.ContentType, e.Payload, e.Reason, ms(e.Ended), nil}
	if len(p.Payload) == 0 {
		p.Payload = []byte("null")
	}
	if e.ContentType != "" && e.ContentType != JSON {
		p.Payload, _ = json.Marshal(base64.StdEncoding.EncodeToString(e.Payload))
	}
	for _, x := range e.Errors {
		p.Errors = append(p.Errors, provisionalErr{ms(x.At), x.Attempt, x.Message})
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

// Parse reads an entry.
func Parse(b []byte) (Envelope, error) {
	var p provisional
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&p); err != nil {
		return Envelope{}, fmt.Errorf("unreadable entry: %w", err)
	}
	t := func(v int64) time.Time {
		if v == 0 {
			return time.Time{}
		}
		return time.UnixMilli(v)
	}
	e := Envelope{ID: p.ID, N: p.N, S: p.S, V: p.V, Kind: p.Kind, At: t(p.At), Attempt: p.Attempt, MaxAttempts: p.MaxAttempts,
		Timeout: time.Duration(p.Timeout) * time.Millisecond, Headers: p.Headers, ContentType: p.ContentType, Payload: p.Payload, Reason: p.Reason, Ended: t(p.Ended)}
	if e.ContentType != "" {
		var s string
		if err := json.Unmarshal(p.Payload, &s); err != nil {
			return Envelope{}, err
		}
		e.Payload, _ = base64.StdEncoding.DecodeString(s)
	}
	for _, x := range p.Errors {
		e.Errors = append(e.Errors, Error{t(x.At), x.Attempt, x.Error})
	}
	return e, nil
}

// Head reads the canonical head of an entry; rest is where the other members
// begin. ok is false when the entry is not canonical.
func Head(b []byte) (id string, n, s int64, rest int, ok bool) {
	const a = `{"id":"`
	if len(b) < len(a)+27 || string(b[:len(a)]) != a {
		return
	}
	id = string(b[len(a) : len(a)+26])
	t := string(b[len(a)+26:])
	if !strings.HasPrefix(t, `","n":`) {
		return
	}
	t = t[6:]
	i := strings.IndexByte(t, ',')
	if i < 0 || !strings.HasPrefix(t[i:], `,"s":`) {
		return
	}
	n, _ = strconv.ParseInt(t[:i], 10, 64)
	t = t[i+5:]
	i = strings.IndexAny(t, ",}")
	if i < 0 {
		return
	}
	s, _ = strconv.ParseInt(t[:i], 10, 64)
	return id, n, s, len(b) - len(t) + i, true
}
