package backendtest

import (
	"context"
	"strings"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var takeTests = []test{
	{"Empty", takeEmpty},
	{"AtMostMax", takeAtMostMax},
	{"Resend", takeResend},
	{"TwoWorkers", takeTwoWorkers},
	{"NotJoined", takeNotJoined},
	{"LeaseRunOut", takeLeaseRunOut},
	{"Budget", takeBudget},
	{"BudgetOfArrivals", takeBudgetOfArrivals},
	{"Fence", takeFence},
	{"EndedContext", takeEndedContext},
	{"AloneWithoutSuspect", takeAloneWithoutSuspect},
}

// Nothing there is an empty slice and no error.
func takeEmpty(r *rig) {
	got, err := r.join(Options{}).Take(r.Context(), 10, false)
	r.must(err)
	if len(got.Deliveries) != 0 || got.More || got.Suspect {
		r.Fatalf("an empty queue gave %+v", got)
	}
}

// Take gives no more than asked for, in order, and leaves the rest.
func takeAtMostMax(r *rig) {
	want := r.enqueue(r.jobs(5)...)
	w := r.join(Options{})
	r.want("first three", ids(w.take(3)), want[:3])
	r.holds(byState{backend.Ready: 2, backend.Active: 3}, 0)
	r.want("the rest", ids(w.take(3)), want[3:])
	r.holds(byState{backend.Active: 5}, 0)
}

// The same call again takes further jobs, never the same.
func takeResend(r *rig) {
	want := r.enqueue(r.jobs(4)...)
	w := r.join(Options{})
	r.want("two calls", append(ids(w.take(2)), ids(w.take(2))...), want)
	w.none()
}

// Two workers share a queue and never a job.
func takeTwoWorkers(r *rig) {
	want := r.enqueue(r.jobs(6)...)
	a, b := r.join(Options{}), r.join(Options{})
	r.want("in turn", append(append(ids(a.take(2)), ids(b.take(2))...), ids(a.take(2))...), want)
	b.none()
}

// Who never beat holds no lease and gets nothing.
func takeNotJoined(r *rig) {
	r.enqueue(r.job())
	w := r.open(Options{})
	before := r.snapshot()
	_, err := w.Take(r.Context(), 1, false)
	r.wantErr(err, backend.ErrLost)
	r.unchanged(before)
}

// Whose lease ran out gets nothing, even where nobody reaped it yet.
func takeLeaseRunOut(r *rig) {
	w := r.join(Options{Lease: shortLease})
	r.outlast(w)
	r.enqueue(r.job())
	before := r.snapshot()
	_, err := w.Take(r.Context(), 1, false)
	r.wantErr(err, backend.ErrLate)
	r.unchanged(before)
}

// One call carries a limited number of bytes and says that there is more; one
// entry above the limit travels all the same.
func takeBudget(r *rig) {
	jobs := r.jobs(8)
	for i := range jobs {
		jobs[i].Envelope.Payload = []byte(`"` + strings.Repeat("x", 100<<10) + `"`)
	}
	jobs[7].Envelope.Payload = []byte(`"` + strings.Repeat("x", backend.MaxSliceBytes+1) + `"`)
	var want []string
	for _, job := range jobs {
		want = append(want, r.enqueue(job)...)
	}
	w := r.join(Options{})
	var got []string
	for calls := 0; len(got) < len(want) && calls < len(want); calls++ {
		taken, err := w.Take(r.Context(), 100, false)
		r.must(err)
		size := 0 // without the last one, which may have reached the limit
		for _, d := range taken.Deliveries[:max(len(taken.Deliveries)-1, 0)] {
			size += len(d.Raw())
		}
		if size >= backend.MaxSliceBytes {
			r.Fatalf("one call carried %d entries, %d bytes before the last", len(taken.Deliveries), size)
		}
		got = append(got, ids(taken.Deliveries)...)
		if more := len(got) < len(want); taken.More != more {
			r.Fatalf("More is %v with %d of %d taken", taken.More, len(got), len(want))
		}
	}
	r.want("in as many calls as it needs", got, want)
}

// What several waits have popped is under the same limit, and More speaks of it
// too.
func takeBudgetOfArrivals(r *rig) {
	const n = 4
	w, got := r.join(Options{}), 0
	var ends []<-chan error
	for range n {
		ends = append(ends, r.open(Options{}).waiting(r.Context(), time.Minute))
	}
	for range n {
		job := r.job()
		job.Envelope.Payload = []byte(`"` + strings.Repeat("x", backend.MaxSliceBytes/2+1) + `"`)
		r.enqueue(job)
	}
	for _, end := range ends {
		r.must(r.within(end))
	}
	for more := true; more; {
		taken, err := w.Take(r.Context(), 100, false)
		r.must(err)
		got, more = got+len(taken.Deliveries), taken.More
	}
	r.want("taken until there was no more", got, n)
}

// The fence grows with every delivery of a job, whatever brought it back, and a
// word about an earlier delivery does not touch the present one.
func takeFence(r *rig) {
	r.enqueue(r.job())
	w := r.join(Options{})
	first := w.one()
	last := first
	for _, v := range []backend.Verdict{backend.Release, backend.Retry, backend.Snooze, backend.Release} {
		s := word(v, last)
		s.Delay = 0
		w.settle(backend.Applied, s)
		_, err := w.Promote(r.Context(), 10)
		r.must(err)
		d := w.one()
		if d.N <= last.N {
			r.Fatalf("n went from %d to %d over verdict %d", last.N, d.N, v)
		}
		last = d
	}
	w.settle(backend.Already, word(backend.Done, first))
	r.holds(byState{backend.Active: 1}, 0)
	w.done(last)
}

// A context that has ended is the error, and nothing is taken.
func takeEndedContext(r *rig) {
	r.enqueue(r.job())
	w := r.join(Options{})
	_, err := w.Take(r.ended(), 1, false)
	r.wantErr(err, context.Canceled)
	w.one()
}

// A worker that holds nothing takes as usual while no suspect waits.
func takeAloneWithoutSuspect(r *rig) {
	want := r.enqueue(r.jobs(3)...)
	got, err := r.join(Options{}).Take(r.Context(), 10, true)
	r.must(err)
	if got.Suspect {
		r.Error("a first delivery is called a suspect")
	}
	r.want("taken", ids(got.Deliveries), want)
}
