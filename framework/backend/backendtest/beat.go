package backendtest

import (
	"context"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var beatTests = []test{
	{"Joins", beatJoins},
	{"Twice", beatTwice},
	{"Waiting", beatWaiting},
	{"Arrivals", beatArrivals},
	{"NextDue", beatNextDue},
	{"OnePromoter", beatOnePromoter},
	{"PromoterLeaves", beatPromoterLeaves},
	{"PromoterDies", beatPromoterDies},
	{"EndedContext", beatEndedContext},
}

// The first beat joins; a pulse counts those alive, this one included.
func beatJoins(r *rig) {
	a := r.join(Options{})
	r.want("workers", a.beat().Workers, 1)
	b := r.join(Options{})
	r.want("workers", b.beat().Workers, 2)
	r.want("workers", a.beat().Workers, 2)
	r.must(b.Close(r.Context()))
	r.want("workers after one left", a.beat().Workers, 1)
}

// A beat sent twice is a later beat: nothing happens to what is held.
func beatTwice(r *rig) {
	w, d := r.held()
	for range 3 {
		p := w.beat()
		r.want("ghosts, canceled, reaped", []int{len(p.Ghosts), len(p.Canceled), p.Reaped}, []int{0, 0, 0})
	}
	r.holds(byState{backend.Active: 1}, 0)
	w.done(d)
}

// Waiting counts what is to be taken.
func beatWaiting(r *rig) {
	w := r.join(Options{})
	r.want("waiting", w.beat().Waiting, 0)
	r.enqueue(r.jobs(3)...)
	r.enqueue(delayed(r.job(), time.Hour))
	r.want("waiting", w.beat().Waiting, 3)
	w.takeN(1)
	r.want("waiting", w.beat().Waiting, 2)
}

// What waits have popped and nobody took goes back to the front of the line, in
// its order, with the next beat of anybody; once.
func beatArrivals(r *rig) {
	w := r.join(Options{})
	var ends []<-chan error
	for range 3 { // nobody beats between the waits
		ends = append(ends, r.open(Options{}).waiting(r.Context(), time.Minute))
	}
	want := r.enqueue(r.jobs(5)...)
	for _, end := range ends {
		r.must(r.within(end))
	}
	for range 2 {
		r.want("waiting", w.beat().Waiting, 5)
		r.holds(byState{backend.Ready: 5}, 0)
		r.want("the line", r.line(), want)
	}
	for _, d := range w.takeN(5) {
		r.want("n, s, attempt", []any{d.N, d.S, d.Attempt}, []any{1, 0, 0})
	}
	w.none()
}

// line is the ids of what is ready, in order; what lies in arrivals is not in it.
func (r *rig) line() []string {
	r.Helper()
	jobs, err := r.inspector().List(r.Context(), backend.Ready, 0, 100)
	r.must(err)
	got := make([]string, len(jobs))
	for i, e := range jobs {
		got[i] = e.ID
	}
	return got
}

// NextDue is the time until the first scheduled or retry job; negative without one.
func beatNextDue(r *rig) {
	w := r.join(Options{})
	if p := w.beat(); p.NextDue >= 0 {
		r.Errorf("NextDue is %v on an empty queue", p.NextDue)
	}
	check := func(want time.Duration) {
		r.Helper()
		if got := w.beat().NextDue; got > want || got < want-patience {
			r.Errorf("NextDue is %v, want about %v", got, want)
		}
	}
	r.enqueue(delayed(r.job(), 3*time.Hour), r.job())
	check(3 * time.Hour)
	s := word(backend.Retry, w.one())
	s.Delay = 2 * time.Hour
	w.settle(backend.Applied, s)
	check(2 * time.Hour)
	r.enqueue(delayed(r.job(), time.Hour))
	check(time.Hour)
}

// One worker of several is to promote, and stays it.
func beatOnePromoter(r *rig) {
	a, b, c := r.join(Options{}), r.join(Options{}), r.join(Options{})
	for range 3 {
		r.want("promoters", []bool{b.beat().Promoter, c.beat().Promoter, a.beat().Promoter}, []bool{false, false, true})
	}
}

// A promoter that leaves is followed by the next one who beats.
func beatPromoterLeaves(r *rig) {
	a, b := r.join(Options{}), r.join(Options{})
	r.want("promoters", []bool{a.beat().Promoter, b.beat().Promoter}, []bool{true, false})
	r.must(a.Close(r.Context()))
	r.want("promoter", b.beat().Promoter, true)
}

// A promoter that went silent loses the office by itself.
func beatPromoterDies(r *rig) {
	r.join(Options{})
	b := r.join(Options{})
	r.want("promoter", b.beat().Promoter, false)
	r.eventually("the office falls to the next", func() bool { return b.beat().Promoter })
}

// A context that has ended is the error, and costs nothing.
func beatEndedContext(r *rig) {
	w, d := r.held()
	_, err := w.Beat(r.ended())
	r.wantErr(err, context.Canceled)
	w.beat()
	w.done(d)
}
