package engine

import (
	"context"
	"errors"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// fetch carries out the dispatcher's orders, one at a time.
func (i *incarnation) fetch() {
	for {
		select {
		case <-i.calls.Done():
			return
		case o := <-i.orders:
			pause := i.obey(o)
			if pause > 0 && rest(i.calls, nil, pause) {
				i.rested()
			}
			i.e.wake()
		}
	}
}

// obey returns how long to rest: not at all unless the call failed.
func (i *incarnation) obey(o order) time.Duration {
	if o.wait != nil {
		return i.wait(o)
	}
	return i.take(o)
}

func (i *incarnation) rested() {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	i.state = idle
}

func (i *incarnation) take(o order) time.Duration {
	ctx, done := context.WithTimeout(i.calls, i.e.cfg.callTimeout())
	t, err := i.q.Take(ctx, o.max, o.alone)
	done()
	switch {
	case err == nil:
		i.l.failures.worked("take")
		i.e.spawn(i.took(o, t)...)
		return 0
	case errors.Is(err, backend.ErrLost):
		i.lose(err)
		return 0
	case errors.Is(err, backend.ErrPaused):
		i.l.failures.worked("take")
		i.foundPaused()
		return 0
	}
	if errors.Is(err, backend.ErrLate) {
		i.beatSoon() // after a jump of the server's clock it grants grace, and nothing in hand is lost
	}
	i.failedTake()
	if i.calls.Err() != nil {
		return 0
	}
	return i.l.failures.failed("take", err)
}

// returned settles the accounts of a Take that is back. It returns false when
// the incarnation is over: then they were settled before, and what came is
// somebody else's already.
func (i *incarnation) returned(next fetchState) bool {
	if i.over {
		return false
	}
	i.e.takes--
	i.unreserve()
	i.state, i.slow = next, false
	i.e.changed()
	return true
}

// took adopts what a Take brought and returns the jobs to start.
func (i *incarnation) took(o order, t backend.Taken) []*job {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	if !i.returned(idle) {
		return nil
	}
	got := len(t.Deliveries)
	i.looseAt = time.Time{}
	i.empty = got < o.max && !t.More
	if o.alone {
		i.e.suspects.answered(t.Suspect)
		i.empty = i.empty && !t.Suspect
	} else if !i.l.sick {
		i.l.refund(o.max, got, t.More)
	}
	i.l.sick = false
	i.adopt(t.Deliveries, t.Suspect)
	return i.e.start()
}

func (i *incarnation) foundPaused() {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	if !i.returned(idle) {
		return
	}
	i.l.paused, i.l.sick, i.l.deficit = true, false, 0
	i.e.suspects.forsake(i.l)
}

// failedTake: its reply may be lost and deliveries with it. Some beats that are
// sent from now on will show them as ghosts.
func (i *incarnation) failedTake() {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	if !i.returned(resting) {
		return
	}
	i.l.sick, i.l.deficit = true, 0
	i.unsure, i.unsureAt = doubtBeats, time.Now()
	i.e.suspects.failed(i.l)
}

func (i *incarnation) wait(o order) time.Duration {
	ctx, done := context.WithTimeout(o.wait, waitFor+i.e.cfg.callTimeout())
	err := i.q.Wait(ctx, waitFor)
	done()
	cut := o.wait.Err() != nil
	switch {
	case errors.Is(err, backend.ErrLost):
		i.lose(err)
		return 0
	case err == nil:
		i.l.failures.worked("wait")
	case !cut:
		i.waited(resting)
		return i.l.failures.failed("wait", err)
	}
	i.waited(idle)
	return 0
}

// waited makes the lane a candidate again. Whatever the Wait said, it may have
// popped something: where no Take will follow at once, a beat puts it back.
func (i *incarnation) waited(next fetchState) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	i.stopWait()
	if i.over {
		return
	}
	i.state, i.empty, i.looseAt = next, false, time.Now()
	if i.e.stopping || i.l.paused || i.e.suspects.phase != calm || i.e.room() <= 0 {
		i.beatSoon()
	}
}
