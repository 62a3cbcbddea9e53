package backendtest

import (
	"context"
	"strings"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var closeTests = []test{
	{"Releases", closeReleases},
	{"Twice", closeTwice},
	{"LostReply", closeLostReply},
	{"NeverJoined", closeNeverJoined},
	{"Ends", closeEnds},
	{"EndsAWait", closeEndsAWait},
	{"LeavesNothing", closeLeavesNothing},
	{"LargeHand", closeLargeHand},
	{"EndedContext", closeEndedContext},
}

// Close gives back what is held: to the front, in order, with nothing counted,
// and the worker is no worker any more.
func closeReleases(r *rig) {
	want := r.enqueue(r.jobs(5)...)
	other, w := r.join(Options{}), r.join(Options{})
	w.takeN(3)
	r.must(w.Close(r.Context()))
	r.want("workers", other.beat().Workers, 1)
	got := other.takeN(5)
	r.want("order", ids(got), want)
	for _, d := range got[:3] {
		r.want("n, s, attempt", []any{d.N, d.S, d.Attempt}, []any{2, 0, 0})
	}
	r.want("recovered", r.counts().Recovered, 0)
}

// A second Close does nothing, also not to others.
func closeTwice(r *rig) {
	r.enqueue(r.job())
	other, w := r.join(Options{}), r.join(Options{})
	w.takeN(1)
	r.must(w.Close(r.Context()))
	d := other.one()
	before := r.snapshot()
	r.must(w.Close(r.Context()))
	r.unchanged(before)
	other.done(d)
}

// A Close whose reply was lost can be called again.
func closeLostReply(r *rig) {
	client, lose := r.lossy()
	r.enqueue(r.jobs(2)...)
	w := r.join(Options{Client: client})
	w.takeN(2)
	lose()
	if err := w.Close(r.Context()); err == nil {
		r.Fatal("the reply was lost and Close reports success")
	}
	r.must(w.Close(r.Context()))
	r.holds(byState{backend.Ready: 2}, 0)
	for _, d := range r.join(Options{}).takeN(2) {
		r.want("n, s", []int64{d.N, d.S}, []int64{2, 0})
	}
}

// A producer's Queue closes without a trace.
func closeNeverJoined(r *rig) {
	r.enqueue(r.job())
	before := r.snapshot()
	r.must(r.open(Options{}).Close(r.Context()))
	r.unchanged(before)
}

// After Close the value holds nothing and gets nothing.
func closeEnds(r *rig) {
	r.enqueue(r.jobs(2)...)
	other, w := r.join(Options{}), r.join(Options{})
	d := w.takeN(1)
	r.must(w.Close(r.Context()))
	before := r.snapshot()
	if _, err := w.Take(r.Context(), 1, false); err == nil {
		r.Error("Take after Close: no error")
	}
	if _, err := w.Beat(r.Context()); err == nil {
		r.Error("Beat after Close: no error")
	}
	if got, err := w.Settle(r.Context(), verdicts(backend.Done, d...)); err == nil && got[0].State != backend.Lost {
		r.Errorf("Settle after Close: %s", stateName(got[0].State))
	}
	r.unchanged(before, "meta", "stats")
	r.want("left to take", len(other.takeN(2)), 2)
}

// Close ends a Wait that runs.
func closeEndsAWait(r *rig) {
	w := r.join(Options{})
	end := w.waiting(r.Context(), 2*patience)
	r.must(w.Close(r.Context()))
	_ = r.within(end) // with an error or none: it is over
}

// A queue that was drained keeps no key but its meta and the producers', which
// expire.
func closeLeavesNothing(r *rig) {
	r.enqueue(r.jobs(20)...)
	r.push("junk-that-is-removed-below")
	r.overdue(patience)
	a, b := r.join(Options{}), r.join(Options{})
	end := b.waiting(r.Context(), 0)
	a.promote(10)
	for _, d := range b.take(5) {
		b.settle(backend.Applied, word(backend.Release, d))
	}
	for _, w := range []*worker{a, b} {
		w.beat()
		w.drain()
	}
	r.must(r.within(end))
	a.beat()
	a.drain()
	r.forgetDead()
	r.must(a.Close(r.Context()))
	r.must(b.Close(r.Context()))
	for _, key := range r.keys() {
		suffix := strings.TrimPrefix(key, r.h.Key(r.queue, ""))
		if suffix == "meta" || strings.HasPrefix(suffix, "stats:") {
			continue
		}
		if strings.HasPrefix(suffix, "producer:") {
			if ttl := r.h.Client.PTTL(r.Context(), key).Val(); ttl <= 0 || ttl > 2*time.Minute {
				r.Errorf("%s expires in %v, want at most 2m", key, ttl)
			}
			continue
		}
		r.Errorf("%s is left: %s", key, r.dump(key))
	}
}

// forgetDead removes the dead jobs by hand: keeping them is what they are for.
func (r *rig) forgetDead() {
	r.Helper()
	dead, err := r.inspector().List(r.Context(), backend.DeadState, 0, 100)
	r.must(err)
	r.want("dead jobs", len(dead), 1)
	r.must(r.h.Client.HDel(r.Context(), r.h.Key(r.queue, "parked"), dead[0].ID).Err())
	r.must(r.h.Client.Del(r.Context(), r.h.Key(r.queue, "dead")).Err())
}

// A hand larger than one script moves is released whole.
func closeLargeHand(r *rig) {
	n := backend.MaxBatchJobs + 500
	want := r.enqueue(r.jobs(n)...)
	w := r.join(Options{})
	w.takeN(n)
	r.must(w.Close(r.Context()))
	r.holds(byState{backend.Ready: int64(n)}, 0)
	r.want("order", ids(r.join(Options{}).takeN(n)), want)
}

// A context that has ended is the error; Close can be called again.
func closeEndedContext(r *rig) {
	w, _ := r.held()
	r.wantErr(w.Close(r.ended()), context.Canceled)
	r.must(w.Close(r.Context()))
	r.holds(byState{backend.Ready: 1}, 0)
}
