package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/backend/backendtest"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

// Who states that a queue is a list queue is refused by one of another backend,
// and nothing is enqueued; who states nothing takes what is there.
func TestStatedBackend(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		ctx, h := t.Context(), harness(t, target)
		if err := target.Client.HSet(ctx, h.Key("q", "meta"), "backend", "stream").Err(); err != nil {
			t.Fatal(err)
		}
		namespace := h.Key("", "")[:len(h.Key("", ""))-len(":{}:")]
		q := queue.New(wrap(t, target.NewClient(t)), queue.Options{Namespace: namespace, Queue: "q", State: true})
		id := wire.NewID(time.Now())
		_, err := q.Enqueue(ctx, backend.Batch{Producer: wire.NewID(time.Now()), Number: 1,
			Jobs: []backend.Job{{Envelope: wire.Envelope{ID: id, Kind: "test.kind"}}}})
		if !errors.Is(err, backend.ErrWrongBackend) {
			t.Fatalf("error is %v, want ErrWrongBackend", err)
		}
		if _, _, err := q.Show(ctx, id); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("the job that was refused: %v, want ErrNotFound", err)
		}
	})
}

// A server whose clock went back keeps nobody alive who is dead: deadlines of
// the future are cut to a lease from now.
func TestClockGoesBack(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		ctx, h := t.Context(), harness(t, target)
		open := func() (backend.Queue, string) {
			id := wire.NewID(time.Now())
			return h.Open(t, "q", backendtest.Options{Incarnation: id, Lease: 300 * time.Millisecond}), id
		}
		dead, deadID := open()
		if _, err := dead.Beat(ctx); err != nil {
			t.Fatal(err)
		}
		future := float64(time.Now().Add(time.Hour).UnixMilli())
		workers := h.Key("q", "workers")
		if err := target.Client.ZAdd(ctx, workers, redis.Z{Score: future, Member: deadID}, redis.Z{Score: future, Member: "@last"}).Err(); err != nil {
			t.Fatal(err)
		}
		alive, _ := open()
		limit := time.After(10 * time.Second)
		for tick := time.Tick(20 * time.Millisecond); target.Client.ZScore(ctx, workers, deadID).Err() == nil; {
			if _, err := alive.Beat(ctx); errors.Is(err, backend.ErrLost) {
				alive, _ = open() // a machine slower than the lease
			}
			select {
			case <-tick:
			case <-limit:
				t.Fatal("a worker that died before the clock went back is still alive after 10s")
			}
		}
	})
}
