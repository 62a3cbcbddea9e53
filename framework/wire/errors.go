package wire

import (
	"strings"
	"time"
	"unicode/utf8"
)

// MaxErrors is how many errors an envelope keeps: the first and the newest.
const MaxErrors = 10

// MaxErrorMessage is the greatest length of one, in bytes.
const MaxErrorMessage = 2 << 10

// Error is one entry of a job's error history.
type Error struct {
	At      time.Time
	Attempt int
	Message string
}

// AddError adds an error to the history, newest last. Beyond MaxErrors the
// second oldest go: the first one often tells the cause. A message is cut at
// MaxErrorMessage, on a rune boundary, and ends in … then; broken UTF-8 in it
// becomes U+FFFD. Copies of e made earlier do not see the new error.
func (e *Envelope) AddError(at time.Time, attempt int, message string) {
	old := e.Errors
	all := make([]Error, 0, min(len(old)+1, MaxErrors))
	if over := len(old) + 1 - MaxErrors; over > 0 {
		all = append(all, old[0])
		old = old[1+over:]
	}
	all = append(all, old...)
	e.Errors = append(all, Error{At: at, Attempt: attempt, Message: cutMessage(message)})
}

func cutMessage(m string) string {
	const mark = "…"
	valid := strings.ToValidUTF8(m[:min(len(m), 2*MaxErrorMessage)], "\uFFFD")
	if len(valid) <= MaxErrorMessage && len(m) <= 2*MaxErrorMessage {
		return valid
	}
	end := min(len(valid), MaxErrorMessage-len(mark))
	for end < len(valid) && !utf8.RuneStart(valid[end]) {
		end--
	}
	return valid[:end] + mark
}
