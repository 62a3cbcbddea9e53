package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

const (
	shortLease = 300 * time.Millisecond // of workers that are to die
	longLease  = 30 * time.Second       // of workers that are to live, however slow the machine is
	patience   = 10 * time.Second       // for a condition that must come true
)

// rig is one queue for one test, with a producer.
type rig struct {
	*testing.T
	h          Harness
	queue      string
	producer   *worker
	producerID string
	number     int64 // of the last batch
	made       int   // jobs made so far: the payload of each is its number
	lastID     time.Time
}

func newRig(t *testing.T, h Harness) *rig {
	r := &rig{T: t, h: h, queue: "q" + strings.ToLower(newID()), producerID: newID()}
	r.producer = r.open(Options{})
	return r
}

// sub runs a further check on a queue of its own.
func (r *rig) sub(name string, run func(r *rig)) {
	r.Run(name, func(t *testing.T) {
		t.Parallel()
		run(newRig(t, r.h))
	})
}

func newID() string { return wire.NewID(time.Now()) }

// worker is one incarnation.
type worker struct {
	backend.Queue
	r  *rig
	id string
}

// open opens the queue without joining; zero options mean a fresh incarnation
// with a long lease.
func (r *rig) open(o Options) *worker {
	r.Helper()
	if o.Incarnation == "" {
		o.Incarnation = newID()
	}
	if o.Lease == 0 {
		o.Lease = longLease
	}
	w := &worker{r.h.Open(r.T, r.queue, o), r, o.Incarnation}
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = w.Close(ctx) // some tests left a key wrong-typed or the server full
	})
	return w
}

// join opens the queue and joins its workers.
func (r *rig) join(o Options) *worker {
	r.Helper()
	w := r.open(o)
	w.beat()
	return w
}

func (w *worker) beat() backend.Pulse {
	w.r.Helper()
	p, err := w.Beat(w.r.Context())
	w.r.must(err)
	return p
}

// take takes at most max jobs in one call.
func (w *worker) take(max int) []*backend.Delivery {
	w.r.Helper()
	got, err := w.Take(w.r.Context(), max, false)
	w.r.must(err)
	if len(got.Deliveries) > max {
		w.r.Fatalf("Take(%d) returned %d deliveries", max, len(got.Deliveries))
	}
	return got.Deliveries
}

// takeN takes exactly n jobs, in as many calls as that needs.
func (w *worker) takeN(n int) []*backend.Delivery {
	w.r.Helper()
	var got []*backend.Delivery
	for len(got) < n {
		more := w.take(n - len(got))
		if len(more) == 0 {
			w.r.Fatalf("the queue gave %d jobs, want %d", len(got), n)
		}
		got = append(got, more...)
	}
	return got
}

// one takes the only job that is to be taken.
func (w *worker) one() *backend.Delivery {
	w.r.Helper()
	got := w.take(100)
	if len(got) != 1 {
		w.r.Fatalf("took %d jobs, want 1: %v", len(got), ids(got))
	}
	return got[0]
}

func (w *worker) none() {
	w.r.Helper()
	if got := w.take(100); len(got) > 0 {
		w.r.Fatalf("took %v, want nothing", ids(got))
	}
}

// settle expects the same outcome for all.
func (w *worker) settle(want backend.OutcomeState, s ...backend.Settlement) {
	w.r.Helper()
	got, err := w.Settle(w.r.Context(), s)
	w.r.must(err)
	if len(got) != len(s) {
		w.r.Fatalf("%d outcomes for %d settlements", len(got), len(s))
	}
	for i, o := range got {
		if o.State != want {
			w.r.Fatalf("outcome %d of %d is %s (%v), want %s", i, len(got), stateName(o.State), o.Err, stateName(want))
		}
	}
}

func (w *worker) done(d ...*backend.Delivery) {
	w.r.Helper()
	w.settle(backend.Applied, verdicts(backend.Done, d...)...)
}

// verdicts gives the same verdict on several deliveries.
func verdicts(v backend.Verdict, d ...*backend.Delivery) []backend.Settlement {
	s := make([]backend.Settlement, len(d))
	for i := range d {
		s[i] = word(v, d[i])
	}
	return s
}

// word is a settlement with all that its verdict needs. What is parked is due
// in an hour.
func word(v backend.Verdict, d *backend.Delivery) backend.Settlement {
	s := backend.Settlement{Delivery: d, Verdict: v}
	switch v {
	case backend.Retry:
		s.Delay, s.Error = time.Hour, "boom"
	case backend.Snooze:
		s.Delay = time.Hour
	case backend.Dead:
		s.Reason, s.Error = "failed", "boom"
	}
	return s
}

var allVerdicts = []struct {
	name string
	v    backend.Verdict
}{
	{"done", backend.Done}, {"retry", backend.Retry}, {"snooze", backend.Snooze},
	{"release", backend.Release}, {"dead", backend.Dead}, {"canceled", backend.Canceled},
}

func stateName(s backend.OutcomeState) string {
	return [...]string{"applied", "already", "lost", "refused"}[s]
}

// job makes a job whose payload is its number. Ids grow, a millisecond each:
// within one, the ids of tests that run at the same time need not.
func (r *rig) job() backend.Job {
	r.made++
	now := time.Now()
	if !now.After(r.lastID) {
		now = r.lastID
	}
	r.lastID = now.Add(time.Millisecond)
	return backend.Job{Envelope: wire.Envelope{ID: wire.NewID(r.lastID), Kind: "test.kind", Payload: []byte(strconv.Itoa(r.made))}}
}

func (r *rig) jobs(n int) []backend.Job {
	jobs := make([]backend.Job, n)
	for i := range jobs {
		jobs[i] = r.job()
	}
	return jobs
}

// batch is the producer's next one. Calling it twice without enqueueing the
// first leaves a gap.
func (r *rig) batch(jobs ...backend.Job) backend.Batch {
	r.number++
	return backend.Batch{Producer: r.producerID, Number: r.number, Jobs: jobs}
}

// enqueue accepts jobs and returns their ids.
func (r *rig) enqueue(jobs ...backend.Job) []string {
	r.Helper()
	var got []string
	for chunk := range slices.Chunk(jobs, backend.MaxBatchJobs) {
		accepted, err := r.producer.Enqueue(r.Context(), r.batch(chunk...))
		r.must(err)
		for _, a := range accepted {
			got = append(got, a.ID)
		}
	}
	return got
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) wantErr(got, want error) {
	r.Helper()
	if !errors.Is(got, want) {
		r.Fatalf("error is %v, want %v", got, want)
	}
}

// want compares what fmt prints of two values.
func (r *rig) want(what string, got, want any) {
	r.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		r.Fatalf("%s: %s, want %s", what, g, w)
	}
}

// eventually calls check until it is true.
func (r *rig) eventually(what string, check func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); !check(); <-tick {
		if ctx.Err() != nil {
			r.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// ended is a context that has ended already.
func (r *rig) ended() context.Context {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	return ctx
}

func ids(d []*backend.Delivery) []string {
	out := make([]string, len(d))
	for i := range d {
		out[i] = d[i].ID
	}
	return out
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
