package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// lane is one configured queue through all its incarnations.
type lane struct {
	e        *Engine
	name     string
	weight   int
	open     func() backend.Queue
	failures *outages
	closeErr error // written by serve, read after it has ended

	// Under e.mu.
	inc      *incarnation // nil while none has joined
	paused   bool
	sick     bool // the last Take failed: probe with one job, reserve nothing
	deficit  int  // jobs that it may still take in this turn
	suspects int  // as the last pulse saw them
}

// serve opens one incarnation after another until the engine closes.
func (l *lane) serve(work, handlers context.Context) {
	var again backoff
	for {
		i := l.newIncarnation(work, handlers)
		born := time.Now()
		if !i.join() {
			l.e.own.Go(i.bury)
		} else if l.outlive(i) {
			return
		}
		if time.Since(born) > l.e.cfg.Lease {
			again = backoff{}
		}
		if !rest(work, l.e.halted, again.next()) {
			return
		}
	}
}

// outlive runs an incarnation that has joined. It returns true when it was
// closed because the engine ends, false when it was lost.
func (l *lane) outlive(i *incarnation) bool {
	i.loop(i.fetch)
	i.loop(i.flush)
	i.loop(i.beats)
	l.e.wake()
	select {
	case <-i.gone:
		l.e.own.Go(i.bury)
		return false
	case <-l.e.closing:
		l.closeErr = i.close()
		return true
	}
}

func (e *Engine) closeErrors() error {
	var errs []error
	for _, l := range e.lanes {
		if l.closeErr != nil {
			errs = append(errs, fmt.Errorf("close queue %q (what it held comes back when its lease runs out): %w", l.name, l.closeErr))
		}
	}
	return errors.Join(errs...)
}

// ready: the lane could carry out a Take now. Under e.mu.
func (l *lane) ready() bool { return l.free() && !l.inc.empty }

// thirsty: the line was empty; the lane could wait now. Under e.mu.
func (l *lane) thirsty() bool { return l.free() && l.inc.empty }

func (l *lane) free() bool {
	return l.inc != nil && l.inc.state == idle && !l.paused && !l.full()
}

// full: so much waits to be settled that more is not to be run for now.
func (l *lane) full() bool { return l.inc.unsettled >= l.e.cfg.maxUnsettled() }

// competes: the lane has something to take, or is about to know, or to have
// settled enough. A sick one does not count, nor one whose calls hang: nobody
// waits for those.
func (l *lane) competes() bool {
	i := l.inc
	switch {
	case i == nil || l.sick || l.paused:
		return false
	case i.state == taking:
		return !i.slow
	case i.state == idle && !i.empty && l.full():
		return i.inFlight > 0 && time.Since(i.flushed) < slowTake
	}
	return l.ready()
}
