package backendtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var settleTests = []test{
	{"Applied", settleApplied},
	{"Resend", settleResend},
	{"TwiceInOneCall", settleTwiceInOneCall},
	{"LostReply", settleLostReply},
	{"Mixed", settleMixed},
	{"ManyInOneCall", settleManyInOneCall},
	{"PastOwner", settlePastOwner},
	{"PastOwnerWhileRunElsewhere", settleWhileRunElsewhere},
	{"OtherWorker", settleOtherWorker},
	{"ReleaseOrder", settleReleaseOrder},
	{"RetryCounts", settleRetryCounts},
	{"SnoozeDoesNotCount", settleSnoozeDoesNotCount},
	{"DeadReasons", settleDeadReasons},
	{"History", settleHistory},
	{"Counters", settleCounters},
	{"EndedContext", settleEndedContext},
}

// where each verdict leaves a job; done and canceled leave none.
var where = map[backend.Verdict]backend.State{
	backend.Retry: backend.Retrying, backend.Snooze: backend.Scheduled,
	backend.Release: backend.Ready, backend.Dead: backend.DeadState,
}

// after is what the queue holds when one job was settled, and how many ended.
func after(v backend.Verdict) (byState, int64) {
	if s, ok := where[v]; ok {
		return byState{s: 1}, 0
	}
	return byState{}, 1
}

// held is a worker with one delivery.
func (r *rig) held() (*worker, *backend.Delivery) {
	r.Helper()
	r.enqueue(r.job())
	w := r.join(Options{})
	return w, w.one()
}

// Every verdict brings the job where it says, and nowhere else.
func settleApplied(r *rig) {
	for _, x := range allVerdicts {
		r.sub(x.name, func(r *rig) {
			w, d := r.held()
			w.settle(backend.Applied, word(x.v, d))
			places, ended := after(x.v)
			r.holds(places, ended)
		})
	}
}

// The same word again is answered already, and changes nothing.
func settleResend(r *rig) {
	for _, x := range allVerdicts {
		r.sub(x.name, func(r *rig) {
			w, d := r.held()
			w.settle(backend.Applied, word(x.v, d))
			before := r.snapshot()
			w.settle(backend.Already, word(x.v, d))
			w.settle(backend.Already, word(backend.Done, d), word(backend.Retry, d))
			r.unchanged(before)
		})
	}
}

// Two words about one delivery in one call: the first counts.
func settleTwiceInOneCall(r *rig) {
	w, d := r.held()
	got, err := w.Settle(r.Context(), []backend.Settlement{word(backend.Retry, d), word(backend.Done, d)})
	r.must(err)
	r.want("outcomes", []backend.OutcomeState{got[0].State, got[1].State}, []backend.OutcomeState{backend.Applied, backend.Already})
	r.holds(byState{backend.Retrying: 1}, 0)
}

// A word whose reply was lost has been applied once; the resend says so.
func settleLostReply(r *rig) {
	client, lose := r.lossy()
	ids := r.enqueue(r.jobs(2)...)
	w := r.join(Options{Client: client})
	s := []backend.Settlement{word(backend.Done, w.takeN(1)[0]), word(backend.Retry, w.takeN(1)[0])}
	lose()
	if _, err := w.Settle(r.Context(), s); err == nil {
		r.Fatal("the reply was lost and Settle reports success")
	}
	w.settle(backend.Already, s...)
	r.holds(byState{backend.Retrying: 1}, 1)
	e, _ := r.show(ids[1])
	r.want("attempts", e.Attempt, 1)
}

// One call may carry every verdict; outcomes stand in the order of the words.
func settleMixed(r *rig) {
	r.enqueue(r.jobs(7)...)
	w := r.join(Options{})
	d := w.takeN(7)
	w.done(d[6])
	var s []backend.Settlement
	var want []backend.OutcomeState
	for i, x := range allVerdicts {
		s = append(s, word(x.v, d[i]), word(backend.Done, d[6]))
		want = append(want, backend.Applied, backend.Already)
	}
	got, err := w.Settle(r.Context(), s)
	r.must(err)
	var states []backend.OutcomeState
	for _, o := range got {
		states = append(states, o.State)
	}
	r.want("outcomes", states, want)
	r.holds(byState{backend.Retrying: 1, backend.Scheduled: 1, backend.Ready: 1, backend.DeadState: 1}, 3)
}

// A call may carry more words than one script does.
func settleManyInOneCall(r *rig) {
	n := 2*backend.MaxBatchJobs + 100
	r.enqueue(r.jobs(n)...)
	w := r.join(Options{})
	w.done(w.takeN(n)...)
	r.holds(byState{}, int64(n))
}

// Who was reaped has no say any more, whatever the word.
func settlePastOwner(r *rig) {
	for _, x := range allVerdicts {
		r.sub(x.name, func(r *rig) {
			r.enqueue(r.job())
			zombie, d := r.doomed(1, false)
			w := r.join(Options{})
			w.bury(zombie)
			before := r.snapshot()
			zombie.settle(backend.Lost, word(x.v, d[0]))
			r.unchanged(before, "meta", "stats")
			r.want("refused words", r.counts().LeaseLost, 1)
			w.done(w.one())
			r.holds(byState{}, 1)
		})
	}
}

// A past owner's word does not touch the run of the present one.
func settleWhileRunElsewhere(r *rig) {
	for _, x := range allVerdicts {
		r.sub(x.name, func(r *rig) {
			r.enqueue(r.job())
			zombie, old := r.doomed(1, false)
			w := r.join(Options{})
			w.bury(zombie)
			d := w.one()
			before := r.snapshot()
			zombie.settle(backend.Lost, word(x.v, old[0]))
			r.unchanged(before, "meta", "stats")
			w.done(d)
			r.holds(byState{}, 1)
		})
	}
}

// Only the holder settles: the word of another worker, alive, has no effect.
func settleOtherWorker(r *rig) {
	for _, x := range allVerdicts {
		r.sub(x.name, func(r *rig) {
			w, d := r.held()
			other := r.join(Options{})
			before := r.snapshot()
			got, err := other.Settle(r.Context(), []backend.Settlement{word(x.v, d)})
			r.must(err)
			if got[0].State == backend.Applied {
				r.Error("applied")
			}
			r.unchanged(before, "meta", "stats")
			w.done(d)
			r.holds(byState{}, 1)
		})
	}
}

// Released jobs come to the front in their old order, with a higher n, and
// nothing counted.
func settleReleaseOrder(r *rig) {
	want := r.enqueue(r.jobs(5)...)
	w := r.join(Options{})
	w.settle(backend.Applied, verdicts(backend.Release, w.takeN(3)...)...)
	got := w.takeN(5)
	r.want("order", ids(got), want)
	for i, d := range got {
		n := 1
		if i < 3 {
			n = 2
		}
		r.want("n, s, attempt, errors", []any{d.N, d.S, d.Attempt, len(d.Errors)}, []any{n, 0, 0, 0})
	}
	r.want("runs", r.counts().Processed, 0)
}

// A retry counts an attempt, keeps the error and is due after its delay.
func settleRetryCounts(r *rig) {
	w, d := r.held()
	before := r.serverTime()
	s := word(backend.Retry, d)
	s.Delay = 10 * time.Minute
	w.settle(backend.Applied, s)
	e, state := r.show(d.ID)
	r.want("state, attempt, n", []any{state, e.Attempt, e.N}, []any{backend.Retrying, 1, d.N + 1})
	if len(e.Errors) != 1 || e.Errors[0].Message != "boom" || e.Errors[0].Attempt != 1 || e.Errors[0].At.IsZero() {
		r.Errorf("error history %+v, want one entry with the message, the attempt and the time", e.Errors)
	}
	r.nextIn(w, before.Add(10*time.Minute))
	w.none()
}

// A snooze counts nothing and keeps no error.
func settleSnoozeDoesNotCount(r *rig) {
	w, d := r.held()
	before := r.serverTime()
	s := word(backend.Snooze, d)
	s.Delay = 10 * time.Minute
	w.settle(backend.Applied, s)
	e, state := r.show(d.ID)
	r.want("state, attempt, n, errors", []any{state, e.Attempt, e.N, len(e.Errors)}, []any{backend.Scheduled, 0, d.N + 1, 0})
	r.nextIn(w, before.Add(10*time.Minute))
	w.none()
}

// nextIn checks when the only parked job is due, give or take the time that the
// calls took.
func (r *rig) nextIn(w *worker, at time.Time) {
	r.Helper()
	next, err := w.Promote(r.Context(), 10)
	r.must(err)
	left := at.Sub(r.serverTime())
	if next < left-time.Second || next > left+patience {
		r.Fatalf("due in %v, want %v", next, left)
	}
}

// A dead job keeps why, when and with what error; only failed counts a failure.
func settleDeadReasons(r *rig) {
	for reason, failures := range map[string]int{"failed": 1, "rejected": 0} {
		r.sub(reason, func(r *rig) {
			w, d := r.held()
			start := time.Now().Add(-time.Second)
			s := word(backend.Dead, d)
			s.Reason = reason
			w.settle(backend.Applied, s)
			e, state := r.show(d.ID)
			r.want("state, reason, attempt", []any{state, e.Reason, e.Attempt}, []any{backend.DeadState, reason, failures})
			r.want("payload", string(e.Payload), string(d.Payload))
			if e.Ended.Before(start) || len(e.Errors) != 1 || e.Errors[0].Message != "boom" {
				r.Errorf("ended %v with history %+v", e.Ended, e.Errors)
			}
			w.none()
		})
	}
}

// The error history keeps the first and the newest, and no more than ten.
func settleHistory(r *rig) {
	id := r.enqueue(r.job())[0]
	w := r.join(Options{})
	for i := 1; i <= 13; i++ {
		d := w.one()
		r.want("attempts before this run", d.Attempt, i-1)
		s := backend.Settlement{Delivery: d, Verdict: backend.Retry, Error: fmt.Sprint("error ", i)}
		w.settle(backend.Applied, s)
		if i < 13 {
			_, err := w.Promote(r.Context(), 10)
			r.must(err)
		}
	}
	e, _ := r.show(id)
	var got []string
	for _, x := range e.Errors {
		got = append(got, x.Message)
	}
	want := []string{"error 1"}
	for i := 5; i <= 13; i++ {
		want = append(want, fmt.Sprint("error ", i))
	}
	r.want("history", got, want)
}

// Processed counts runs that were settled as done or failed, Failed the
// failures among them.
func settleCounters(r *rig) {
	r.enqueue(r.jobs(6)...)
	w := r.join(Options{})
	d := w.takeN(6)
	for i, x := range allVerdicts {
		w.settle(backend.Applied, word(x.v, d[i]))
	}
	c := r.counts()
	r.want("processed, failed", []int64{c.Processed, c.Failed}, []int64{3, 2})
}

// A context that has ended is the error; nothing is lost, the word can be sent
// again.
func settleEndedContext(r *rig) {
	w, d := r.held()
	_, err := w.Settle(r.ended(), []backend.Settlement{word(backend.Done, d)})
	r.wantErr(err, context.Canceled)
	r.holds(byState{backend.Active: 1}, 0)
	w.done(d)
	if slices.Contains(r.keys(), r.h.Key(r.queue, "active:"+w.id)) {
		r.Error("the empty hand left a key")
	}
}
