package fsck_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/fsck"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

// A healthy queue has no findings, however busy it is: producers of both sorts,
// delayed jobs, workers that finish, fail, snooze, release and kill jobs, come,
// go, and die in the middle of it (their process ends, and nothing else is said).
// When it is quiet again the sum is still right.
func TestNoFalseAlarm(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		r := newRig(t, target)
		looks := 40
		if target.Name == "embedded" {
			looks = 10 // slow there
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var g errgroup.Group
		g.Go(func() error { return r.produce(ctx) })
		g.Go(func() error { return r.pushForeign(ctx) })
		for seed := range 3 {
			g.Go(func() error { return r.work(ctx, seed) })
		}
		for i := range looks {
			if found := r.check(i%2 == 1); len(found.Findings) > 0 || len(found.Skipped) > 0 {
				t.Errorf("look %d:\n%s", i, found)
				break
			}
		}
		stop()
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if found := r.check(false); !found.Clean() || found.Queues[0].Ended == 0 {
			t.Errorf("at the end:\n%s", found)
		}
		t.Log(r.check(false))
	})
}

// produce enqueues batches, with delayed jobs among them.
func (r *rig) produce(ctx context.Context) error {
	q := r.open("")
	id := wire.NewID(time.Now())
	for n := int64(1); ; n++ {
		b := backend.Batch{Producer: id, Number: n}
		for i := range 20 {
			job := backend.Job{Envelope: wire.Envelope{ID: wire.NewID(time.Now()), V: 1, Kind: "k", Payload: []byte("null")}}
			if i%4 == 0 {
				job.In = time.Duration(i) * 5 * time.Millisecond
			}
			b.Jobs = append(b.Jobs, job)
		}
		if _, err := q.Enqueue(ctx, b); err != nil {
			return notOver(ctx, err)
		}
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return nil
		}
	}
}

func (r *rig) pushForeign(ctx context.Context) error {
	for {
		if err := r.raw.RPush(ctx, r.keys.Ready, `{"kind":"k"}`, `junk`).Err(); err != nil {
			return notOver(ctx, err)
		}
		if err := rest(ctx, 10*time.Millisecond); err != nil {
			return nil
		}
	}
}

// work runs worker after worker, each for a while; every other one dies: it says
// nothing more, and its jobs are reaped by another.
func (r *rig) work(ctx context.Context, seed int) error {
	for life := seed; ctx.Err() == nil; life++ {
		q := queue.New(r.client, queue.Options{Namespace: r.namespace, Queue: emails, Incarnation: wire.NewID(time.Now()), Lease: 300 * time.Millisecond})
		for step := range 20 {
			if err := r.step(ctx, q, step); err != nil {
				return notOver(ctx, err)
			}
		}
		if life%2 == 0 {
			if err := q.Close(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) step(ctx context.Context, q *queue.Queue, step int) error {
	if _, err := q.Beat(ctx); err != nil {
		return err
	}
	if _, err := q.Promote(ctx, 100); err != nil {
		return err
	}
	got, err := q.Take(ctx, 30, step%3 == 0)
	if err != nil {
		return err
	}
	var words []backend.Settlement
	for i, d := range got.Deliveries {
		verdict := backend.Verdict((i + step) % 6)
		if i%7 == 6 {
			continue // stays in the hand
		}
		words = append(words, backend.Settlement{Delivery: d, Verdict: verdict, Delay: 20 * time.Millisecond, Error: "no", Reason: "failed"})
	}
	if _, err = q.Settle(ctx, words); err != nil {
		return err
	}
	return rest(ctx, 3*time.Millisecond)
}

// notOver is an error that is not the test's end.
func notOver(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, backend.ErrLost) || errors.Is(err, backend.ErrLate) {
		return nil
	}
	return err
}

// rest lets the others work: a load, not a wait.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While a job waits an old order to cancel may be for it: it stays, and is right.
func TestTombstoneOfWaitingJob(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		r := newRig(t, target)
		r.do("ZADD", r.keys.Cancelled, 1, r.ids[7])
		if found := r.check(true); !found.Clean() {
			t.Errorf("%s", found)
		}
		if got := r.drain(); len(got) != 3 {
			t.Errorf("%d jobs ran, want the 3 that were not cancelled", len(got))
		}
	})
}

// A queue whose workers all died, and one where nobody works yet, are as they
// should be: what lies in dead workers' hands is found by the next one.
func TestStoppedSystem(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		r := newRig(t, target)
		r.do("ZADD", r.keys.Workers, 1, r.who) // died long ago
		r.do("ZADD", r.keys.Workers, 1, "@last")
		r.do("ZADD", r.keys.Cancelled, 1, ulid) // expired, and nobody is there to remove it
		r.do("RPUSH", keys.For(r.namespace, "others/1", 0, 1).Ready, `{"kind":"k"}`)
		r.do("SADD", keys.Queues(r.namespace), "others", "never-used")
		found := r.check(true)
		if !found.Clean() || len(found.Queues) != 3 {
			t.Errorf("%s", found)
		}
	})
}

// Two that repair at once do what one does.
func TestRepairsMeet(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		r := newRig(t, target)
		r.do("ZREM", r.keys.Retry, r.first("ZRANGE", r.keys.Retry))
		r.do("ZADD", r.keys.Dead, 1, ulid)
		r.do("RPUSH", r.keys.Ready, r.first("LRANGE", r.keys.Ready))
		r.do("DEL", r.keys.Workers)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := fsck.Run(t.Context(), r.client, fsck.Options{Namespace: r.namespace, Repair: true}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if found := r.check(false); !found.Clean() {
			t.Errorf("%s", found)
		}
		if got := r.drain(); len(got) != 6 {
			t.Errorf("%d jobs ran, want 6", len(got))
		}
	})
}

// What cannot be asked is an error, not a clean report.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	r := newRig(t, redistest.Target{Client: s.Client(t)})
	s.Stop()
	if found, err := fsck.Check(t.Context(), r.client, r.namespace); err == nil {
		t.Errorf("a dead server is clean: %s", found)
	}
}
