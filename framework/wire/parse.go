package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrVersion: the entry is written in a version of the format that is newer
// than Version. The job may be a good one; a newer program can run it.
var ErrVersion = errors.New("entry has a newer format")

// maxTimeoutMillis is the longest timeout that a time.Duration holds, 292 years.
const maxTimeoutMillis = math.MaxInt64 / int64(time.Millisecond)

// maxCount is the greatest attempt, max_attempts and v.
const maxCount = math.MaxInt32

// Parse reads an entry: the canonical form, or any JSON object that says the
// same in other words (members in any order, white space, escapes, a member
// given twice, of which the first counts). A member that is absent or null
// keeps its default; only kind is required.
//
// Payload and the raw values in Extra may share memory with b: don't change b
// while the envelope is in use.
//
// The error names the member and what it must be. It wraps ErrVersion where the
// entry is newer than this program.
func Parse(b []byte) (Envelope, error) {
	if e, ok := parseFast(b); ok {
		return e, nil
	}
	return parseSlow(b)
}

// member is a member that this version knows.
type member uint8

const (
	unknown member = iota
	mID
	mN
	mS
	mV
	mKind
	mAt
	mAttempt
	mMaxAttempts
	mTimeout
	mHeaders
	mContentType
	mPayload
	mReason
	mEnded
	mErrors
)

func memberOf(name []byte) member {
	switch string(name) { // allocates nothing
	case "id":
		return mID
	case "n":
		return mN
	case "s":
		return mS
	case "v":
		return mV
	case "kind":
		return mKind
	case "at":
		return mAt
	case "attempt":
		return mAttempt
	case "max_attempts":
		return mMaxAttempts
	case "timeout":
		return mTimeout
	case "headers":
		return mHeaders
	case "content_type":
		return mContentType
	case "payload":
		return mPayload
	case "reason":
		return mReason
	case "ended":
		return mEnded
	case "errors":
		return mErrors
	}
	return unknown
}

// finish checks what can be checked only when all members are known, and puts
// the payload in its place; raw is nil when there was none.
func (e *Envelope) finish(raw []byte) error {
	if err := ValidName(e.Kind); err != nil {
		return fmt.Errorf("kind: %w", err)
	}
	if e.V == 0 {
		e.V = 1
	}
	if e.ContentType == JSON {
		e.ContentType = ""
	}
	if raw == nil {
		raw = []byte("null")
	}
	if e.ContentType == "" {
		e.Payload = raw
		return nil
	}
	return e.decodePayload(raw)
}

// decodePayload decodes a payload that is not JSON; null stands for no bytes.
func (e *Envelope) decodePayload(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	s := scanner{b: raw}
	text, ok := s.text()
	if !ok {
		return fmt.Errorf("payload: must be a base64 string, because content_type is %q", e.ContentType)
	}
	p := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(p, text)
	if err != nil {
		return fmt.Errorf("payload: must be standard base64 with padding, because content_type is %q: %w", e.ContentType, err)
	}
	if e.Payload = p[:n]; n == 0 {
		e.Payload = nil
	}
	return nil
}

// timeOf reads Unix milliseconds; 0 is no time.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
