package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	bulkSize  = 1000
	preloader = 16 // producers that fill a queue where there is no bulk call
)

// measureEnqueue lets producers enqueue for a while: one, 16 at a time, and in bulk.
func measureEnqueue(ctx context.Context, t *trial) error {
	for _, w := range []struct {
		measure         string
		producers, size int
	}{{"enqueue 1", 1, 1}, {"enqueue 16", 16, 1}, {"enqueue bulk", 1, bulkSize}} {
		if w.size > 1 && !t.bulk {
			continue
		}
		if err := t.enqueueFor(ctx, w.measure, w.producers, w.size); err != nil {
			return fmt.Errorf("%s: %w", w.measure, err)
		}
	}
	return nil
}

func (t *trial) enqueueFor(ctx context.Context, measure string, producers, size int) error {
	s, err := t.system(ctx, fmt.Sprintf("q%d_%d", producers, size))
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Enqueue(ctx, payload(0)); err != nil { // connects
		return err
	}
	m, err := startMeter(ctx, t.server)
	if err != nil {
		return err
	}
	jobs := payloads(0, size)
	n, err := inParallel(producers, func(sent *int) error {
		for time.Since(m.began) < t.flags.enqueueFor {
			if err := s.Enqueue(ctx, jobs...); err != nil {
				return err
			}
			*sent += size
		}
		return nil
	})
	if err != nil {
		return err
	}
	c, err := m.read(ctx)
	if err != nil {
		return err
	}
	t.record(measure, float64(n)/c.took.Seconds())
	t.record(measure+" client", c.client/float64(n)*1e6)
	t.record(measure+" server", c.server/float64(n)*1e6)
	return left(ctx, s, n+1)
}

// inParallel runs f in so many goroutines and returns the sum of what they sent.
func inParallel(n int, f func(sent *int) error) (int, error) {
	var wg sync.WaitGroup
	sent, errs := make([]int, n), make([]error, n)
	for i := range n {
		wg.Go(func() {
			var own int // not in the slice: neighbours would share a cache line
			errs[i] = f(&own)
			sent[i] = own
		})
	}
	wg.Wait()
	sum := 0
	for i := range n {
		if errs[i] != nil {
			return 0, errs[i]
		}
		sum += sent[i]
	}
	return sum, nil
}

// measureDrain lets a worker with so many slots run what lies in a full queue,
// from its start to the last handler's return.
func measureDrain(ctx context.Context, t *trial, slots int) error {
	s, err := t.system(ctx, "full")
	if err != nil {
		return err
	}
	defer s.Close()
	jobs := t.flags.jobs * t.drains / 100
	if err := firstOf(preload(ctx, t, s, jobs), left(ctx, s, jobs)); err != nil {
		return fmt.Errorf("preload: %w", err)
	}
	l := newLedger(jobs)
	m, err := startMeter(ctx, t.server)
	if err != nil {
		return err
	}
	stop, err := s.Work(slots, l.handle)
	if err != nil {
		return err
	}
	waited := l.wait(ctx, patience)
	c, err := m.read(ctx)
	if err := firstOf(waited, err, stop(), l.check(), left(ctx, s, 0)); err != nil {
		return err
	}
	t.recordDrain(fmt.Sprintf("drain %d", slots), jobs, c)
	return nil
}

func (t *trial) recordDrain(measure string, jobs int, c cost) {
	n := float64(jobs)
	t.record(measure, n/c.took.Seconds())
	t.record(measure+" client", c.client/n*1e6)
	t.record(measure+" server", c.server/n*1e6)
	t.record(measure+" commands", c.commands/n)
	t.record(measure+" reads", c.reads/n)
}

// preload fills a queue with jobs of the numbers from 0 on, in the fastest way
// that the system has.
func preload(ctx context.Context, t *trial, s system, jobs int) error {
	producers, size := preloader, 1
	if t.bulk {
		producers, size = 1, bulkSize
	}
	var next atomic.Int64
	_, err := inParallel(producers, func(*int) error {
		for {
			from := int(next.Add(int64(size))) - size
			if from >= jobs {
				return nil
			}
			if err := s.Enqueue(ctx, payloads(from, min(size, jobs-from))...); err != nil {
				return err
			}
		}
	})
	return err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// measureMemory fills a queue and asks the server what that took.
func measureMemory(ctx context.Context, t *trial) error {
	s, err := t.system(ctx, "waiting")
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Enqueue(ctx, payload(0)); err != nil { // scripts, names, counters
		return err
	}
	before, err := t.server.info(ctx)
	if err != nil {
		return err
	}
	if err := preload(ctx, t, s, t.flags.waiting); err != nil {
		return err
	}
	after, err := t.server.info(ctx)
	if err := firstOf(err, left(ctx, s, t.flags.waiting+1)); err != nil {
		return err
	}
	t.record("memory", (after.memory()-before.memory())/float64(t.flags.waiting))
	return nil
}
