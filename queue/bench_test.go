package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

// The moves of a job's life in batches, from one goroutine: what a queue can do
// at most, with nothing above it.
func BenchmarkMoves(b *testing.B) {
	for _, batch := range []int{1, 20, 100} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { moves(b, batch) })
	}
}

func moves(b *testing.B, batch int) {
	ctx := context.Background()
	server := redistest.Standalone(b)
	client, err := redisclient.Wrap(server.Client(b))
	if err != nil {
		b.Fatal(err)
	}
	q := queue.New(client, queue.Options{Queue: "bench", Incarnation: wire.NewID(time.Now()), Lease: time.Minute})
	if _, err := q.Beat(ctx); err != nil {
		b.Fatal(err)
	}
	payload := []byte(`{"to":"ada@example.org","subject":"` + fmt.Sprintf("%060d", 7) + `"}`)
	var enqueue, take, settle time.Duration
	b.ResetTimer()
	for n := int64(1); n <= int64(b.N/batch+1); n++ {
		jobs := make([]backend.Job, batch)
		for i := range jobs {
			jobs[i].Envelope = wire.Envelope{ID: wire.NewID(time.Now()), Kind: "email.send", Payload: payload}
		}
		t0 := time.Now()
		if _, err := q.Enqueue(ctx, backend.Batch{Producer: "p", Number: n, Jobs: jobs}); err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		taken, err := q.Take(ctx, batch, false)
		if err != nil || len(taken.Deliveries) != batch {
			b.Fatal(len(taken.Deliveries), err)
		}
		t2 := time.Now()
		done := make([]backend.Settlement, batch)
		for i, d := range taken.Deliveries {
			done[i].Delivery = d
		}
		if _, err := q.Settle(ctx, done); err != nil {
			b.Fatal(err)
		}
		enqueue, take, settle = enqueue+t1.Sub(t0), take+t2.Sub(t1), settle+time.Since(t2)
	}
	for name, d := range map[string]time.Duration{"enqueue-ns/job": enqueue, "take-ns/job": take, "settle-ns/job": settle} {
		b.ReportMetric(float64(d.Nanoseconds())/float64(b.N), name)
	}
}
