package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// endless is a queue that always has jobs, and calls of which cost nothing.
type endless struct {
	backend.Queue
	n int64
}

func (q *endless) Take(_ context.Context, max int, _ bool) (t backend.Taken, err error) {
	t.Deliveries = make([]*backend.Delivery, max)
	for i := range t.Deliveries {
		q.n++
		t.Deliveries[i] = backend.NewDelivery("q", wire.Envelope{ID: "x", N: q.n}, nil, nil)
	}
	return t, nil
}

func (q *endless) Settle(_ context.Context, s []backend.Settlement) ([]backend.Outcome, error) {
	return make([]backend.Outcome, len(s)), nil
}

func (q *endless) Beat(context.Context) (backend.Pulse, error) {
	return backend.Pulse{Workers: 1, NextDue: -1}, nil
}

func (q *endless) Close(context.Context) error { return nil }

// BenchmarkDrain shows what the engine itself costs a job: handlers do nothing
// and calls cost nothing.
func BenchmarkDrain(b *testing.B) {
	for _, slots := range []int{16, 100} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			ctx, cancel := context.WithCancel(b.Context())
			e := New(Config{
				Concurrency: slots, Logger: slog.New(slog.DiscardHandler),
				Queues: []Queue{{Name: "q", Open: func() backend.Queue { return &endless{} }}},
				Run: func(context.Context, *backend.Delivery) backend.Settlement {
					if left.Add(-1) == 0 {
						cancel()
					}
					return backend.Settlement{Verdict: backend.Done}
				},
			})
			b.ReportAllocs()
			if err := e.Run(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}
