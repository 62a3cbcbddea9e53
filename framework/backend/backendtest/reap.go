package backendtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
)

var reapTests = []test{
	{"FrontOfTheLine", reapFrontOfTheLine},
	{"LostForGood", reapLostForGood},
	{"OnlyTheDead", reapOnlyTheDead},
	{"Grace", reapGrace},
	{"GraceEnds", reapGraceEnds},
	{"LargeHand", reapLargeHand},
	{"Idle", reapIdle},
	{"Twice", reapTwice},
	{"Renewed", reapRenewed},
}

// doomed is a worker with a short lease that has taken max jobs and will not
// beat again. A machine so slow that the lease ends before the take gets
// another try.
func (r *rig) doomed(max int, alone bool) (*worker, []*backend.Delivery) {
	r.Helper()
	for range 20 {
		w := r.join(Options{Lease: shortLease})
		got, err := w.Take(r.Context(), max, alone)
		if errors.Is(err, backend.ErrLost) {
			continue
		}
		r.must(err)
		if len(got.Deliveries) != max {
			r.Fatalf("took %d jobs, want %d", len(got.Deliveries), max)
		}
		return w, got.Deliveries
	}
	r.Fatalf("20 times, a take did not come within %v of its beat", shortLease)
	return nil, nil
}

// bury beats until the dead are no workers any more; it returns how many of
// them this worker reaped.
func (w *worker) bury(dead ...*worker) (reaped int) {
	w.r.Helper()
	w.r.eventually("the dead are reaped", func() bool {
		reaped += w.beat().Reaped
		return !slices.ContainsFunc(dead, func(d *worker) bool { return w.r.isWorker(d) })
	})
	return reaped
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
func reapGrace(r *rig) {
	r.enqueue(r.jobs(2)...)
	a, held := r.doomed(2, false)
	r.outlast(a)
	began := time.Now()
	first := r.join(Options{Lease: shortLease})
	r.want("reaped by the first beat after the outage", first.beat().Reaped, 0)
	if _, err := a.Beat(r.Context()); err != nil {
		if !errors.Is(err, backend.ErrLost) || time.Since(began) < shortLease {
			r.Fatalf("the second worker after the outage: %v", err)
		}
		r.Skip("this machine was too slow to beat within a lease")
	}
	a.done(held...)
	r.holds(byState{}, 2)
}

// The grace ends: who does not beat within it was dead.
func reapGraceEnds(r *rig) {
	want := r.enqueue(r.jobs(2)...)
	a, _ := r.doomed(2, false)
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
	dead := r.join(Options{Lease: 5 * time.Second})
	held := dead.takeN(n)
	w := r.join(Options{})
	// Its lease is over now, on the server's clock: nobody has to wait for it.
	r.must(r.h.Client.ZAdd(r.Context(), r.h.Key(r.queue, "workers"), redis.Z{Score: 1, Member: dead.id}).Err())
	r.want("workers reaped", w.bury(dead), 1)
	dead.settle(backend.Lost, word(backend.Done, held[0]))
	r.holds(byState{backend.Ready: int64(n)}, 0)
	r.want("jobs", sorted(ids(w.takeN(n))), sorted(want))
}

// A worker that died with empty hands is struck off as well.
func reapIdle(r *rig) {
	dead := r.join(Options{Lease: shortLease})
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
