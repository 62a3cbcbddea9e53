package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// patience is how long a measurement waits for jobs before it calls them lost.
const patience = time.Minute

// ledger counts how often each job was run. A benchmark that loses or doubles
// jobs measures nothing: it fails.
type ledger struct {
	runs  []atomic.Int32
	done  atomic.Int64
	alien atomic.Int64
	all   chan struct{} // closed when so many were run as there are jobs
}

func newLedger(jobs int) *ledger {
	return &ledger{runs: make([]atomic.Int32, jobs), all: make(chan struct{})}
}

// enter notes a run of job n.
func (l *ledger) enter(n int) {
	if n < 0 || n >= len(l.runs) {
		l.alien.Add(1)
		return
	}
	l.runs[n].Add(1)
	if l.done.Add(1) == int64(len(l.runs)) {
		close(l.all)
	}
}

func (l *ledger) handle(p []byte) { l.enter(number(p)) }

// wait returns when so many runs were entered as there are jobs.
func (l *ledger) wait(ctx context.Context, patience time.Duration) error {
	select {
	case <-l.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("after %v only %d of %d jobs were run", patience, l.done.Load(), len(l.runs))
	}
}

// check says whether every job was run once and nothing else was. Call it when
// the worker has stopped.
func (l *ledger) check() error {
	never, again := 0, 0
	for i := range l.runs {
		switch n := l.runs[i].Load(); {
		case n == 0:
			never++
		case n > 1:
			again++
		}
	}
	if alien := l.alien.Load(); never > 0 || again > 0 || alien > 0 {
		return fmt.Errorf("of %d jobs %d were never run and %d more than once; %d runs were of no job", len(l.runs), never, again, alien)
	}
	return nil
}

// left fails unless exactly want jobs lie in the server, at the latest after a
// moment: a worker that has stopped may still be settling.
func left(ctx context.Context, s system, want int) error {
	for try := 0; ; try++ {
		n, err := s.Left(ctx)
		if err != nil {
			return err
		}
		if n == int64(want) {
			return nil
		}
		if try == 100 {
			return fmt.Errorf("%d jobs lie in the server, there should be %d", n, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
