package engine

import (
	"context"
	"errors"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// shutdown brings everything home: handlers first, then their settlements, then
// the queues, which each lane closes for itself. Beats go on until then.
func (e *Engine) shutdown(endHandlers context.CancelCauseFunc) {
	e.halt()
	quiet := func() bool { return e.running == 0 }
	if !e.await(e.cfg.ShutdownTimeout, e.abort, quiet) {
		endHandlers(backend.ErrShutdown)
	}
	if e.await(stubborn, nil, quiet) {
		e.slots.Wait()
	} else {
		e.nameStubborn()
	}
	e.await(e.cfg.callTimeout(), nil, e.flushed)
	close(e.closing)
}

// halt stops taking for good and gives back what has not started.
func (e *Engine) halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopping = true
	e.fullTimer.Stop()
	close(e.halted)
	for _, l := range e.lanes {
		if l.inc != nil {
			l.inc.cutWait()
			l.inc.release(func(*job) bool { return true })
		}
	}
}

// flushed: every word was answered and no Take can still bring something.
// Words that were refused are not waited for: Close gives those jobs back.
func (e *Engine) flushed() bool {
	for _, l := range e.lanes {
		if i := l.inc; i != nil && (len(i.pending.jobs) > 0 || i.inFlight > 0 || i.state == taking) {
			return false
		}
	}
	return true
}

// nameStubborn says which handlers are left behind.
func (e *Engine) nameStubborn() {
	e.mu.Lock()
	var left []*backend.Delivery
	for _, l := range e.lanes {
		if l.inc == nil {
			continue
		}
		for _, j := range l.inc.hand {
			if j.phase == running {
				left = append(left, j.d)
			}
		}
	}
	e.mu.Unlock()
	for _, d := range left {
		e.log.Error("handler ignores the end of its context and is left behind; its job is released", "queue", d.Queue, "kind", d.Kind, "job", d.ID)
	}
}

// close gives everything back and leaves. What a stubborn handler says later is
// not heard.
func (i *incarnation) close() error {
	loose := i.leave()
	i.awaitLoops()
	ctx, done := i.lastCall(i.e.cfg.callTimeout())
	defer done()
	if loose {
		// A Wait may have popped something that no Take has seen.
		if _, err := i.q.Beat(ctx); err != nil {
			i.e.log.Warn("last beat failed: another worker's will bring back what this one has popped", "queue", i.l.name, "error", err)
		}
	}
	if err := i.q.Close(ctx); err != nil && !errors.Is(err, backend.ErrLost) {
		return err
	}
	return nil
}

// bury frees what a lost incarnation's Queue value holds, once its handlers have
// returned or had half a lease to do so. When the server had not noticed the loss
// (it was the server that was away), this brings the jobs back, uncharged, within
// the grace that follows an outage; so it tries for as long as that lasts.
func (i *incarnation) bury() {
	i.leave()
	i.e.await(i.e.cfg.Lease/2, i.e.closing, func() bool { return i.running == 0 })
	i.awaitLoops()
	var again backoff
	for {
		ctx, done := i.lastCall(min(time.Second, i.e.cfg.callTimeout()))
		err := i.q.Close(ctx)
		done()
		if err == nil || errors.Is(err, backend.ErrLost) {
			return
		}
		if !rest(context.WithoutCancel(ctx), i.e.closing, again.next()) {
			return
		}
	}
}

// leave ends the incarnation's part in the engine, if it has not ended before,
// and its calls. It says whether a Wait may have left something loose.
func (i *incarnation) leave() (loose bool) {
	i.e.mu.Lock()
	if !i.over {
		i.drop()
	}
	loose = !i.looseAt.IsZero() || i.state == waiting
	i.e.mu.Unlock()
	i.quit()
	i.end(backend.ErrShutdown)
	return loose
}

// awaitLoops waits for the fetcher, the flusher and the beater, whose contexts
// have ended. A backend that ignores them is left behind.
func (i *incarnation) awaitLoops() {
	if i.e.await(2*i.e.cfg.callTimeout(), nil, func() bool { return i.loops == 0 }) {
		i.wg.Wait()
		return
	}
	i.e.log.Error("a call to the queue ignores the end of its context and is left behind", "queue", i.l.name)
}

// lastCall is the context of what must be said although everything has ended.
func (i *incarnation) lastCall(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(i.calls), d)
}
