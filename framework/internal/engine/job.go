package engine

import (
	"sync/atomic"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

type phase uint8

const (
	buffered phase = iota // taken, not started
	running               // a handler has it
	ended                 // waits to be settled
)

// job is one delivery in this worker's hands.
type job struct {
	inc      *incarnation
	d        *backend.Delivery
	at       int // its place in inc.hand
	phase    phase
	suspect  bool
	refusals int
	since    time.Time // when it was taken

	canceled atomic.Bool
	run      runContext
	said     backend.Settlement // about a run that ended its goroutine
}

// abandon ends the run because a person cancelled the job, or the one that will
// begin.
func (j *job) abandon() {
	j.canceled.Store(true)
	j.run.cancel(backend.ErrCanceled)
}

func (j *job) is(d *backend.Delivery) bool { return j.d.ID == d.ID && j.d.N == d.N }

// fifo is a queue of jobs.
type fifo struct {
	items []*job
	head  int
}

func (f *fifo) len() int { return len(f.items) - f.head }

func (f *fifo) push(j *job) {
	if f.head > 1024 && f.head > f.len() { // a fifo that never runs empty must not grow for ever
		f.remove(func(*job) bool { return false })
	}
	f.items = append(f.items, j)
}

func (f *fifo) pop() *job {
	if f.len() == 0 {
		return nil
	}
	j := f.items[f.head]
	f.items[f.head] = nil
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return j
}

// remove takes out every job that out names, and returns them in order.
func (f *fifo) remove(out func(*job) bool) []*job {
	var gone []*job
	kept := f.items[:0]
	for _, j := range f.items[f.head:] {
		if out(j) {
			gone = append(gone, j)
		} else {
			kept = append(kept, j)
		}
	}
	clear(f.items[len(kept):])
	f.items, f.head = kept, 0
	return gone
}
