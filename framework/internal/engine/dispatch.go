package engine

import (
	"context"
	"time"
)

// order is what the dispatcher has a fetcher do: a Take of up to max, or a Wait
// when wait is set.
type order struct {
	max   int
	alone bool
	wait  context.Context // ends when waiting is no longer wanted
}

func (e *Engine) dispatchLoop(ctx context.Context) {
	for {
		select {
		case <-e.kick:
			e.dispatch()
		case <-ctx.Done():
			return
		}
	}
}

// dispatch gives every idle fetcher something to do, as far as there is room.
func (e *Engine) dispatch() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping || e.gathering() {
		return
	}
	if e.suspects.phase != calm {
		e.hungry = false
		e.stopWaits()
		e.takeAlone()
		return
	}
	e.passSlow()
	e.probe()
	for e.worthTaking() {
		l, n := e.choose(e.room())
		if l == nil {
			break
		}
		l.inc.orderTake(order{max: n}, n)
	}
	e.orderWaits()
	e.noteHunger()
}

// gathering: a queue has not answered its first beat yet. Whoever came first
// would get every slot; so nobody takes until all are there, for a moment.
func (e *Engine) gathering() bool {
	if time.Since(e.began) >= slowTake {
		return false
	}
	for _, l := range e.lanes {
		if l.inc == nil {
			return true
		}
	}
	return false
}

// capacity is how many deliveries may be in hand and not ended.
func (e *Engine) capacity() int { return e.cfg.Concurrency + e.ahead() }

// room is how many more may be taken.
func (e *Engine) room() int { return e.capacity() - e.running - e.buffer.len() - e.reserved }

// ahead is how many more jobs than slots may be in hand: none unless jobs are
// very short, and then no more than will have started in a moment.
func (e *Engine) ahead() int {
	if e.mean >= shortRun {
		return 0
	}
	c := e.cfg.Concurrency
	soon := int64(aheadFor) * int64(c) / int64(max(e.mean, time.Microsecond))
	return int(min(soon, int64(aheadTimes*c)))
}

// worthTaking: a Take would come at once to a free slot, or there is room for a
// batch of some size. So the takes of a worker of short jobs stay large.
func (e *Engine) worthTaking() bool {
	room := e.room()
	if room <= 0 {
		return false
	}
	free := e.cfg.Concurrency - e.running - e.buffer.len() - e.reserved
	return free > 0 || room >= e.capacity()/4
}

// probe lets a lane whose last Take failed try one job. No slot is kept for it.
func (e *Engine) probe() {
	if e.room() <= 0 {
		return
	}
	for _, l := range e.lanes {
		if l.sick && l.ready() {
			l.inc.orderTake(order{max: 1}, 0)
		}
	}
}

// passSlow takes slots and turn from lanes whose Take does not come back. A
// beat of any lane brings the dispatcher here in time.
func (e *Engine) passSlow() {
	for _, l := range e.lanes {
		if i := l.inc; i != nil && i.state == taking && time.Since(i.since) > slowTake {
			i.slow = true
			i.unreserve()
		}
	}
}

// orderWaits lets lanes with an empty line wait while there is room, and stops
// them when there has been none for a while: what they popped would only lie in
// arrivals.
func (e *Engine) orderWaits() {
	if e.room() <= 0 {
		e.stopWaitsWhenFull()
		return
	}
	e.fullSince = time.Time{}
	for _, l := range e.lanes {
		if l.thirsty() {
			l.inc.orderWait()
		}
	}
}

func (e *Engine) stopWaitsWhenFull() {
	switch {
	case e.fullSince.IsZero():
		e.fullSince = time.Now()
		e.fullTimer.Reset(fullFor)
	case time.Since(e.fullSince) >= fullFor:
		e.stopWaits()
	}
}

func (e *Engine) stopWaits() {
	for _, l := range e.lanes {
		if l.inc != nil {
			l.inc.cutWait()
		}
	}
}

// noteHunger decides whether the end of a job is worth a look.
func (e *Engine) noteHunger() {
	e.hungry = false
	for _, l := range e.lanes {
		e.hungry = e.hungry || l.free()
	}
}

// orderTake and orderWait are called only while the fetcher is idle, so orders
// has room for one. Under e.mu.
func (i *incarnation) orderTake(o order, reserve int) {
	i.state, i.since, i.slow = taking, time.Now(), false
	i.reserved = reserve
	i.e.reserved += reserve
	i.e.takes++
	i.orders <- o
}

func (i *incarnation) orderWait() {
	i.state, i.since = waiting, time.Now()
	ctx, stop := context.WithCancel(i.calls)
	i.stopWait = stop
	i.orders <- order{wait: ctx}
}

// cutWait ends a Wait in flight. Under e.mu.
func (i *incarnation) cutWait() {
	if i.state == waiting {
		i.stopWait()
	}
}
