package backendtest

import (
	"context"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

var inspectTests = []test{
	{"Counts", inspectCounts},
	{"List", inspectList},
	{"Show", inspectShow},
	{"NotFound", inspectNotFound},
	{"ChangesNothing", inspectChangesNothing},
	{"Empty", inspectEmpty},
	{"EndedContext", inspectEndedContext},
}

// everywhere has three jobs in each state; their ids by state, in the order in
// which a list gives them.
func (r *rig) everywhere() map[backend.State][]string {
	r.Helper()
	w := r.join(Options{})
	all := map[backend.State][]string{}
	for _, x := range []struct {
		v backend.Verdict
		s backend.State
	}{{backend.Retry, backend.Retrying}, {backend.Dead, backend.DeadState}} {
		all[x.s] = r.enqueue(r.jobs(3)...)
		for i, d := range w.takeN(3) {
			s := word(x.v, d)
			s.Delay += time.Duration(i) * time.Minute
			w.settle(backend.Applied, s)
		}
	}
	all[backend.Active] = r.enqueue(r.jobs(3)...)
	w.takeN(3)
	for i := range 3 {
		all[backend.Scheduled] = append(all[backend.Scheduled], r.enqueue(delayed(r.job(), time.Duration(i+1)*time.Hour))...)
	}
	all[backend.Ready] = r.enqueue(r.jobs(3)...)
	return all
}

// Counts counts every state, and when what is parked is due.
func inspectCounts(r *rig) {
	r.everywhere()
	r.holds(byState{backend.Retrying: 3, backend.DeadState: 3, backend.Active: 3, backend.Scheduled: 3, backend.Ready: 3}, 0)
	r.want("due", r.counts().Due, 0)
	r.overdue(time.Second)
	c := r.counts()
	r.want("due, enqueued, paused", []any{c.Due, c.Enqueued, c.Paused}, []any{1, 16, false})
	if c.Backend == "" {
		r.Error("Counts names no backend")
	}
}

// List pages through a state in its order.
func inspectList(r *rig) {
	for state, want := range r.everywhere() {
		for _, x := range []struct{ offset, limit, from, to int }{{0, 10, 0, 3}, {0, 2, 0, 2}, {2, 2, 2, 3}, {3, 5, 3, 3}, {0, 0, 0, 0}} {
			jobs, err := r.inspector().List(r.Context(), state, x.offset, x.limit)
			r.must(err)
			got := make([]string, len(jobs))
			for i, e := range jobs {
				got[i] = e.ID
				r.want("kind", e.Kind, "test.kind")
			}
			if state != backend.DeadState { // those ended in one millisecond or two
				r.want(string(state), got, want[x.from:x.to])
			}
			r.want("length of the page", len(got), x.to-x.from)
		}
	}
}

// Show finds a job in every state.
func inspectShow(r *rig) {
	for want, all := range r.everywhere() {
		for _, id := range all {
			e, state := r.show(id)
			r.want("state, id, kind", []any{state, e.ID, e.Kind}, []any{want, id, "test.kind"})
		}
	}
}

// Whose job lies nowhere is told so.
func inspectNotFound(r *rig) {
	w, d := r.held()
	r.gone(newID())
	w.done(d)
	r.gone(d.ID)
}

// Looking changes nothing.
func inspectChangesNothing(r *rig) {
	all := r.everywhere()
	before := r.snapshot()
	for state, of := range all {
		_, err := r.inspector().List(r.Context(), state, 0, 10)
		r.must(err)
		r.show(of[0])
	}
	r.counts()
	r.unchanged(before)
}

// A queue that never was is empty and no error; looking does not make it one.
func inspectEmpty(r *rig) {
	r.holds(byState{}, 0)
	for _, s := range []backend.State{backend.Ready, backend.Active, backend.Suspect, backend.Scheduled, backend.Retrying, backend.DeadState, backend.DoneState} {
		jobs, err := r.inspector().List(r.Context(), s, 0, 10)
		r.must(err)
		r.want(string(s), jobs, []wire.Envelope{})
	}
	r.want("keys", r.keys(), []string{})
}

// A context that has ended is the error.
func inspectEndedContext(r *rig) {
	i := r.inspector()
	_, err := i.Counts(r.ended())
	r.wantErr(err, context.Canceled)
	_, err = i.List(r.ended(), backend.Ready, 0, 1)
	r.wantErr(err, context.Canceled)
	_, _, err = i.Show(r.ended(), newID())
	r.wantErr(err, context.Canceled)
}
