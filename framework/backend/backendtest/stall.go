package backendtest

import (
	"github.com/colonyq/colony/framework/backend"
)

var stallTests = []test{
	{"First", stallFirst},
	{"Second", stallSecond},
	{"NotBesideOthers", stallNotBesideOthers},
	{"OnlyOneAtATime", stallOnlyOne},
	{"TooMany", stallTooMany},
	{"ChargesOnlyTheSuspect", stallChargesOnlyTheSuspect},
	{"Cleared", stallCleared},
	{"SuspectSettled", stallSuspectSettled},
	{"SuspectReleased", stallSuspectReleased},
}

// stalled is a queue whose only job, the one with this id, has outlived so many
// of its workers' deaths, and a worker that watched it.
func (r *rig) stalled(times int) (id string, w *worker) {
	r.Helper()
	id = r.enqueue(r.job())[0]
	w = r.join(Options{})
	w.stall(id, 0, times)
	return id, w
}

// stall lets workers die with a job in their hands until it has stalled so many
// times; the job must be the next one to take.
func (w *worker) stall(id string, from, to int) {
	w.r.Helper()
	for i := from; i < to; i++ {
		dead, d := w.r.doomed(1, i > 1)
		w.r.want("job", ids(d), []string{id})
		w.r.want("stalls so far", d[0].S, i)
		w.bury(dead)
	}
}

// The first stall costs nothing: the job runs again at once, beside others.
func stallFirst(r *rig) {
	id, w := r.stalled(1)
	r.enqueue(r.job())
	r.want("suspects", w.beat().Suspects, 0)
	got := w.takeN(2)
	r.want("the stalled job comes first", got[0].ID, id)
	r.want("n, s, attempt", []any{got[0].N, got[0].S, got[0].Attempt}, []any{2, 1, 0})
	w.done(got...)
	r.holds(byState{}, 2)
}

// The second stall makes it a suspect, which only a worker gets that holds
// nothing else, and says so.
func stallSecond(r *rig) {
	id, w := r.stalled(2)
	r.want("suspects", w.beat().Suspects, 1)
	r.holds(byState{backend.Suspect: 1}, 0)
	w.none()
	other := r.enqueue(r.job())[0]
	r.want("taken by a worker that may hold others", ids(w.take(10)), []string{other})

	alone := r.join(Options{})
	got, err := alone.Take(r.Context(), 10, true)
	r.must(err)
	r.want("taken alone", ids(got.Deliveries), []string{id})
	r.want("Suspect, n, s", []any{got.Suspect, got.Deliveries[0].N, got.Deliveries[0].S}, []any{true, 3, 2})
	r.want("suspects", w.beat().Suspects, 0)
}

// A worker that says alone and holds something here all the same gets no suspect.
func stallNotBesideOthers(r *rig) {
	_, w := r.stalled(2)
	r.enqueue(r.jobs(2)...)
	w.takeN(1)
	got, err := w.Take(r.Context(), 10, true)
	r.must(err)
	if got.Suspect {
		r.Fatal("a worker that holds a job got the suspect")
	}
	r.want("suspects", w.beat().Suspects, 1)
}

// Of several suspects one is delivered, and none of the others beside it.
func stallOnlyOne(r *rig) {
	r.enqueue(r.jobs(2)...)
	w := r.join(Options{})
	for range 2 {
		dead, _ := r.doomed(2, false)
		w.bury(dead)
	}
	r.want("suspects", w.beat().Suspects, 2)
	r.enqueue(r.job())
	for left := 1; left >= 0; left-- {
		got, err := w.Take(r.Context(), 10, true)
		r.must(err)
		r.want("taken alone", []any{len(got.Deliveries), got.Suspect}, []any{1, true})
		r.want("suspects left", w.beat().Suspects, left)
		w.done(got.Deliveries...)
	}
	w.done(w.one())
	r.holds(byState{}, 3)
}

// A job that outlived more than MaxStalls workers is dead, with the reason.
func stallTooMany(r *rig) {
	id, w := r.stalled(backend.MaxStalls)
	r.holds(byState{backend.Suspect: 1}, 0)
	w.stall(id, backend.MaxStalls, backend.MaxStalls+1)
	e, state := r.show(id)
	r.want("state, reason, attempt", []any{state, e.Reason, e.Attempt}, []any{backend.DeadState, "stalled", 0})
	if e.Ended.IsZero() {
		r.Error("nothing says when it ended")
	}
	r.holds(byState{backend.DeadState: 1}, 0)
}

// A death while holding a suspect charges only the suspect: what lies beside it
// is innocent.
func stallChargesOnlyTheSuspect(r *rig) {
	id, w := r.stalled(2)
	dead := r.join(Options{})
	got, err := dead.Take(r.Context(), 1, true)
	r.must(err)
	r.want("the suspect", ids(got.Deliveries), []string{id})
	r.enqueue(r.jobs(2)...)
	dead.takeN(2)
	r.overdueLease(dead)
	w.bury(dead)
	r.want("suspects", w.beat().Suspects, 1)
	for _, d := range w.takeN(2) {
		r.want("n, s of an innocent", []int64{d.N, d.S}, []int64{2, 0})
		w.done(d)
	}
	got, err = w.Take(r.Context(), 1, true)
	r.must(err)
	r.want("the suspect", []any{ids(got.Deliveries), got.Deliveries[0].S}, []any{[]string{id}, 3})
}

// Who was settled is no suspect any more: a retry or a snooze clears the stalls.
func stallCleared(r *rig) {
	for _, x := range allVerdicts {
		if x.v != backend.Retry && x.v != backend.Snooze {
			continue
		}
		r.sub(x.name, func(r *rig) {
			_, w := r.stalled(1)
			d := w.one()
			r.want("stalls", d.S, 1)
			s := word(x.v, d)
			s.Delay = 0
			w.settle(backend.Applied, s)
			_, err := w.Promote(r.Context(), 10)
			r.must(err)
			r.want("stalls after it was settled", w.one().S, 0)
		})
	}
}

// A suspect that runs to its end is done like any other job.
func stallSuspectSettled(r *rig) {
	_, w := r.stalled(2)
	got, err := w.Take(r.Context(), 1, true)
	r.must(err)
	w.done(got.Deliveries...)
	r.holds(byState{}, 1)
	w.none()
}

// A suspect that is given back unrun keeps its place among the suspects.
func stallSuspectReleased(r *rig) {
	id, w := r.stalled(2)
	got, err := w.Take(r.Context(), 1, true)
	r.must(err)
	w.settle(backend.Applied, word(backend.Release, got.Deliveries[0]))
	r.holds(byState{backend.Suspect: 1}, 0)
	got, err = w.Take(r.Context(), 1, true)
	r.must(err)
	r.want("job, s", []any{ids(got.Deliveries), got.Deliveries[0].S}, []any{[]string{id}, 2})
}
