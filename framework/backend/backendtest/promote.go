package backendtest

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/colonyq/colony/framework/backend"
)

var promoteTests = []test{
	{"Order", promoteOrder},
	{"NotEarly", promoteNotEarly},
	{"AtMostMax", promoteAtMostMax},
	{"AtMostMaxOfBoth", promoteAtMostMaxOfBoth},
	{"Budget", promoteBudget},
	{"WithoutEnvelope", promoteWithoutEnvelope},
	{"Next", promoteNext},
	{"Resend", promoteResend},
	{"LostReply", promoteLostReply},
	{"Together", promoteTogether},
	{"BehindTheLine", promoteBehindTheLine},
	{"EndedContext", promoteEndedContext},
}

// overdue parks a job whose time has come already: it is enqueued for later and
// its time is then moved.
func (r *rig) overdue(ago time.Duration) string {
	r.Helper()
	id := r.enqueue(delayed(r.job(), time.Hour))[0]
	r.moveDue("scheduled", id, -ago)
	return id
}

// promote returns how long it is until the next one.
func (w *worker) promote(max int) time.Duration {
	w.r.Helper()
	next, err := w.Promote(w.r.Context(), max)
	w.r.must(err)
	return next
}

// Due jobs become ready in the order of their times, scheduled and retry
// together.
func promoteOrder(r *rig) {
	w := r.join(Options{})
	retried := r.enqueue(r.job())[0]
	w.settle(backend.Applied, word(backend.Retry, w.one()))
	r.moveDue("retry", retried, -2*time.Second)
	third := r.overdue(time.Second)
	first := r.overdue(3 * time.Second)
	if next := w.promote(10); next >= 0 {
		r.Errorf("next is %v with nothing parked, want negative", next)
	}
	r.want("order", ids(w.takeN(3)), []string{first, retried, third})
}

// A job never becomes ready before its time, and does soon after.
func promoteNotEarly(r *rig) {
	w := r.join(Options{})
	start := r.serverTime()
	r.enqueue(delayed(r.job(), 250*time.Millisecond))
	r.eventually("the job becomes ready", func() bool {
		w.promote(10)
		now := r.serverTime()
		got := w.take(1)
		if len(got) > 0 && now.Before(start.Add(250*time.Millisecond)) {
			r.Fatalf("ready %v after it was enqueued for 250ms later", now.Sub(start))
		}
		return len(got) > 0
	})
}

// One call moves at most max, and says that there are more.
func promoteAtMostMax(r *rig) {
	w := r.join(Options{})
	var want []string
	for i := range 5 {
		want = append(want, r.overdue(time.Duration(10-i)*time.Second))
	}
	r.want("next, with two of five moved", w.promote(2), time.Duration(0))
	r.holds(byState{backend.Ready: 2, backend.Scheduled: 3}, 0)
	r.want("next, with four of five moved", w.promote(2), time.Duration(0))
	if next := w.promote(2); next >= 0 {
		r.Errorf("next is %v with all moved, want negative", next)
	}
	r.want("order", ids(w.takeN(5)), want)
}

// Max is for scheduled and retry together.
func promoteAtMostMaxOfBoth(r *rig) {
	w := r.join(Options{})
	for range 2 {
		id := r.enqueue(r.job())[0]
		w.settle(backend.Applied, word(backend.Retry, w.one()))
		r.moveDue("retry", id, -time.Second)
		r.overdue(time.Second)
	}
	r.want("next, with three of four moved", w.promote(3), time.Duration(0))
	c := r.counts()
	r.want("ready, parked", []int64{c.Ready, c.Scheduled + c.Retry}, []int64{3, 1})
}

// One call moves a limited number of bytes, and says that there are more.
func promoteBudget(r *rig) {
	w := r.join(Options{})
	for i := range 4 {
		job := delayed(r.job(), time.Hour)
		job.Envelope.Payload = []byte(`"` + strings.Repeat("x", backend.MaxSliceBytes/2+1) + `"`)
		r.moveDue("scheduled", r.enqueue(job)[0], time.Duration(i-10)*time.Second)
	}
	r.want("next, with two of four moved", w.promote(10), time.Duration(0))
	r.holds(byState{backend.Ready: 2, backend.Scheduled: 2}, 0)
	w.promote(10)
	r.holds(byState{backend.Ready: 4}, 0)
}

// A due id whose envelope is gone (somebody's hand was there) stops nobody.
func promoteWithoutEnvelope(r *rig) {
	w := r.join(Options{})
	r.moveDue("scheduled", newID(), -2*time.Second)
	id := r.overdue(time.Second)
	if next := w.promote(10); next >= 0 {
		r.Errorf("next is %v with nothing left, want negative", next)
	}
	r.want("taken", w.one().ID, id)
	r.holds(byState{backend.Active: 1}, 0)
}

// Next is the time until the first one that is left.
func promoteNext(r *rig) {
	w := r.join(Options{})
	if next := w.promote(10); next >= 0 {
		r.Errorf("next is %v on an empty queue, want negative", next)
	}
	r.enqueue(delayed(r.job(), 3*time.Hour), delayed(r.job(), time.Hour))
	r.overdue(time.Second)
	if next := w.promote(10); next > time.Hour || next < time.Hour-patience {
		r.Errorf("next is %v, want about 1h", next)
	}
	r.holds(byState{backend.Ready: 1, backend.Scheduled: 2}, 0)
}

// A second call finds nothing to do.
func promoteResend(r *rig) {
	w := r.join(Options{})
	r.overdue(time.Second)
	w.promote(10)
	before := r.snapshot()
	w.promote(10)
	r.unchanged(before)
	r.holds(byState{backend.Ready: 1}, 0)
}

// A reply that is lost does not promote twice.
func promoteLostReply(r *rig) {
	client, lose := r.lossy()
	w := r.join(Options{Client: client})
	r.overdue(time.Second)
	lose()
	if _, err := w.Promote(r.Context(), 10); err == nil {
		r.Fatal("the reply was lost and Promote reports success")
	}
	w.promote(10)
	r.holds(byState{backend.Ready: 1}, 0)
	w.done(w.one())
}

// Anybody may promote at any time: several at once move each job once, and one
// who never joined may too.
func promoteTogether(r *rig) {
	const n = 200
	jobs := r.jobs(n)
	for i := range jobs {
		jobs[i].In = time.Millisecond
	}
	r.enqueue(jobs...)
	var g errgroup.Group
	for range 3 {
		w := r.open(Options{})
		g.Go(func() error {
			for {
				next, err := w.Promote(r.Context(), 10)
				if err != nil || next < 0 {
					return err
				}
			}
		})
	}
	r.must(g.Wait())
	r.holds(byState{backend.Ready: n}, 0)
	r.want("jobs", len(r.join(Options{}).takeN(n)), n)
}

// Promoted jobs stand behind those that are ready already.
func promoteBehindTheLine(r *rig) {
	late := r.overdue(time.Second)
	early := r.enqueue(r.job())[0]
	w := r.join(Options{})
	w.promote(10)
	r.want("order", ids(w.takeN(2)), []string{early, late})
}

// A context that has ended is the error, and moves nothing.
func promoteEndedContext(r *rig) {
	r.overdue(time.Second)
	_, err := r.join(Options{}).Promote(r.ended(), 10)
	r.wantErr(err, context.Canceled)
	r.holds(byState{backend.Scheduled: 1}, 0)
}
