package moves

import (
	"strconv"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// Verdict is a settlement's verdict in the words of the scripts.
func Verdict(v backend.Verdict) string {
	return [...]string{
		backend.Done: "done", backend.Retry: "retry", backend.Snooze: "snooze",
		backend.Release: "release", backend.Dead: "dead", backend.Canceled: "cancel",
	}[v]
}

// Parked is the entry under which a settled job waits (retry, snooze) or is kept
// (dead); nil for the other verdicts. It stands for the next delivery, so n is
// one higher, and its stalls are forgiven: somebody lived to settle it.
func Parked(s backend.Settlement, now time.Time) []byte {
	d := s.Delivery
	switch s.Verdict {
	case backend.Retry, backend.Snooze, backend.Dead:
	default:
		return nil
	}
	e := d.Envelope
	if d.Bad != nil {
		if s.Verdict != backend.Dead {
			return rehead(d.Raw(), d.ID, d.N+1)
		}
		e = unreadable(d)
	}
	e.N, e.S = d.N+1, 0
	if s.Verdict == backend.Retry || s.Verdict == backend.Dead && s.Reason == "failed" {
		e.Attempt++
	}
	if s.Error != "" && s.Verdict != backend.Snooze {
		e.AddError(now, e.Attempt, s.Error)
	}
	if s.Verdict == backend.Dead {
		e.Reason, e.Ended = s.Reason, now
	}
	return e.Append(nil)
}

// rehead gives an entry that this version cannot read another number. Its other
// bytes are somebody's and stay.
func rehead(raw []byte, id string, n int64) []byte {
	_, _, _, rest, ok := wire.Head(raw)
	if !ok {
		return raw
	}
	head := `{"id":"` + id + `","n":` + strconv.FormatInt(n, 10) + `,"s":0`
	return append([]byte(head), raw[rest:]...)
}

// unreadable is the envelope in which an entry that cannot be read is kept: its
// bytes are the payload.
func unreadable(d *backend.Delivery) wire.Envelope {
	return wire.Envelope{ID: d.ID, V: wire.Version, Kind: "unreadable", ContentType: "application/octet-stream", Payload: d.Raw()}
}
