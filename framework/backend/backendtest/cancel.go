package backendtest

import (
	"context"
	"errors"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var cancelTests = []test{
	{"Scheduled", cancelScheduled},
	{"Retry", cancelRetry},
	{"Ready", cancelReady},
	{"Running", cancelRunning},
	{"RunningThenRetried", cancelRunningThenRetried},
	{"Dead", cancelDead},
	{"Unknown", cancelUnknown},
	{"Expires", cancelExpires},
	{"Twice", cancelTwice},
	{"OnlyThatOne", cancelOnlyThatOne},
	{"EndedContext", cancelEndedContext},
}

func (r *rig) cancel(id string) {
	r.Helper()
	r.must(r.control().Cancel(r.Context(), id))
}

// gone checks that a job lies nowhere.
func (r *rig) gone(id string) {
	r.Helper()
	_, state, err := r.inspector().Show(r.Context(), id)
	if !errors.Is(err, backend.ErrNotFound) {
		r.Fatalf("the job is %s (%v), want ErrNotFound", state, err)
	}
}

// A scheduled job ends at once, and never runs.
func cancelScheduled(r *rig) {
	id := r.overdue(time.Second)
	r.cancel(id)
	r.gone(id)
	r.noKey("parked")
	r.holds(byState{}, 1)
	w := r.join(Options{})
	w.promote(10)
	w.none()
}

// So does one that waits for its next attempt.
func cancelRetry(r *rig) {
	w, d := r.held()
	w.settle(backend.Applied, word(backend.Retry, d))
	r.cancel(d.ID)
	r.gone(d.ID)
	r.holds(byState{}, 1)
}

// A ready job is never delivered; the take that meets it counts it as ended.
func cancelReady(r *rig) {
	want := r.enqueue(r.jobs(3)...)
	r.cancel(want[1])
	w := r.join(Options{})
	r.want("taken", ids(w.takeN(2)), []string{want[0], want[2]})
	w.none()
	r.noKey("cancelled")
	r.holds(byState{backend.Active: 2}, 1)
}

// A running job's worker hears of it with its next beat, and settles it away.
func cancelRunning(r *rig) {
	w, d := r.held()
	other := r.join(Options{})
	r.cancel(d.ID)
	r.want("told to another worker", len(other.beat().Canceled), 0)
	got := w.beat().Canceled
	r.want("cancelled", ids(got), []string{d.ID})
	if got[0] != d {
		r.Error("the pulse names another Delivery than Take returned")
	}
	w.settle(backend.Applied, word(backend.Canceled, d))
	r.gone(d.ID)
	r.holds(byState{}, 1)
	r.want("cancelled after it was settled", len(w.beat().Canceled), 0)
	r.noKey("cancelled")
}

// noKey checks that nothing is left of a job that ended.
func (r *rig) noKey(suffix string) {
	r.Helper()
	if n, err := r.h.Client.Exists(r.Context(), r.h.Key(r.queue, suffix)).Result(); err != nil || n != 0 {
		r.Errorf("%s is left (%v)", suffix, err)
	}
}

// A cancelled job does not run again, though its handler failed first: whether
// at once or by the tombstone that the next take reads.
func cancelRunningThenRetried(r *rig) {
	w, d := r.held()
	r.cancel(d.ID)
	s := word(backend.Retry, d)
	s.Delay = 0
	w.settle(backend.Applied, s)
	w.promote(10)
	w.none()
	r.holds(byState{}, 1)
}

// A dead job stays, for a person to look at.
func cancelDead(r *rig) {
	w, d := r.held()
	w.settle(backend.Applied, word(backend.Dead, d))
	before := r.snapshot()
	r.cancel(d.ID)
	r.unchanged(before)
}

// An id that nobody knows is no error, and harms nobody.
func cancelUnknown(r *rig) {
	r.enqueue(r.job())
	r.cancel(newID())
	w := r.join(Options{})
	w.done(w.one())
	r.holds(byState{}, 1)
}

// What was said of an unknown id is forgotten after a day.
func cancelExpires(r *rig) {
	id, w := newID(), r.join(Options{})
	r.cancel(id)
	ctx, c, key := r.Context(), r.h.Client, r.h.Key(r.queue, "cancelled")
	end, err := c.ZScore(ctx, key, id).Result()
	r.must(err)
	if left := time.UnixMilli(int64(end)).Sub(r.serverTime()); left > 24*time.Hour || left < 24*time.Hour-patience {
		r.Errorf("the tombstone lasts %v, want 24h", left)
	}
	r.moveDue("cancelled", id, -time.Millisecond)
	w.beat()
	if n, err := c.Exists(ctx, key).Result(); err != nil || n != 0 {
		r.Errorf("the tombstone is left after its day (%v)", err)
	}
}

// The same order twice ends the job once.
func cancelTwice(r *rig) {
	ready, parked := r.enqueue(r.job())[0], r.overdue(time.Second)
	for range 2 {
		r.cancel(ready)
		r.cancel(parked)
	}
	r.join(Options{}).none()
	r.holds(byState{}, 2)
}

// A cancelled job takes no other with it, of whatever state.
func cancelOnlyThatOne(r *rig) {
	w := r.join(Options{})
	r.enqueue(r.jobs(2)...)
	d := w.takeN(2)
	parked := []string{r.overdue(time.Second), r.overdue(2 * time.Second)}
	ready := r.enqueue(r.jobs(2)...)
	r.cancel(d[0].ID)
	r.cancel(parked[0])
	r.cancel(ready[0])
	w.settle(backend.Applied, word(backend.Canceled, d[0]))
	w.done(d[1])
	w.promote(10)
	r.want("taken", ids(w.takeN(2)), []string{ready[1], parked[1]})
	r.holds(byState{backend.Active: 2}, 4)
}

// A context that has ended is the error, and nothing ends.
func cancelEndedContext(r *rig) {
	id := r.enqueue(r.job())[0]
	r.wantErr(r.control().Cancel(r.ended(), id), context.Canceled)
	r.want("taken", r.join(Options{}).one().ID, id)
}
