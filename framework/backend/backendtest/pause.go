package backendtest

import (
	"context"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var pauseTests = []test{
	{"Stops", pauseStops},
	{"RunningGoOn", pauseRunningGoOn},
	{"Accepts", pauseAccepts},
	{"Reaps", pauseReaps},
	{"Twice", pauseTwice},
	{"EndedContext", pauseEndedContext},
}

func (r *rig) pause(on bool) {
	r.Helper()
	r.must(r.control().Pause(r.Context(), on))
}

func (w *worker) refusedAsPaused() {
	w.r.Helper()
	for _, alone := range []bool{false, true} {
		_, err := w.Take(w.r.Context(), 10, alone)
		w.r.wantErr(err, backend.ErrPaused)
	}
}

// A paused queue delivers nothing and says so; it goes on where it stopped.
func pauseStops(r *rig) {
	want := r.enqueue(r.jobs(3)...)
	w := r.join(Options{})
	r.pause(true)
	before := r.snapshot()
	w.refusedAsPaused()
	r.unchanged(before)
	r.want("pulse and counts", []bool{w.beat().Paused, r.counts().Paused}, []bool{true, true})
	r.pause(false)
	r.want("pulse and counts", []bool{w.beat().Paused, r.counts().Paused}, []bool{false, false})
	r.want("order", ids(w.takeN(3)), want)
}

// Jobs that run go on and are settled, with every verdict.
func pauseRunningGoOn(r *rig) {
	r.enqueue(r.jobs(6)...)
	w := r.join(Options{})
	d := w.takeN(6)
	r.pause(true)
	w.beat()
	for i, x := range allVerdicts {
		w.settle(backend.Applied, word(x.v, d[i]))
	}
	w.refusedAsPaused()
	r.holds(byState{backend.Retrying: 1, backend.Scheduled: 1, backend.Ready: 1, backend.DeadState: 1}, 2)
}

// Producers notice nothing.
func pauseAccepts(r *rig) {
	r.pause(true)
	r.enqueue(r.job(), delayed(r.job(), time.Hour))
	r.holds(byState{backend.Ready: 1, backend.Scheduled: 1}, 0)
}

// The dead are reaped as ever.
func pauseReaps(r *rig) {
	r.enqueue(r.job())
	dead, _ := r.doomed(1, false)
	r.pause(true)
	w := r.join(Options{})
	w.bury(dead)
	r.holds(byState{backend.Ready: 1}, 0)
	w.refusedAsPaused()
}

// The same order twice is one order.
func pauseTwice(r *rig) {
	w := r.join(Options{})
	r.pause(true)
	r.pause(true)
	w.refusedAsPaused()
	r.pause(false)
	r.pause(false)
	w.none()
}

// A context that has ended is the error, and the queue goes on.
func pauseEndedContext(r *rig) {
	r.wantErr(r.control().Pause(r.ended(), true), context.Canceled)
	r.join(Options{}).none()
}
