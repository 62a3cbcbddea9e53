package backendtest

import (
	"context"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var waitTests = []test{
	{"Wakes", waitWakes},
	{"AlreadyThere", waitAlreadyThere},
	{"InTime", waitInTime},
	{"EndedContext", waitEndedContext},
	{"EndsBefore", waitEndsBefore},
	{"NeverDelivers", waitNeverDelivers},
	{"AfterAnEndedWait", waitAfterAnEndedWait},
	{"Paused", waitPaused},
}

// waiting runs a Wait in the background; the channel gets its error.
func (w *worker) waiting(ctx context.Context, d time.Duration) <-chan error {
	end := make(chan error, 1)
	go func() { end <- w.Wait(ctx, d) }() // every test receives
	return end
}

// within receives the error of a Wait that must end by now.
func (r *rig) within(end <-chan error) error {
	r.Helper()
	select {
	case err := <-end:
		return err
	case <-time.After(patience):
		r.Fatalf("Wait did not return within %v", patience)
		return nil
	}
}

// A job that arrives ends the Wait, and is there to take.
func waitWakes(r *rig) {
	w := r.join(Options{})
	end := w.waiting(r.Context(), time.Minute)
	id := r.enqueue(r.job())[0]
	r.must(r.within(end))
	d := w.one()
	r.want("id, n, s", []any{d.ID, d.N, d.S}, []any{id, 1, 0})
	w.done(d)
	r.holds(byState{}, 1)
}

// Wait returns at once where something is there already.
func waitAlreadyThere(r *rig) {
	want := r.enqueue(r.jobs(3)...)
	w := r.join(Options{})
	r.must(r.within(w.waiting(r.Context(), time.Minute)))
	r.want("order", ids(w.takeN(3)), want)
}

// Wait returns nil after its time, and does not round it up to a second. A
// loaded machine gets three tries.
func waitInTime(r *rig) {
	w := r.join(Options{})
	var took time.Duration
	for range 3 {
		start := time.Now()
		r.must(w.Wait(r.Context(), 300*time.Millisecond))
		if took = time.Since(start); took < 800*time.Millisecond {
			return
		}
	}
	r.Fatalf("Wait(300ms) on an empty queue took %v", took)
}

// The end of the context ends a Wait at once, with its error.
func waitEndedContext(r *rig) {
	w := r.join(Options{})
	for _, after := range []time.Duration{time.Millisecond, 200 * time.Millisecond} { // 200 ms: it blocks in Redis
		ctx, cancel := context.WithCancel(r.Context())
		time.AfterFunc(after, cancel)
		r.wantErr(r.within(w.waiting(ctx, time.Minute)), context.Canceled)
	}
}

// A context that has ended before is the error.
func waitEndsBefore(r *rig) {
	r.wantErr(r.within(r.join(Options{}).waiting(r.ended(), time.Minute)), context.Canceled)
}

// Wait delivers nothing: whom it woke may die, and another one gets the job,
// uncharged and at the front.
func waitNeverDelivers(r *rig) {
	w, other := r.join(Options{}), r.join(Options{})
	end := w.waiting(r.Context(), time.Minute)
	want := r.enqueue(r.jobs(3)...)
	r.must(r.within(end))
	r.holds(byState{backend.Ready: 3}, 0)
	var got []*backend.Delivery
	r.eventually("another worker has all three", func() bool {
		other.beat()
		got = append(got, other.take(10)...)
		return len(got) >= 3
	})
	r.want("jobs", sorted(ids(got)), sorted(want))
	for _, d := range got {
		r.want("n, s, attempt", []any{d.N, d.S, d.Attempt}, []any{1, 0, 0})
	}
	w.none()
}

// A Wait that was ended leaves nothing behind that swallows a later job.
func waitAfterAnEndedWait(r *rig) {
	w := r.join(Options{})
	for range 3 {
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		r.wantErr(r.within(w.waiting(ctx, time.Minute)), context.DeadlineExceeded)
		cancel()
	}
	id := r.enqueue(r.job())[0]
	other := r.join(Options{})
	var got []*backend.Delivery
	r.eventually("the job is delivered", func() bool {
		other.beat()
		got = other.take(10)
		return len(got) > 0
	})
	r.want("job", ids(got), []string{id})
	r.must(r.within(w.waiting(r.Context(), time.Millisecond)))
}

// A paused queue may wake a Wait, but nothing is lost or delivered by it.
func waitPaused(r *rig) {
	w := r.join(Options{})
	r.must(r.control().Pause(r.Context(), true))
	end := w.waiting(r.Context(), 200*time.Millisecond)
	id := r.enqueue(r.job())[0]
	r.must(r.within(end))
	_, err := w.Take(r.Context(), 10, false)
	r.wantErr(err, backend.ErrPaused)
	r.holds(byState{backend.Ready: 1}, 0)
	r.must(r.control().Pause(r.Context(), false))
	r.want("after the pause", w.one().ID, id)
}
