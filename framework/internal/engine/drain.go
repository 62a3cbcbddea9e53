package engine

import (
	"context"
	"time"
)

// watchDrain asks Config.Drained whenever the worker has nothing to do, and ends
// Run once it says yes.
func (e *Engine) watchDrain(ctx context.Context) {
	t := time.NewTicker(drainEvery)
	defer t.Stop()
	failures := newOutages(e.log, "")
	for {
		select {
		case <-t.C:
		case <-e.halted:
			return
		case <-ctx.Done():
			return
		}
		if !e.quiet() {
			continue
		}
		done, err := e.askDrained(ctx)
		switch {
		case done:
			e.end(err)
			return
		case err != nil:
			failures.failed("drained", err)
		default:
			failures.worked("drained")
		}
	}
}

func (e *Engine) askDrained(ctx context.Context) (bool, error) {
	ctx, done := context.WithTimeout(ctx, e.cfg.callTimeout())
	defer done()
	return e.cfg.Drained(ctx)
}

// quiet: the worker holds nothing, and every queue is waiting or paused.
func (e *Engine) quiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.emptyHanded() || e.suspects.phase != calm {
		return false
	}
	for _, l := range e.lanes {
		if l.inc == nil || !l.paused && l.inc.state != waiting {
			return false
		}
	}
	return true
}
