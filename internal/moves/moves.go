// Package moves holds what list and stream queues have in common: the Lua
// fragments that both include, and the moves of a job's life that are the same
// wherever its queue keeps what is ready. Every move is one script in one slot.
package moves

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/script"
)

//go:embed lua/*.lua
var embedded embed.FS

// Fragments are the Lua files that a backend's scripts may include.
var Fragments = script.Files(embedded)

var (
	promoteScript = script.New("promote.lua", Fragments)
	cancelScript  = script.New("cancel.lua", Fragments)
)

// tombstoneTTL is how long the order to cancel a job that was found nowhere is remembered.
const tombstoneTTL = 24 * time.Hour

// Site is where a partition's moves happen.
type Site struct {
	Client    redis.UniversalClient
	Namespace string
	Queue     string
	Keys      keys.Queue
}

// Promote makes due jobs ready; see backend.Queue.
func (s Site) Promote(ctx context.Context, max int) (time.Duration, error) {
	k := s.Keys
	v, err := promoteScript.Run(ctx, s.Client, []string{k.Scheduled, k.Retry, k.Parked, k.Ready},
		min(max, backend.MaxBatchJobs), backend.MaxSliceBytes)
	if err != nil {
		return 0, s.Wrap("promote", err)
	}
	next, err := Int(v, 1)
	if err != nil {
		return 0, s.Wrap("promote", err)
	}
	return Millis(next), nil
}

// Cancel ends a job by its id; see backend.Control.
func (s Site) Cancel(ctx context.Context, id string) error {
	k := s.Keys
	_, err := cancelScript.Run(ctx, s.Client, []string{k.Meta, k.Scheduled, k.Retry, k.Dead, k.Parked, k.Cancelled},
		id, tombstoneTTL.Milliseconds(), s.Channel(), s.Queue)
	return s.Wrap("cancel job "+id, err)
}

// Pause stops or resumes the queue's deliveries; see backend.Control. The hint
// that follows it saves the workers a second.
func (s Site) Pause(ctx context.Context, on bool) error {
	word, order := "resume ", s.Client.HDel(ctx, s.Keys.Meta, "paused").Err
	if on {
		word, order = "pause ", s.Client.HSet(ctx, s.Keys.Meta, "paused", "1").Err
	}
	if err := order(); err != nil {
		return s.Wrap(strings.TrimSpace(word), err)
	}
	_ = s.Client.Publish(ctx, s.Channel(), word+s.Queue).Err() // a hint: the truth is in meta
	return nil
}

// Channel is the control channel of the site's namespace.
func (s Site) Channel() string { return keys.Control(s.Namespace) }

var byPrefix = []struct {
	prefix string
	err    error
}{
	{"LOST", backend.ErrLost},
	{"LATE", backend.ErrLate},
	{"PAUSED", backend.ErrPaused},
	{"STALE", backend.ErrStale},
	{"GAP", backend.ErrGap},
	{"BACKEND", backend.ErrWrongBackend},
	{"WRONGTYPE", backend.ErrWrongType},
	{"OOM", backend.ErrFull},
}

// Wrap names the operation and the queue, and gives a script's error the value
// of package backend that callers look for. A nil stays nil.
func (s Site) Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, p := range byPrefix {
		if redis.HasErrorPrefix(err, p.prefix) {
			detail := strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ERR "), p.prefix))
			return fmt.Errorf("%s, queue %s: %w", op, s.Queue, &scriptError{kind: p.err, detail: detail})
		}
	}
	return fmt.Errorf("%s, queue %s: %w", op, s.Queue, err)
}

// scriptError is an error value of package backend with what the server said.
type scriptError struct {
	kind   error
	detail string
}

func (e *scriptError) Unwrap() error { return e.kind }

func (e *scriptError) Error() string {
	if e.detail == "" || errors.Is(e.kind, backend.ErrFull) {
		return e.kind.Error()
	}
	return e.kind.Error() + ": " + e.detail
}

// Refusal is the error behind a script's word that one settlement was refused.
func Refusal(word string) error {
	for _, p := range byPrefix {
		if rest, ok := strings.CutPrefix(word, p.prefix+" "); ok {
			return &scriptError{kind: p.err, detail: rest}
		}
	}
	return errors.New(word)
}

// Millis is a script's "ms until", where a negative number means never.
func Millis(ms int64) time.Duration {
	if ms < 0 {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// ErrReply: a script of ours answered in a shape that it never has. Another
// program may sit between us and the server.
var ErrReply = errors.New("unexpected reply")

// List reads a script's reply as a list of at least n values.
func List(v any, n int) ([]any, error) {
	l, ok := v.([]any)
	if !ok || len(l) < n {
		return nil, fmt.Errorf("%w: %.100v", ErrReply, v)
	}
	return l, nil
}

// Int reads the number at position i of a script's reply.
func Int(v any, i int) (int64, error) {
	l, err := List(v, i+1)
	if err != nil {
		return 0, err
	}
	n, ok := l[i].(int64)
	if !ok {
		return 0, fmt.Errorf("%w: %.100v", ErrReply, l[i])
	}
	return n, nil
}
