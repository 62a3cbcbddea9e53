package backendtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
)

var reapTests = []test{
	{"LeaseRunsOut", reapLeaseRunsOut},
	{"RenewedInBetween", reapRenewedInBetween},
	{"FrontOfTheLine", reapFrontOfTheLine},
	{"LostForGood", reapLostForGood},
	{"OnlyTheDead", reapOnlyTheDead},
	{"Grace", reapGrace},
	{"GraceEnds", reapGraceEnds},
	{"LargeHand", reapLargeHand},
	{"HalfWay", reapHalfWay},
	{"Idle", reapIdle},
	{"Twice", reapTwice},
	{"Renewed", reapRenewed},
}

// doomed is a worker that has taken max jobs and will not beat again; bury ends
// its lease.
func (r *rig) doomed(max int, alone bool) (*worker, []*backend.Delivery) {
	r.Helper()
	w := r.join(Options{})
	got, err := w.Take(r.Context(), max, alone)
	r.must(err)
	if len(got.Deliveries) != max {
		r.Fatalf("took %d jobs, want %d", len(got.Deliveries), max)
	}
	return w, got.Deliveries
}

// mortal is one with a short lease of its own. A machine so slow that the lease
// ends before the take gets another try.
func (r *rig) mortal(max int) (*worker, []*backend.Delivery) {
	r.Helper()
	for range 20 {
		w := r.join(Options{Lease: shortLease})
		got, err := w.Take(r.Context(), max, false)
		if errors.Is(err, backend.ErrLost) {
			continue
		}
		r.must(err)
		r.want("jobs taken", len(got.Deliveries), max)
		return w, got.Deliveries
	}
	r.Fatalf("20 times, a take did not come within %v of its beat", shortLease)
	return nil, nil
}

// bury ends the leases of the dead and beats until they are no workers any
// more; it returns how many of them this worker reaped.
func (w *worker) bury(dead ...*worker) (reaped int) {
	w.r.Helper()
	for _, d := range dead {
		w.r.overdueLease(d)
	}
	w.r.eventually("the dead are reaped", func() bool {
		reaped += w.beat().Reaped
		return !slices.ContainsFunc(dead, func(d *worker) bool { return w.r.isWorker(d) })
	})
	return reaped
}

// overdueLease lets a worker's lease end now, on the server's clock, so that
// nobody has to wait for it.
func (r *rig) overdueLease(w *worker) {
	r.Helper()
	r.must(r.h.Client.ZAddXX(r.Context(), r.h.Key(r.queue, "workers"), redis.Z{Score: 1, Member: w.id}).Err())
}

func (r *rig) isWorker(w *worker) bool {
	r.Helper()
	err := r.h.Client.ZScore(r.Context(), r.h.Key(r.queue, "workers"), w.id).Err()
	if errors.Is(err, redis.Nil) {
		return false
	}
	r.must(err)
	return true
}

// outlast waits until a worker's lease is over by the server's clock.
func (r *rig) outlast(w *worker) {
	r.Helper()
	end := r.serverTime().Add(shortLease + 5*time.Millisecond)
	r.eventually("a lease runs out", func() bool { return r.serverTime().After(end) })
	if !r.isWorker(w) {
		r.Fatal("somebody reaped the worker meanwhile")
	}
}

// A worker that stops beating is reaped when its lease is over, not before.
func reapLeaseRunsOut(r *rig) {
	w := r.join(Options{})
	r.enqueue(r.job())
	start := r.serverTime()
	dead, _ := r.mortal(1)
	r.eventually("the dead worker is reaped", func() bool { w.beat(); return !r.isWorker(dead) })
	if took := r.serverTime().Sub(start); took < shortLease {
		r.Errorf("reaped after %v of a lease of %v", took, shortLease)
	}
	w.done(w.one())
	r.holds(byState{}, 1)
}

// Who renews after another's beat saw that it was due, and before that one
// reaps it, keeps its jobs: looking and reaping may be two steps.
func reapRenewedInBetween(r *rig) {
	late, d := r.doomedOne()
	client := r.h.NewClient(r.T)
	client.AddHook(&between{after: 1, do: func() { late.beat() }})
	r.overdueLease(late)
	w := r.open(Options{Client: client})
	r.want("reaped", w.beat().Reaped, 0)
	late.done(d)
	r.holds(byState{}, 1)
}

func (r *rig) doomedOne() (*worker, *backend.Delivery) {
	r.Helper()
	r.enqueue(r.job())
	w, d := r.doomed(1, false)
	return w, d[0]
}

// A dead worker's jobs are back at the front, before all others, one delivery
// and one stall later.
func reapFrontOfTheLine(r *rig) {
	want := r.enqueue(r.jobs(5)...)
	dead, _ := r.doomed(3, false)
	w := r.join(Options{})
	r.want("workers reaped", w.bury(dead), 1)
	got := w.takeN(5)
	r.want("the dead one's jobs first", sorted(ids(got[:3])), sorted(want[:3]))
	r.want("then the rest", ids(got[3:]), want[3:])
	for _, d := range got[:3] {
		r.want("n, s, attempt", []any{d.N, d.S, d.Attempt}, []any{2, 1, 0})
	}
	r.want("recovered", r.counts().Recovered, 3)
}

// A reaped incarnation never comes back: every call answers ErrLost.
func reapLostForGood(r *rig) {
	r.enqueue(r.jobs(2)...)
	dead, d := r.doomed(1, false)
	w := r.join(Options{})
	w.bury(dead)
	before := r.snapshot()
	for range 2 {
		_, err := dead.Beat(r.Context())
		r.wantErr(err, backend.ErrLost)
		_, err = dead.Take(r.Context(), 1, false)
		r.wantErr(err, backend.ErrLost)
		dead.settle(backend.Lost, word(backend.Done, d[0]))
	}
	r.must(dead.Close(r.Context()))
	r.unchanged(before, "meta", "stats")
	r.want("left to take", len(w.takeN(2)), 2)
}

// Nobody whose lease lasts is reaped, and nothing of them is touched.
func reapOnlyTheDead(r *rig) {
	r.enqueue(r.jobs(2)...)
	alive := r.join(Options{})
	d := alive.takeN(1)
	dead, _ := r.doomed(1, false)
	w := r.join(Options{})
	r.want("workers reaped", w.bury(dead), 1)
	r.want("workers", w.beat().Workers, 2)
	alive.done(d...)
	w.done(w.one())
	r.holds(byState{}, 2)
}

// After an outage (nobody beat for half a lease) nobody is reaped for one
// lease: who comes first must not take the jobs of those who are about to beat.
// A machine so slow that a lease passes between two lines gets another try.
func reapGrace(r *rig) {
	for range 5 {
		if r.graceHolds() {
			return
		}
	}
	r.Fatalf("5 times, the second beat did not come within %v of the first", shortLease)
}

func (r *rig) graceHolds() bool {
	r.Helper()
	r.enqueue(r.jobs(2)...)
	a, held := r.mortal(2)
	r.outlast(a)
	first, start := r.open(Options{Lease: shortLease}), r.serverTime()
	p := first.beat()
	_, err := a.Beat(r.Context())
	if late := r.serverTime().Sub(start) >= shortLease; late && err != nil {
		first.bury(a)
		first.drain()
		return false
	}
	r.must(err)
	r.want("reaped by the first beat after the outage", p.Reaped, 0)
	r.want("workers alive at the first beat and now", []int{p.Workers, a.beat().Workers}, []int{1, 2})
	a.done(held...)
	return true
}

// The grace ends: who does not beat within it was dead.
func reapGraceEnds(r *rig) {
	want := r.enqueue(r.jobs(2)...)
	a, _ := r.mortal(2)
	r.outlast(a)
	w := r.join(Options{Lease: shortLease})
	r.eventually("the dead worker's jobs are back", func() bool {
		if _, err := w.Beat(r.Context()); errors.Is(err, backend.ErrLost) {
			w = r.join(Options{Lease: shortLease}) // a slow machine
		}
		return !r.isWorker(a)
	})
	fresh := r.join(Options{})
	r.want("jobs", sorted(ids(fresh.takeN(2))), sorted(want))
}

// A hand larger than what one script moves is put back whole.
func reapLargeHand(r *rig) {
	n := backend.MaxBatchJobs + 500
	want := r.enqueue(r.jobs(n)...)
	dead := r.join(Options{})
	held := dead.takeN(n)
	w := r.join(Options{})
	r.want("workers reaped", w.bury(dead), 1)
	dead.settle(backend.Lost, word(backend.Done, held[0]))
	r.holds(byState{backend.Ready: int64(n)}, 0)
	r.want("jobs", sorted(ids(w.takeN(n))), sorted(want))
}

// Where a hand is so large that one beat leaves a rest of it, its worker has no
// say meanwhile, and later beats bring the rest.
func reapHalfWay(r *rig) {
	const n = 25
	var want []string
	for range n {
		job := r.job()
		job.Envelope.Payload = []byte(`"` + strings.Repeat("x", backend.MaxSliceBytes) + `"`)
		want = append(want, r.enqueue(job)...)
	}
	dead, w := r.join(Options{}), r.join(Options{})
	held := dead.takeN(n)
	r.overdueLease(dead)
	w.beat()
	_, err := dead.Beat(r.Context())
	r.wantErr(err, backend.ErrLost)
	_, err = dead.Take(r.Context(), 1, false)
	r.wantErr(err, backend.ErrLost)
	dead.settle(backend.Lost, verdicts(backend.Done, held...)...)
	r.must(dead.Close(r.Context()))
	w.bury(dead)
	r.holds(byState{backend.Ready: n}, 0)
	got := w.takeN(n)
	r.want("jobs", sorted(ids(got)), sorted(want))
	for _, d := range got {
		r.want("n, s", []int64{d.N, d.S}, []int64{2, 1})
	}
}

// A worker that died with empty hands is struck off as well.
func reapIdle(r *rig) {
	dead := r.join(Options{})
	w := r.join(Options{})
	w.bury(dead)
	r.want("workers", w.beat().Workers, 1)
	_, err := dead.Beat(r.Context())
	r.wantErr(err, backend.ErrLost)
}

// Two workers who notice a death together put its jobs back once.
func reapTwice(r *rig) {
	r.enqueue(r.jobs(3)...)
	dead, _ := r.doomed(3, false)
	a, b := r.join(Options{}), r.join(Options{})
	r.overdueLease(dead)
	end := make(chan int)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for _, w := range []*worker{a, b} {
		go func() { // ends with the context at the latest; received below
			n := 0
			for ctx.Err() == nil && n == 0 {
				p, err := w.Beat(ctx)
				if err != nil || r.h.Client.ZScore(ctx, r.h.Key(r.queue, "workers"), dead.id).Err() != nil {
					end <- n + p.Reaped
					return
				}
				n += p.Reaped
			}
			end <- n
		}()
	}
	<-end
	<-end
	r.holds(byState{backend.Ready: 3}, 0)
	r.want("recovered", r.counts().Recovered, 3)
	for _, d := range a.takeN(3) {
		r.want("n, s", []int64{d.N, d.S}, []int64{2, 1})
	}
}

// Who beats in time lives on, long beyond its first lease, with its jobs.
func reapRenewed(r *rig) {
	r.enqueue(r.job())
	lease := 2 * time.Second
	a := r.join(Options{Lease: lease})
	d := a.one()
	w := r.join(Options{})
	end := r.serverTime().Add(lease + lease/4)
	r.eventually("more than a lease passes", func() bool {
		a.beat()
		r.want("reaped", w.beat().Reaped, 0)
		return r.serverTime().After(end)
	})
	a.done(d)
	r.holds(byState{}, 1)
}
