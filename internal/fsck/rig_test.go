package fsck_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/fsck"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

const emails = "emails"

// rig is a namespace with one queue in which jobs lie in every state.
type rig struct {
	t         testing.TB
	client    *redisclient.Client
	raw       redis.UniversalClient
	namespace string
	keys      keys.Queue
	worker    *queue.Queue // holds two jobs
	who       string
	batch     int64
	ids       []string
}

func newRig(t testing.TB, target redistest.Target) *rig {
	client, err := redisclient.Wrap(target.Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	r := &rig{t: t, client: client, raw: target.Client, namespace: redistest.Namespace(t)}
	r.keys = keys.For(r.namespace, emails, 0, 1)
	r.who = wire.NewID(time.Now())
	r.worker = r.open(r.who)
	r.do("SADD", keys.Queues(r.namespace), emails)
	r.fill()
	return r
}

// fill brings jobs into every state: 4 ready, 2 active, 1 retry, 1 dead, 2 scheduled.
func (r *rig) fill() {
	r.enqueue(8, 0)
	r.enqueue(2, time.Hour)
	ctx := r.t.Context()
	if _, err := r.worker.Beat(ctx); err != nil {
		r.t.Fatal(err)
	}
	got, err := r.worker.Take(ctx, 4, false)
	if err != nil || len(got.Deliveries) != 4 {
		r.t.Fatal(len(got.Deliveries), err)
	}
	_, err = r.worker.Settle(ctx, []backend.Settlement{
		{Delivery: got.Deliveries[0], Verdict: backend.Retry, Delay: time.Hour, Error: "no"},
		{Delivery: got.Deliveries[1], Verdict: backend.Dead, Reason: "failed", Error: "no"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) open(who string) *queue.Queue {
	return queue.New(r.client, queue.Options{Namespace: r.namespace, Queue: emails, Incarnation: who, Lease: time.Minute})
}

func (r *rig) enqueue(n int, in time.Duration) {
	r.t.Helper()
	r.batch++
	b := backend.Batch{Producer: r.who, Number: r.batch}
	for range n {
		id := wire.NewID(time.Now())
		r.ids = append(r.ids, id)
		b.Jobs = append(b.Jobs, backend.Job{Envelope: wire.Envelope{ID: id, V: 1, Kind: "k", Payload: []byte("null")}, In: in})
	}
	if _, err := r.worker.Enqueue(r.t.Context(), b); err != nil {
		r.t.Fatal(err)
	}
}

// do sends a raw command.
func (r *rig) do(args ...any) any {
	r.t.Helper()
	v, err := r.raw.Do(r.t.Context(), args...).Result()
	if err != nil {
		r.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// first is the first member of a sorted set, or the first entry of a list.
func (r *rig) first(command, key string) string {
	r.t.Helper()
	l, _ := r.do(command, key, 0, 0).([]any)
	if len(l) == 0 {
		r.t.Fatalf("%s is empty", key)
	}
	s, _ := l[0].(string)
	return s
}

// check looks and returns what kinds of damage there are.
func (r *rig) check(repair bool) fsck.Report {
	r.t.Helper()
	report, err := fsck.Run(r.t.Context(), r.client, fsck.Options{Namespace: r.namespace, Repair: repair})
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func kinds(r fsck.Report) []fsck.Kind {
	var all []fsck.Kind
	for _, f := range r.Findings {
		all = append(all, f.Kind)
	}
	slices.Sort(all)
	return all
}

// left is how many jobs end when everything that can be taken is worked off.
func (r *rig) drain() (ids []string) {
	r.t.Helper()
	ctx := context.WithoutCancel(r.t.Context())
	q := r.open(wire.NewID(time.Now()))
	defer q.Close(ctx)
	for range 100 {
		if _, err := q.Beat(ctx); err != nil {
			r.t.Fatal(err)
		}
		got, err := q.Take(ctx, 100, true)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(got.Deliveries) == 0 {
			return ids
		}
		for _, d := range got.Deliveries {
			ids = append(ids, d.ID)
			if _, err := q.Settle(ctx, []backend.Settlement{{Delivery: d, Verdict: backend.Done}}); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.t.Fatal("the queue does not end")
	return nil
}
