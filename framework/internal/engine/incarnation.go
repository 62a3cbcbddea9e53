package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// fetchState is what an incarnation's fetcher does.
type fetchState uint8

const (
	idle fetchState = iota
	taking
	waiting
	resting // after an error
)

// incarnation is one right to hold deliveries of one queue: a Queue value, its
// lease and its hand.
//
// It keeps contexts because it is one: what lives below it ends with it.
type incarnation struct {
	e *Engine
	l *lane
	q backend.Queue

	ctx   context.Context // parent of its deliveries' contexts
	end   context.CancelCauseFunc
	calls context.Context // of its calls to the backend
	quit  context.CancelFunc

	gone     chan struct{}  // closed when it is lost
	wg       sync.WaitGroup // fetcher, flusher, beater
	orders   chan order     // 1: for the fetcher, sent only while it is idle
	flushNow chan struct{}  // 1
	beatNow  chan struct{}  // 1

	// Under e.mu.
	over      bool // lost or closed: nothing it says counts any more
	deadline  time.Time
	watchdog  *time.Timer
	state     fetchState
	empty     bool // the last Take found the end of the line
	slow      bool // the Take in flight is late; its slots are given to others
	since     time.Time
	stopWait  context.CancelFunc
	reserved  int       // of e.reserved, by the Take in flight
	looseAt   time.Time // when a Wait ended that neither Take nor Beat has followed; zero = none
	unsure    int       // beats until a Take's lost reply must have shown its ghosts
	unsureAt  time.Time
	loops     int // fetcher, flusher, beater: those that have not ended
	hand      []*job
	running   int // handlers of its deliveries that have not returned
	unsettled int
	pending   words     // ended, to be settled
	inFlight  int       // being settled now
	flushed   time.Time // when these were first sent
	refused   []refusal
}

func (l *lane) newIncarnation(work, handlers context.Context) *incarnation {
	i := &incarnation{
		e: l.e, l: l, q: l.open(),
		gone:     make(chan struct{}),
		orders:   make(chan order, 1),
		flushNow: make(chan struct{}, 1),
		beatNow:  make(chan struct{}, 1),
	}
	i.ctx, i.end = context.WithCancelCause(handlers)
	i.calls, i.quit = context.WithCancel(work)
	return i
}

// join beats until it is let in. It gives up when the engine stops, when the
// incarnation is refused, and for good when the queue has another backend.
func (i *incarnation) join() bool {
	for {
		sent := time.Now()
		p, err := i.callBeat()
		if err == nil && time.Since(sent) < i.e.cfg.Lease {
			i.l.failures.worked("beat")
			i.tellTrouble(p.Trouble)
			return i.enter(sent, p)
		}
		if errors.Is(err, backend.ErrLost) {
			return false
		}
		if errors.Is(err, backend.ErrWrongBackend) {
			i.e.end(fmt.Errorf("queue %q: %w", i.l.name, err))
		}
		if err == nil {
			err = errors.New("the first beat took longer than the lease")
		}
		if !rest(i.calls, i.e.halted, i.l.failures.failed("beat", err)) {
			return false
		}
	}
}

// enter makes the incarnation its lane's present one.
func (i *incarnation) enter(sent time.Time, p backend.Pulse) bool {
	i.e.mu.Lock()
	if i.e.stopping {
		i.e.mu.Unlock()
		return false
	}
	i.deadline = sent.Add(i.e.cfg.Lease)
	i.watchdog = time.AfterFunc(time.Until(i.deadline), i.watch)
	i.l.inc, i.l.sick, i.l.deficit = i, false, 0
	i.e.mu.Unlock()
	i.feel(sent, p)
	return true
}

// watch ends the incarnation when its lease is over by our own clock.
func (i *incarnation) watch() {
	i.e.mu.Lock()
	left := time.Until(i.deadline)
	if left > 0 && !i.over {
		i.watchdog.Reset(left)
	}
	i.e.mu.Unlock()
	if left <= 0 {
		i.lose(errors.New("no beat got through for as long as the lease"))
	}
}

// lose ends the incarnation: its deliveries belong to others now.
func (i *incarnation) lose(why error) {
	i.e.mu.Lock()
	if i.over {
		i.e.mu.Unlock()
		return
	}
	n := i.drop()
	i.e.lost += int64(n)
	i.e.mu.Unlock()
	i.end(backend.ErrLeaseLost)
	i.quit()
	close(i.gone)
	i.e.log.Warn("lease lost, going on under a new incarnation", "queue", i.l.name, "deliveries", n, "error", why)
	i.e.wake()
}

// drop takes the incarnation out of all accounts and returns how many
// deliveries it held. Running ones stay in held until their handlers return.
// Under e.mu.
func (i *incarnation) drop() int {
	i.over = true
	if i.watchdog != nil {
		i.watchdog.Stop()
	}
	if i.l.inc == i {
		i.l.inc = nil
	}
	if i.state == taking {
		i.e.takes--
	}
	i.unreserve()
	i.e.buffer.remove(func(j *job) bool { return j.inc == i })
	for _, j := range i.hand {
		if j.phase != running {
			i.e.held--
			i.e.suspects.settled(j)
		}
	}
	n := len(i.hand)
	i.hand, i.pending, i.refused, i.unsettled, i.inFlight = nil, words{}, nil, 0, 0
	i.e.suspects.forsake(i.l)
	i.e.changed()
	return n
}

func (i *incarnation) unreserve() {
	i.e.reserved -= i.reserved
	i.reserved = 0
}

// hold puts a delivery into the hand. Under e.mu.
func (i *incarnation) hold(j *job) {
	j.at = len(i.hand)
	i.hand = append(i.hand, j)
	i.e.held++
}

// letGo takes a settled job out of the hand. Under e.mu.
func (i *incarnation) letGo(j *job) {
	last := len(i.hand) - 1
	i.hand[j.at] = i.hand[last]
	i.hand[j.at].at = j.at
	i.hand[last] = nil
	i.hand = i.hand[:last]
	i.unsettled--
	i.e.held--
	i.e.suspects.settled(j)
}

// find returns the held job that d names, or nil. Under e.mu.
func (i *incarnation) find(d *backend.Delivery) *job {
	n := slices.IndexFunc(i.hand, func(j *job) bool { return j.is(d) })
	if n < 0 {
		return nil
	}
	return i.hand[n]
}

// adopt takes deliveries into the hand and the buffer. Under e.mu.
func (i *incarnation) adopt(ds []*backend.Delivery, suspect bool) {
	now := time.Now()
	made := make([]job, len(ds))
	for n, d := range ds {
		j := &made[n]
		j.inc, j.d, j.since, j.suspect, j.run.parent = i, d, now, suspect, i.ctx
		i.hold(j)
		if i.e.stopping {
			i.word(j, backend.Settlement{Verdict: backend.Release})
		} else {
			i.e.buffer.push(j)
		}
	}
}

// release gives back what is buffered and named by which, uncharged. Under e.mu.
func (i *incarnation) release(which func(*job) bool) {
	for _, j := range i.e.buffer.remove(func(j *job) bool { return j.inc == i && which(j) }) {
		i.word(j, backend.Settlement{Verdict: backend.Release})
	}
}

// loop runs one of the incarnation's goroutines.
func (i *incarnation) loop(f func()) {
	i.e.mu.Lock()
	i.loops++
	i.e.mu.Unlock()
	i.wg.Go(func() {
		f()
		i.e.mu.Lock()
		defer i.e.mu.Unlock()
		i.loops--
		i.e.changed()
	})
}

// beatSoon asks for a beat before its time.
func (i *incarnation) beatSoon() { poke(i.beatNow) }
