package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

// site is a queue on a real server, looked at by its raw keys.
type site struct {
	t         *testing.T
	raw       redis.UniversalClient
	client    *redisclient.Client
	namespace string
	keys      keys.Queue
	number    int64
}

func newSite(t *testing.T) *site {
	t.Parallel()
	raw := redistest.Shared(t).Client(t)
	namespace := redistest.Namespace(t)
	return &site{t: t, raw: raw, client: wrap(t, raw), namespace: namespace, keys: keys.For(namespace, "emails", 0, 1)}
}

// worker opens the queue under a fresh incarnation and joins.
func (s *site) worker(lease time.Duration) (*queue.Queue, string) {
	s.t.Helper()
	inc := wire.NewID(time.Now())
	q := queue.New(s.client, queue.Options{Namespace: s.namespace, Queue: "emails", Incarnation: inc, Lease: lease})
	s.beat(q)
	return q, inc
}

func (s *site) beat(q *queue.Queue) backend.Pulse {
	s.t.Helper()
	p, err := q.Beat(s.t.Context())
	if err != nil || p.Trouble != nil {
		s.t.Fatal(err, p.Trouble)
	}
	return p
}

// enqueue accepts n jobs with payloads of the size and returns their ids.
func (s *site) enqueue(q backend.Queue, n, size int, in time.Duration) (ids []string) {
	s.t.Helper()
	s.number++
	jobs := make([]backend.Job, n)
	for i := range jobs {
		id := wire.NewID(time.Now())
		jobs[i] = backend.Job{In: in, Envelope: wire.Envelope{ID: id, Kind: "k", Payload: []byte(`"` + fmt.Sprintf("%0*d", size, i) + `"`)}}
		ids = append(ids, id)
	}
	if _, err := q.Enqueue(s.t.Context(), backend.Batch{Producer: "p", Number: s.number, Jobs: jobs}); err != nil {
		s.t.Fatal(err)
	}
	return ids
}

func (s *site) take(q backend.Queue, n int) []*backend.Delivery {
	s.t.Helper()
	got, err := q.Take(s.t.Context(), n, false)
	if err != nil {
		s.t.Fatal(err)
	}
	return got.Deliveries
}

func (s *site) do(args ...any) any {
	s.t.Helper()
	v, err := s.raw.Do(s.t.Context(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatal(args, err)
	}
	return v
}

func (s *site) serverTime() int64 {
	now, err := s.raw.Time(context.WithoutCancel(s.t.Context())).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return now.UnixMilli()
}

// A queue that somebody declared to be of another kind refuses those who state
// this one, and serves those who state nothing.
func TestStatedBackend(t *testing.T) {
	s := newSite(t)
	s.do("HSET", s.keys.Meta, "backend", "other")
	stated := queue.New(s.client, queue.Options{Namespace: s.namespace, Queue: "emails", State: true})
	_, err := stated.Enqueue(t.Context(), backend.Batch{Producer: "p", Number: 1, Jobs: []backend.Job{{Envelope: wire.Envelope{ID: wire.NewID(time.Now()), Kind: "k"}}}})
	if !errors.Is(err, backend.ErrWrongBackend) {
		t.Fatalf("got %v", err)
	}
}

// The scripts and the Go reader agree on what a canonical head is: numbers as
// JSON has them. Else a job would be delivered that can never be settled.
func TestHeadLikeJSON(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	s.do("RPUSH", s.keys.Ready, `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":007,"s":0,"v":1,"kind":"k","payload":1}`)
	for _, d := range s.take(q, 10) {
		if d.ID == "" {
			t.Fatalf("delivered without an id: %s", d.Raw())
		}
		out, err := q.Settle(t.Context(), []backend.Settlement{{Delivery: d, Verdict: backend.Dead, Reason: "unreadable"}})
		if err != nil || out[0].State != backend.Applied {
			t.Fatal(out, err)
		}
	}
	if c, err := q.Counts(t.Context()); err != nil || c.Dead != 1 || c.Active != 0 {
		t.Fatalf("%+v %v", c, err)
	}
}

// Two entries of one id and number are one delivery, and the counters say so.
func TestTwinsAreOne(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	twin := `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","kind":"k","payload":1}`
	s.do("RPUSH", s.keys.Ready, twin, twin)
	if got := s.take(q, 10); len(got) != 1 {
		t.Fatalf("%d deliveries", len(got))
	}
	if c, err := q.Counts(t.Context()); err != nil || c.Enqueued-c.Ended != 1 || c.Active != 1 {
		t.Fatalf("%+v %v", c, err)
	}
}

// A hand that is too large for one call is put back in slices. Between two of
// them its owner is neither alive nor gone: it can't come back.
func TestHalfReaped(t *testing.T) {
	s := newSite(t)
	q, inc := s.worker(time.Minute)
	s.enqueue(q, 10, 100_000, 0)
	for len(s.take(q, 10)) > 0 {
	}
	s.do("ZADD", s.keys.Workers, 1, inc) // its lease ran out
	putback(t, s, inc)
	if left := s.do("HLEN", s.keys.Active(inc)).(int64); left == 0 || left == 10 {
		t.Fatalf("%d of 10 left after one slice", left)
	}
	if _, err := q.Beat(t.Context()); !errors.Is(err, backend.ErrLost) {
		t.Fatalf("came back while it was being reaped: %v", err)
	}
	other, _ := s.worker(time.Minute)
	s.beat(other)
	if s.do("EXISTS", s.keys.Active(inc)).(int64) != 0 || s.do("ZSCORE", s.keys.Workers, inc) != nil {
		t.Fatal("the rest was not put back")
	}
}

// putback sends the script once, as a reaper that dies after it would.
func putback(t *testing.T, s *site, inc string) {
	t.Helper()
	if _, err := queue.PutBackSlice(t.Context(), s.client, s.keys, inc); err != nil {
		t.Fatal(err)
	}
}

// Nobody is reaped whose lease runs, or while grace lasts, even if another beat
// has just said that it is due: renewals may come between.
func TestNotDue(t *testing.T) {
	s := newSite(t)
	q, inc := s.worker(time.Minute)
	s.enqueue(q, 1, 1, 0)
	s.take(q, 1)
	putback(t, s, inc)
	s.do("ZADD", s.keys.Workers, 1, inc, strconv.FormatInt(s.serverTime()+60_000, 10), "@grace")
	putback(t, s, inc)
	if n := s.do("HLEN", s.keys.Active(inc)).(int64); n != 1 {
		t.Fatal("reaped though not due")
	}
}

// A server clock that goes back makes no worker immortal: deadlines of the
// future are cut to one lease, after the grace that any jump grants.
func TestClockWentBack(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Second)
	hour := s.serverTime() + 3_600_000
	s.do("ZADD", s.keys.Workers, hour, "01DEAD", hour, "@last")
	s.beat(q)
	score, err := s.raw.ZScore(t.Context(), s.keys.Workers, "01DEAD").Result()
	if now := s.serverTime(); err != nil || int64(score) > now+1000 {
		t.Fatalf("its deadline is still %d ms ahead", int64(score)-now)
	}
}

// What a beat puts back from arrivals stands at the front in the old order.
func TestArrivalsKeepTheirOrder(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	ids := s.enqueue(q, 3, 1, 0)
	for range 2 {
		s.do("LMOVE", s.keys.Ready, s.keys.Arrivals, "LEFT", "RIGHT")
	}
	s.beat(q)
	if n := s.do("LLEN", s.keys.Arrivals).(int64); n != 0 {
		t.Fatalf("%d left in arrivals, where no idle worker is woken by them", n)
	}
	for i, d := range s.take(q, 3) {
		if d.ID != ids[i] {
			t.Fatalf("place %d: got %s, want %s", i, d.ID, ids[i])
		}
	}
}

// An id without an envelope (somebody deleted it) leaves the line, and those
// behind it become ready.
func TestPromoteWithoutEnvelope(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	s.do("ZADD", s.keys.Scheduled, 1, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	s.do("ZADD", s.keys.Retry, 2, "01ARZ3NDEKTSV4RRFFQ69G5FAW")
	s.do("HSET", s.keys.Parked, "01ARZ3NDEKTSV4RRFFQ69G5FAW", `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAW","n":2,"s":0,"v":1,"kind":"k","payload":1}`)
	if next, err := q.Promote(t.Context(), 10); err != nil || next >= 0 {
		t.Fatal(next, err)
	}
	if got := s.take(q, 10); len(got) != 1 || got[0].N != 2 {
		t.Fatalf("%d deliveries", len(got))
	}
	if s.do("EXISTS", s.keys.Parked).(int64) != 0 {
		t.Fatal("a promoted job is still parked")
	}
}

// Jobs without an id of their own get ids that nobody else has, however fast one
// take follows another: two jobs of one id are one job.
func TestForeignIDsDiffer(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	const n = 300
	for range n {
		if err := s.raw.RPush(t.Context(), s.keys.Ready, `{"kind":"k"}`).Err(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for range n {
		for _, d := range s.take(q, 1) {
			seen[d.ID] = true
		}
	}
	if len(seen) != n {
		t.Errorf("%d jobs have %d ids", n, len(seen))
	}
}

// A queue that was never waited on leaves nothing behind in its client, so that a
// program may look at queues for ever; and one that was closed waits no more.
func TestOnlyWaitingNeedsAWaiter(t *testing.T) {
	s := newSite(t)
	look := queue.New(s.client, queue.Options{Namespace: s.namespace, Queue: "emails"})
	s.enqueue(look, 1, 10, 0)
	if _, err := look.Counts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if queue.Waits(look) {
		t.Error("enqueueing and counting made a waiter")
	}
	q, _ := s.worker(time.Minute)
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Wait(t.Context(), time.Second); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("a closed queue waits: %v", err)
	}
}

// A counter that somebody overwrote stops no job and doubles none: what cannot be
// counted is not counted.
func TestJunkCounters(t *testing.T) {
	s := newSite(t)
	for _, counter := range []string{"enqueued", "ended", "processed", "failed"} {
		if err := s.raw.HSet(t.Context(), s.keys.Meta, counter, "many").Err(); err != nil {
			t.Fatal(err)
		}
	}
	q, _ := s.worker(time.Minute)
	s.enqueue(q, 2, 10, 0)
	got := s.take(q, 5)
	if len(got) != 2 {
		t.Fatalf("took %d jobs, want 2", len(got))
	}
	out, err := q.Settle(t.Context(), []backend.Settlement{
		{Delivery: got[0], Verdict: backend.Done}, {Delivery: got[1], Verdict: backend.Release},
	})
	if err != nil || out[0].State != backend.Applied || out[1].State != backend.Applied {
		t.Fatalf("settle: %+v, %v", out, err)
	}
	if c, err := q.Counts(t.Context()); err != nil || c.Ready != 1 || c.Active != 0 {
		t.Errorf("got %+v, %v, want one job, ready", c, err)
	}
}

// The order to cancel a job is remembered for as long as the job may be waiting,
// however long that is.
func TestTombstoneOutlivesTheLine(t *testing.T) {
	s := newSite(t)
	q, _ := s.worker(time.Minute)
	id := s.enqueue(q, 1, 1, 0)[0]
	if err := q.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.do("ZADD", s.keys.Cancelled, 1, id) // long ago
	s.beat(q)
	if got := s.take(q, 1); len(got) != 0 {
		t.Fatal("a cancelled job was delivered")
	}
	s.do("ZADD", s.keys.Cancelled, 1, id)
	s.beat(q)
	if s.do("EXISTS", s.keys.Cancelled).(int64) != 0 {
		t.Fatal("an expired tombstone stays although nothing waits")
	}
}

// A key of a wrong type stops what needs it and nothing else: the dead are reaped
// and the due are told of beside it.
func TestBeatBesideAWrongType(t *testing.T) {
	s := newSite(t)
	dead, inc := s.worker(time.Minute)
	s.enqueue(dead, 1, 1, 0)
	s.take(dead, 1)
	s.enqueue(dead, 1, 1, time.Hour)
	s.do("ZADD", s.keys.Workers, 1, inc)
	s.do("SET", s.keys.Retry, "wrong")
	other := queue.New(s.client, queue.Options{Namespace: s.namespace, Queue: "emails", Incarnation: wire.NewID(time.Now()), Lease: time.Minute})
	p, err := other.Beat(t.Context())
	if err != nil || !errors.Is(p.Trouble, backend.ErrWrongType) || p.Reaped != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := s.take(other, 1); len(got) != 1 {
		t.Fatal("the dead worker's job is not back")
	}
}
