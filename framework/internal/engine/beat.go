package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// beats renews the lease until the incarnation is over. The first beat is join's.
func (i *incarnation) beats() {
	every := i.e.cfg.beatInterval()
	next := every - rand.N(every/10+1)
	for {
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-i.beatNow:
		case <-i.calls.Done():
			t.Stop()
			return
		}
		t.Stop()
		next = every - rand.N(every/10+1)
		if pause := i.beat(); pause > 0 {
			next = min(next, pause)
		}
	}
}

// beat returns how long to rest when it failed.
func (i *incarnation) beat() time.Duration {
	sent := time.Now()
	p, err := i.callBeat()
	switch {
	case err == nil:
		i.l.failures.worked("beat")
		i.tellTrouble(p.Trouble)
		i.feel(sent, p)
		return 0
	case errors.Is(err, backend.ErrLost):
		i.lose(err)
		return 0
	case i.calls.Err() != nil:
		return 0
	}
	return i.l.failures.failed("beat", err)
}

// tellTrouble logs what a beat could not do beside renewing the lease.
func (i *incarnation) tellTrouble(why error) {
	if why == nil {
		i.l.failures.worked("look around")
		return
	}
	i.l.failures.failed("look around", why)
}

func (i *incarnation) callBeat() (backend.Pulse, error) {
	ctx, done := context.WithTimeout(i.calls, i.e.cfg.callTimeout())
	defer done()
	return i.q.Beat(ctx)
}

// feel acts on what a beat saw. The lease counts from before it was sent.
func (i *incarnation) feel(sent time.Time, p backend.Pulse) {
	jobs, canceled, ok := i.heed(sent, p)
	if !ok {
		return
	}
	i.e.spawn(jobs...)
	for _, j := range canceled {
		j.abandon()
	}
	if i.e.cfg.OnPulse != nil {
		i.e.cfg.OnPulse(i.l.name, i.q, p)
	}
	i.e.wake()
}

// heed returns jobs to start and jobs whose contexts are to end; false when the
// incarnation is over, and with it what the pulse says.
func (i *incarnation) heed(sent time.Time, p backend.Pulse) (start, canceled []*job, ok bool) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	if i.over {
		return nil, nil, false
	}
	i.deadline = sent.Add(i.e.cfg.Lease) // the watchdog looks at it when it fires
	if i.unsure > 0 && sent.After(i.unsureAt) {
		i.unsure--
	}
	if i.looseAt.Before(sent) {
		i.looseAt = time.Time{}
	}
	canceled = i.cancel(p.Canceled)
	i.heedPause(p.Paused)
	i.adoptGhosts(p.Ghosts)
	i.shed(p.Workers)
	i.hurryWait(p)
	if p.Reaped > 0 { // the pulse counted the suspects before, and more may be due
		i.beatSoon()
	}
	i.e.heedSuspects(i.l, p)
	return i.e.start(), canceled, true
}

// cancel settles cancelled jobs that have not started and returns those that
// run. One that ended by itself keeps its own word.
func (i *incarnation) cancel(ds []*backend.Delivery) (canceled []*job) {
	for _, d := range ds {
		j := i.find(d)
		switch {
		case j == nil || j.phase == ended:
		case j.phase == running:
			canceled = append(canceled, j)
		default:
			j.canceled.Store(true)
			i.release(func(b *job) bool { return b == j })
		}
	}
	return canceled
}

// heedPause stops the lane, and gives back what has not started, or lets it go on.
func (i *incarnation) heedPause(paused bool) {
	if i.l.paused && !paused {
		i.empty = false
	}
	i.l.paused = paused
	if paused {
		i.l.deficit = 0
		i.cutWait()
		i.release(func(*job) bool { return true })
	}
}

// adoptGhosts runs what a Take with a lost reply had brought, where it may run.
func (i *incarnation) adoptGhosts(ds []*backend.Delivery) {
	for _, d := range ds {
		if i.find(d) != nil {
			continue
		}
		suspect, keep := i.e.suspects.ghost(i.l, d)
		i.adopt([]*backend.Delivery{d}, suspect && keep)
		if i.l.paused || !keep {
			i.release(func(j *job) bool { return j.d == d })
		}
	}
}

// shed gives back what was prefetched and then stuck behind jobs that turned
// out long, so that other workers can have it, and ends prefetching until runs
// are short again.
func (i *incarnation) shed(workers int) {
	if workers < 2 {
		return
	}
	old := func(j *job) bool { return time.Since(j.since) > shedAfter }
	before := i.unsettled
	i.release(old)
	if i.unsettled > before {
		i.e.mean = max(i.e.mean, shedAfter)
	}
}

// hurryWait cuts a Wait that sleeps although the line is not empty: its wake-up
// was lost, or its connection hangs.
func (i *incarnation) hurryWait(p backend.Pulse) {
	if p.Waiting > 0 && i.state == waiting && time.Since(i.since) > 2*i.e.cfg.beatInterval() {
		i.cutWait()
	}
}
