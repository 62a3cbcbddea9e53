package backendtest

import (
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var fullTests = []test{
	{"Enqueue", fullEnqueue},
	{"Take", fullTake},
	{"Settle", fullSettle},
	{"Beat", fullBeat},
	{"Wait", fullWait},
	{"Promote", fullPromote},
	{"Reap", fullReap},
	{"Close", fullClose},
	{"Cancel", fullCancel},
}

// own moves the rig to a server of its own, and returns what fills it.
func (r *rig) own() (own *rig, fill func(full bool)) {
	r.Helper()
	if r.h.Full == nil {
		r.Skip("no full server: " + r.h.NoFull)
	}
	h, fill := r.h.Full(r.T)
	own = newRig(r.T, h)
	r.Cleanup(func() { fill(false) }) // runs before the workers close
	return own, fill
}

// Producers get a clear error and nothing is changed; when there is room again,
// the same batch is accepted.
func fullEnqueue(r *rig) {
	r, fill := r.own()
	r.enqueue(r.job())
	for name, job := range map[string]backend.Job{"ready": r.job(), "delayed": delayed(r.job(), time.Hour)} {
		b := r.batch(job)
		fill(true)
		r.refused(b, backend.ErrFull)
		fill(false)
		if _, err := r.producer.Enqueue(r.Context(), b); err != nil {
			r.Fatalf("%s, with room again: %v", name, err)
		}
	}
	r.holds(byState{backend.Ready: 2, backend.Scheduled: 1}, 0)
}

// Jobs are taken from a full server, foreign ones and junk too.
func fullTake(r *rig) {
	r, fill := r.own()
	want := r.enqueue(r.jobs(3)...)
	r.push("junk", `{"v":1,"kind":"test.kind","payload":1}`)
	w := r.join(Options{})
	fill(true)
	good := w.drain()
	r.want("jobs", len(good), 4)
	r.want("order", ids(good[:3]), want)
	r.holds(byState{backend.DeadState: 1}, 4)
}

// Every verdict is applied on a full server.
func fullSettle(r *rig) {
	r, fill := r.own()
	r.enqueue(r.jobs(6)...)
	w := r.join(Options{})
	d := w.takeN(6)
	fill(true)
	for i, x := range allVerdicts {
		w.settle(backend.Applied, word(x.v, d[i]))
	}
	r.holds(byState{backend.Retrying: 1, backend.Scheduled: 1, backend.Ready: 1, backend.DeadState: 1}, 2)
}

// Workers join and renew on a full server, and put back what lies in arrivals.
func fullBeat(r *rig) {
	r, fill := r.own()
	w := r.join(Options{})
	end := w.waiting(r.Context(), time.Minute)
	id := r.enqueue(r.job())[0]
	r.must(r.within(end))
	fill(true)
	other := r.join(Options{})
	w.beat()
	r.want("taken", other.one().ID, id)
}

// Waiting is no error on a full server, and jobs are found.
func fullWait(r *rig) {
	r, fill := r.own()
	id := r.enqueue(r.job())[0]
	w := r.join(Options{})
	fill(true)
	r.must(r.within(w.waiting(r.Context(), time.Second)))
	r.want("taken", w.one().ID, id)
}

// Due jobs become ready on a full server.
func fullPromote(r *rig) {
	r, fill := r.own()
	id := r.overdue(time.Second)
	w := r.join(Options{})
	fill(true)
	w.promote(10)
	r.want("taken", w.one().ID, id)
}

// The dead are reaped on a full server.
func fullReap(r *rig) {
	r, fill := r.own()
	r.enqueue(r.jobs(2)...)
	dead, _ := r.doomed(2, false)
	w := r.join(Options{})
	r.overdueLease(dead)
	fill(true)
	r.eventually("the dead worker is reaped", func() bool { w.beat(); return !r.isWorker(dead) })
	r.want("taken", len(w.takeN(2)), 2)
}

// A worker leaves a full server with nothing in its hand.
func fullClose(r *rig) {
	r, fill := r.own()
	w, _ := r.held()
	fill(true)
	r.must(w.Close(r.Context()))
	r.holds(byState{backend.Ready: 1}, 0)
}

// A person can get rid of jobs on a full server.
func fullCancel(r *rig) {
	r, fill := r.own()
	parked, ready := r.overdue(time.Second), r.enqueue(r.job())[0]
	w := r.join(Options{})
	fill(true)
	r.cancel(parked)
	r.cancel(ready)
	w.none()
	r.holds(byState{}, 2)
}
