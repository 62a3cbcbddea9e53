package faults

import (
	"syscall"
	"time"
)

// processFaults strike workers.
func processFaults() []fault {
	deaths := func(do string) func(r *rig) {
		return func(r *rig) { r.submit(payload{MS: 20, Do: do}, payload{MS: 20, Do: do}) }
	}
	faults := []fault{
		{name: "kill -9 of a worker before the run", do: deaths(dieBefore)},
		{name: "kill -9 of a worker in the run", do: deaths(dieIn)},
		{name: "kill -9 of a worker after the run", do: deaths(dieAfter)},
		{name: "kill -9 of a worker between two batches", quiet: true, do: killBetweenBatches},
		{name: "kill -9 of every worker in turn", do: killEach},
		{name: "SIGSTOP past the lease, then SIGCONT", do: stopPastLease},
		{name: "SIGSTOP of an idle worker, then a job arrives", quiet: true, workers: 2, do: stopIdle},
		{name: "a poison job among innocents", do: func(r *rig) {
			r.submit(payload{Do: Poison}, payload{MS: 20}, payload{MS: 20})
		}},
		{name: "SIGTERM in a rolling restart of three workers", do: func(r *rig) {
			for _, p := range r.crew() {
				p.restart()
			}
		}},
	}
	for i := range faults {
		faults[i].sites = sites()
	}
	return faults
}

func killEach(r *rig) {
	for _, p := range r.crew() {
		p.kill()
		r.last(300 * time.Millisecond)
	}
}

func killBetweenBatches(r *rig) {
	batch := make([]payload, 30)
	for i := range batch {
		batch[i].MS = 5
	}
	for _, p := range r.crew() {
		r.submit(batch...)
		r.settled()
		p.signal(syscall.SIGKILL) // nothing is held, so no hit may explain a second run
		r.tell(Event{Type: Healed})
		r.submit(batch...)
		r.settled()
	}
}

func stopPastLease(r *rig) {
	p := r.crew()[0]
	from := Now()
	p.signal(syscall.SIGSTOP)
	r.last(2 * r.lease)
	p.signal(syscall.SIGCONT)
	r.last(100 * time.Millisecond)
	r.hit(p.pid(), from)
}

func stopIdle(r *rig) {
	for _, p := range r.crew() {
		r.settled()
		from := Now()
		p.signal(syscall.SIGSTOP)
		r.tell(Event{Type: Healed}) // the recovery is that of a job that comes now
		r.submit(payload{MS: 1})
		r.last(2 * r.lease)
		p.signal(syscall.SIGCONT)
		r.hit(p.pid(), from)
	}
}
