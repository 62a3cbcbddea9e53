package engine

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// rig is a running engine over fakes.
type rig struct {
	*Engine
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// drive starts an engine. The caller ends it with stop, or waits for done.
func drive(t *testing.T, c Config, queues ...*server) *rig {
	t.Helper()
	for _, s := range queues {
		named := slices.IndexFunc(c.Queues, func(q Queue) bool { return q.Name == s.name })
		if named < 0 {
			c.Queues = append(c.Queues, Queue{Name: s.name})
			named = len(c.Queues) - 1
		}
		c.Queues[named].Open = s.open
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{Engine: New(c), t: t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = r.Run(ctx)
	}()
	return r
}

// stop ends the engine and checks that the end was clean.
func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	<-r.done
	if r.err != nil {
		r.t.Errorf("Run: %v", r.err)
	}
}

// nothingHeld checks that every job is in the line or settled, and nobody holds any.
func (s *server) nothingHeld(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for inc, hand := range s.hands {
		for k := range hand {
			t.Errorf("queue %s: incarnation %d still holds %s", s.name, inc, k)
		}
	}
	if len(s.leases) > 0 {
		t.Errorf("queue %s: %d incarnations never left", s.name, len(s.leases))
	}
}

func done(context.Context, *backend.Delivery) backend.Settlement {
	return backend.Settlement{Verdict: backend.Done}
}

// lasting runs for d, or until its context ends: then it releases.
func lasting(d time.Duration) func(context.Context, *backend.Delivery) backend.Settlement {
	return func(ctx context.Context, _ *backend.Delivery) backend.Settlement {
		if rest(ctx, nil, d) {
			return backend.Settlement{Verdict: backend.Done}
		}
		return backend.Settlement{Verdict: backend.Release}
	}
}
