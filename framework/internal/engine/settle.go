package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// words are settlements beside the jobs that they are about.
type words struct {
	jobs []*job
	said []backend.Settlement
}

func (w *words) add(j *job, s backend.Settlement) {
	w.jobs = append(w.jobs, j)
	w.said = append(w.said, s)
}

func (w *words) reset() {
	clear(w.jobs)
	clear(w.said)
	w.jobs, w.said = w.jobs[:0], w.said[:0]
}

// refusal is a word that the backend could not apply; it is said again at its time.
type refusal struct {
	j  *job
	s  backend.Settlement
	at time.Time
}

// word says what became of a job. It is sent with the next flush. Under e.mu.
func (i *incarnation) word(j *job, s backend.Settlement) {
	s.Delivery = j.d
	if j.canceled.Load() {
		s = backend.Settlement{Delivery: j.d, Verdict: backend.Canceled}
	}
	j.phase = ended
	i.unsettled++
	i.pending.add(j, s)
	if len(i.pending.jobs) == 1 {
		poke(i.flushNow)
	}
}

// flush settles what has ended, batch after batch: while one is on its way the
// next one gathers. With nothing else to do a word goes out at once.
func (i *incarnation) flush() {
	var batch words
	for i.gather(&batch) {
		if !i.send(batch) {
			return
		}
		batch.reset()
	}
}

// gather waits for something to settle. It returns false at the end.
func (i *incarnation) gather(batch *words) bool {
	for {
		again, ok := i.cut(batch)
		if ok {
			return true
		}
		t := time.NewTimer(again)
		select {
		case <-i.flushNow:
		case <-t.C:
		case <-i.calls.Done():
			t.Stop()
			return false
		}
		t.Stop()
	}
}

// cut moves up to a full batch out of pending; batch is empty before. When there
// is none it says when the next refused word is due.
func (i *incarnation) cut(batch *words) (again time.Duration, ok bool) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	again = i.readmit()
	if n := len(i.pending.jobs); n <= backend.MaxBatchJobs {
		*batch, i.pending = i.pending, *batch
	} else {
		batch.jobs = append(batch.jobs, i.pending.jobs[:backend.MaxBatchJobs]...)
		batch.said = append(batch.said, i.pending.said[:backend.MaxBatchJobs]...)
		var left words
		left.jobs = append(left.jobs, i.pending.jobs[backend.MaxBatchJobs:]...)
		left.said = append(left.said, i.pending.said[backend.MaxBatchJobs:]...)
		i.pending = left
	}
	i.inFlight, i.flushed = len(batch.jobs), time.Now()
	return again, i.inFlight > 0
}

// readmit moves refused words whose time has come to pending, and returns how
// long it is until the next one's. Under e.mu.
func (i *incarnation) readmit() time.Duration {
	again := time.Hour
	kept := i.refused[:0]
	for _, r := range i.refused {
		if left := time.Until(r.at); left > 0 {
			again = min(again, left)
			kept = append(kept, r)
		} else {
			i.pending.add(r.j, r.s)
		}
	}
	clear(i.refused[len(kept):])
	i.refused = kept
	return again
}

// send settles a batch, however often that takes. It returns false when the
// incarnation is over.
func (i *incarnation) send(batch words) bool {
	for {
		out, err := i.callSettle(batch.said)
		switch {
		case err == nil:
			i.l.failures.worked("settle")
			i.settled(batch, out)
			return true
		case errors.Is(err, backend.ErrLost):
			i.lose(err)
			return false
		case i.calls.Err() != nil:
			return false
		}
		if !rest(i.calls, nil, i.l.failures.failed("settle", err)) {
			return false
		}
	}
}

func (i *incarnation) callSettle(said []backend.Settlement) ([]backend.Outcome, error) {
	ctx, done := context.WithTimeout(i.calls, i.e.cfg.callTimeout())
	defer done()
	out, err := i.q.Settle(ctx, said)
	if err == nil && len(out) != len(said) {
		return nil, fmt.Errorf("%d outcomes for %d settlements", len(out), len(said))
	}
	return out, err
}

// settled takes what was answered for out of the hand.
func (i *incarnation) settled(batch words, out []backend.Outcome) {
	tell := i.account(batch, out)
	for _, say := range tell {
		say()
	}
	i.e.wake()
}

// account returns what is to be logged once the lock is free.
func (i *incarnation) account(batch words, out []backend.Outcome) (tell []func()) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	if i.over {
		return nil
	}
	i.inFlight = 0
	for n, j := range batch.jobs {
		switch out[n].State {
		case backend.Applied, backend.Already:
			i.letGo(j)
		case backend.Lost:
			i.letGo(j)
			i.e.lost++
			tell = append(tell, func() {
				i.e.log.Warn("settlement refused: the delivery is another worker's by now", "queue", i.l.name, "kind", j.d.Kind, "job", j.d.ID)
			})
		case backend.Refused:
			tell = append(tell, i.refuse(j, batch.said[n], out[n].Err))
		}
	}
	i.e.changed()
	return tell
}

// refuse keeps a word that could not be applied, with a delay that doubles from
// 100 ms to 30 s. The job stays held and its lease is kept. Under e.mu.
func (i *incarnation) refuse(j *job, s backend.Settlement, why error) func() {
	delay := min(100*time.Millisecond<<min(j.refusals, 10), 30*time.Second)
	j.refusals++
	i.refused = append(i.refused, refusal{j: j, s: s, at: time.Now().Add(delay)})
	return func() {
		i.e.log.Error("settlement could not be applied, will be tried again", "queue", i.l.name, "kind", j.d.Kind, "job", j.d.ID, "in", delay, "error", why)
	}
}
