// Package wire is the format in which a job lies in Redis: the envelope, its
// id, and the canonical bytes that scripts rewrite by string alone. It imports
// nothing else of Colony. docs/wire-format.md is the specification, written so
// that a producer in any language can follow it.
package wire

import (
	"encoding/json"
	"time"
)

// Version is the format this package writes. It reads every version up to it.
const Version = 1

// DefaultMaxAttempts is the failure budget of a job that names none.
const DefaultMaxAttempts = 25

// JSON is the content type of a payload that stands in the envelope as JSON.
// It is the default and is not written.
const JSON = "application/json"

// Envelope is one job as it lies in Redis. The first three members are its
// head and stand first in the bytes, always: {"id":"…","n":1,"s":0,…
type Envelope struct {
	ID string // ULID, 26 characters; its time is when the job was enqueued
	N  int64  // number of the next (or present) delivery, from 1; the fence
	S  int64  // stalls: how many workers died holding the job since it was last settled

	V           int           // format version
	Kind        string        // what sort of job
	At          time.Time     // when it is (was) due; zero = at once. Millisecond precision
	Attempt     int           // failed attempts so far
	MaxAttempts int           // failure budget; 0 = DefaultMaxAttempts
	Timeout     time.Duration // of one run; 0 = none. Millisecond precision
	Headers     map[string]string
	ContentType string // of Payload; "" = JSON
	Payload     []byte // JSON text, or any bytes when ContentType says so (base64 in the entry)

	Reason string // of a dead job: failed, stalled, unreadable, rejected
	Ended  time.Time
	Errors []Error // newest last; see AddError

	Extra []Member // members that this version does not know, kept in their order
}

// Member is a member of an entry that is carried along unread.
type Member struct {
	Name string
	Raw  json.RawMessage
}
