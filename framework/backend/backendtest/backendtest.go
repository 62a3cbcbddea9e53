// Package backendtest is the suite that every backend must pass: it tests what
// the comments of package backend promise, and nothing else. A backend runs it
// from a test of its own, once per kind of server:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, backendtest.Harness{…})
//	}
//
// Every check is a subtest with a stable name (Settle/PastOwner/retry), so that
// a mutation test can name the one that must fail. Each works on a queue of its
// own, all run in parallel, and none waits for a fixed time where it can wait
// for a condition.
package backendtest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
)

// Harness is what a backend brings to the suite. All fields are required except
// where said.
type Harness struct {
	// Client looks at raw keys. It is not the one that queues are opened on, but
	// may be.
	Client redis.UniversalClient
	// NewClient opens a further client of the same server, which the suite adds
	// hooks to.
	NewClient func(t testing.TB) redis.UniversalClient
	// Open returns the queue as one incarnation sees it. It must not beat.
	Open func(t testing.TB, queue string, o Options) backend.Queue
	// Key returns the raw key of a queue for a suffix of DESIGN's table: ready,
	// active:<incarnation>, producer:<id> …
	Key func(queue, suffix string) string
	// Push appends a raw entry as a foreign producer would.
	Push func(ctx context.Context, queue string, entry []byte) error
	// Touches names, for each method, the keys (suffixes, where <inc> and
	// <producer> stand for the caller's own ids, <dead> for a reaped
	// incarnation's) whose wrong type it must report. Methods: Enqueue, Take,
	// Settle, Beat, Reap, Promote, Close,
	// Cancel; Settle/retry, Settle/snooze,
	// Settle/dead and Settle/release for the keys of which a wrong type refuses
	// such a settlement alone.
	Touches map[string][]string
	// Full returns the same harness on a server of its own, and a function that
	// fills it (no write is allowed any more) and empties it again. Nil skips the
	// tests of a full server.
	Full func(t testing.TB) (Harness, func(full bool))
	// NoFull says why Full is nil.
	NoFull string
}

// Options of one opened queue.
type Options struct {
	Incarnation string                // of the worker; a fresh one for each
	Lease       time.Duration         // 300 ms to 1 min
	Client      redis.UniversalClient // nil = the harness' choice
}

// Run runs the suite as subtests of t.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Client == nil || h.NewClient == nil || h.Open == nil || h.Key == nil || h.Push == nil || len(h.Touches) == 0 {
		t.Fatal("backendtest: the harness lacks a required field")
	}
	for _, g := range []struct {
		name  string
		tests []test
	}{
		{"Enqueue", enqueueTests},
		{"Producer", producerTests},
		{"Take", takeTests},
		{"Junk", junkTests},
		{"Wait", waitTests},
		{"Settle", settleTests},
		{"Beat", beatTests},
		{"Reap", reapTests},
		{"Stall", stallTests},
		{"Ghost", ghostTests},
		{"Promote", promoteTests},
		{"Close", closeTests},
		{"Cancel", cancelTests},
		{"Pause", pauseTests},
		{"Inspect", inspectTests},
		{"WrongType", wrongTypeTests},
		{"Full", fullTests},
		{"Many", manyTests},
	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, x := range g.tests {
				t.Run(x.name, func(t *testing.T) {
					t.Parallel()
					x.run(newRig(t, h))
				})
			}
		})
	}
}

// test is one check. Its function opens with the guarantee that it checks.
type test struct {
	name string
	run  func(r *rig)
}
