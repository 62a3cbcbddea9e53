package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// start takes jobs from the buffer for every free slot. Under mu.
func (e *Engine) start() []*job {
	n := min(e.buffer.len(), e.cfg.Concurrency-e.running)
	if n <= 0 {
		return nil
	}
	jobs := make([]*job, 0, n)
	for range n {
		jobs = append(jobs, e.next())
	}
	return jobs
}

// next hands the oldest buffered job to a slot; nil when the slot shall end.
// Under mu.
func (e *Engine) next() *job {
	if e.running >= e.cfg.Concurrency {
		return nil
	}
	j := e.buffer.pop()
	if j != nil {
		j.phase = running
		j.inc.running++
		e.running++
	}
	return j
}

// spawn opens a slot for each job. Never under mu.
func (e *Engine) spawn(jobs ...*job) {
	for _, j := range jobs {
		e.slots.Go(func() { e.slot(j) })
	}
}

// slot runs job after job while there are some.
func (e *Engine) slot(j *job) {
	began := time.Now()
	defer func() {
		if j == nil {
			return
		}
		// The run ended this goroutine. The slot goes on in another one.
		if next := e.ended(j, j.said, time.Since(began)); next != nil {
			e.spawn(next)
		}
	}()
	for j != nil {
		s := e.run(j)
		now := time.Now()
		j = e.ended(j, s, now.Sub(began))
		began = now
	}
}

// run leaves its answer in j.said when it does not return.
func (e *Engine) run(j *job) (s backend.Settlement) {
	ctx := &j.run
	returned := false
	defer func() {
		if !returned {
			s = e.broken(ctx, j.d, recover())
			j.said = s
		}
		ctx.finish()
	}()
	if ctx.Err() != nil {
		s = backend.Settlement{Verdict: backend.Release}
	} else {
		s = e.cfg.Run(ctx, j.d)
	}
	returned = true
	return s
}

// ended says what became of a run, and returns the slot's next job.
func (e *Engine) ended(j *job, s backend.Settlement, took time.Duration) *job {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	j.inc.running--
	e.mean += (took - e.mean) / 16
	if j.inc.over {
		e.held--
		e.suspects.settled(j)
	} else {
		j.inc.word(j, s)
	}
	next := e.next()
	if e.hungry && e.worthTaking() || e.suspects.phase != calm {
		e.wake()
	}
	e.changed()
	return next
}

// broken is the word about a run that Config.Run did not answer for. The rules
// of a retry are framework's; this keeps the job from being lost or run for ever.
func (e *Engine) broken(ctx context.Context, d *backend.Delivery, value any) backend.Settlement {
	if value == nil && e.cfg.Exited != nil {
		return e.cfg.Exited(ctx, d)
	}
	what := "handler ended its goroutine (runtime.Goexit)"
	if value != nil {
		what = fmt.Sprintf("panic: %v", value)
	}
	if d.Attempt+1 >= d.MaxAttempts && d.MaxAttempts > 0 {
		return backend.Settlement{Verdict: backend.Dead, Reason: "failed", Error: what}
	}
	return backend.Settlement{Verdict: backend.Retry, Delay: time.Second, Error: what}
}
