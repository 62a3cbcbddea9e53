package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// Config is what an Engine needs. Run and Queues are required; the zero value of
// every other field works.
type Config struct {
	// Concurrency is how many handlers run at a time. 0 = 20.
	Concurrency int
	// Lease is the one that the backends were opened with. 0 = 15 s.
	Lease time.Duration
	// ShutdownTimeout is how long handlers may go on once Run's context has
	// ended. 0 = 25 s.
	ShutdownTimeout time.Duration
	// Strict makes weights priorities: a queue is served only while every queue
	// of a higher weight is empty.
	Strict bool
	// Queues are the queues to serve, at least one.
	Queues []Queue

	// Run runs one delivery and says what became of it. It is called on a
	// goroutine of its own and returns when the handler has returned. It recovers
	// panics itself; one that escapes, or a runtime.Goexit, counts as a failure.
	// The cause of ctx is one of backend's ErrShutdown, ErrLeaseLost, ErrCanceled.
	// After ErrLeaseLost the answer is discarded, after ErrCanceled it is replaced
	// by backend.Canceled.
	Run func(ctx context.Context, d *backend.Delivery) backend.Settlement

	// Exited, when set, is asked for the word about a run that ended its goroutine
	// (runtime.Goexit) instead of returning, with what Run was called with. nil = a
	// retry after a second, or dead after the last attempt.
	Exited func(ctx context.Context, d *backend.Delivery) backend.Settlement

	// Drained, when set, is asked every 100 ms while the worker holds nothing and
	// every queue is waiting or paused. Once it answers true, Run ends as if its
	// context had, and returns the error that came with it. An error beside false
	// is logged and the question is asked again.
	Drained func(ctx context.Context) (bool, error)

	// OnPulse is given what each beat saw, on the beater's goroutine: it must not
	// block. q is the present incarnation of the queue.
	OnPulse func(queue string, q backend.Queue, p backend.Pulse)

	// Logger is where outages, losses and stubborn handlers are told. nil =
	// slog.Default().
	Logger *slog.Logger
}

// Queue is one queue to serve.
type Queue struct {
	Name string
	// Weight is the queue's share against the others', 1 to 1000. 0 = 1.
	Weight int
	// Open returns a Queue value under a fresh incarnation. It does no I/O. It is
	// called at the start and after each loss of the lease.
	Open func() backend.Queue
}

const maxWeight = 1000

func (c Config) withDefaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = 20
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = 25 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Queues = slices.Clone(c.Queues)
	for i := range c.Queues {
		if c.Queues[i].Weight == 0 {
			c.Queues[i].Weight = 1
		}
	}
	return c
}

// Validate joins everything that is wrong with c, each problem naming its field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Concurrency >= 1, "concurrency: must be at least 1, got %d", c.Concurrency)
	check(c.Lease > 0, "lease: must be positive, got %s", c.Lease)
	check(c.ShutdownTimeout > 0, "shutdown_timeout: must be positive, got %s", c.ShutdownTimeout)
	check(c.Run != nil, "run: is required")
	check(len(c.Queues) > 0, "queues: at least one is required")
	seen := make(map[string]bool)
	for _, q := range c.Queues {
		check(q.Weight >= 1 && q.Weight <= maxWeight, "queue %q: weight must be 1 to %d, got %d", q.Name, maxWeight, q.Weight)
		check(q.Open != nil, "queue %q: open is required", q.Name)
		check(!seen[q.Name], "queue %q: is named twice", q.Name)
		seen[q.Name] = true
	}
	return errors.Join(errs...)
}

// Periods and bounds that are not worth an option.
const (
	beatEvery    = time.Second            // at most; a third of the lease when that is shorter
	waitFor      = 5 * time.Second        // one Wait
	maxCall      = 5 * time.Second        // one call; a third of the lease when that is shorter
	stubborn     = 2 * time.Second        // for a handler whose context has ended at shutdown
	fullFor      = 50 * time.Millisecond  // full this long, a worker stops waiting on its queues
	slowTake     = 250 * time.Millisecond // a Take that takes longer holds no slots and no turn
	shortRun     = 5 * time.Millisecond   // jobs of a shorter mean are prefetched
	aheadFor     = 20 * time.Millisecond  // prefetch at most what starts within this time
	aheadTimes   = 3                      // and at most this many times the concurrency
	shedAfter    = time.Second            // what was prefetched and has not started by then goes back
	drainEvery   = 100 * time.Millisecond
	doubtBeats   = 3   // after a lost reply, beats that show all that it brought
	minUnsettled = 256 // results that may wait to be settled before a queue's takes pause, at least
)

func (c Config) beatInterval() time.Duration { return min(beatEvery, c.Lease/3) }

// callTimeout leaves room for two more tries within one lease.
func (c Config) callTimeout() time.Duration { return min(maxCall, c.Lease/3) }

func (c Config) maxUnsettled() int { return max(minUnsettled, 4*c.Concurrency) }
