package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// idlers is how many idle workers, each with a queue of its own, are asked at
// the same time: some systems answer so late that one of them would give few
// samples. An idle worker does not disturb its neighbours.
const (
	idlers    = 8
	idleSlots = 10
	maxGap    = 500 * time.Millisecond // between two questions
	settle    = time.Second            // after a worker's start, until it is idle
)

// measurePickup enqueues single jobs for idle workers, at random moments, and
// takes the time from before the call to the handler's start, in ms.
func measurePickup(ctx context.Context, t *trial) error {
	var wg sync.WaitGroup
	errs := make([]error, idlers)
	for i := range idlers {
		wg.Go(func() { errs[i] = t.askIdler(ctx, fmt.Sprintf("idle%d", i)) })
	}
	wg.Wait()
	return firstOf(errs...)
}

func (t *trial) askIdler(ctx context.Context, queue string) error {
	s, err := t.system(ctx, queue)
	if err != nil {
		return err
	}
	defer s.Close()
	began := make(chan time.Time, 1)
	stop, err := s.Work(idleSlots, func([]byte) { began <- time.Now() })
	if err != nil {
		return err
	}
	time.Sleep(settle)
	asked := t.ask(ctx, s, began)
	return firstOf(asked, stop(), left(ctx, s, 0))
}

// ask enqueues one job after the other and waits for each.
func (t *trial) ask(ctx context.Context, s system, began <-chan time.Time) error {
	for end := time.Now().Add(t.flags.pickupFor); time.Now().Before(end); {
		time.Sleep(rand.N(maxGap))
		asked := time.Now()
		if err := s.Enqueue(ctx, payload(0)); err != nil {
			return err
		}
		select {
		case at := <-began:
			t.record("pickup", ms(at.Sub(asked)))
		case <-time.After(patience):
			return errors.New("a job was not picked up")
		}
	}
	if len(began) > 0 {
		return errors.New("a job was run twice")
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measureDelay enqueues jobs that are due at moments between a half and two
// seconds later and takes how much later than due their handlers start, in ms.
func measureDelay(ctx context.Context, t *trial) error {
	s, err := t.system(ctx, "delayed")
	if err != nil {
		return err
	}
	defer s.Close()
	l := newLedger(t.flags.delayed)
	starts := make([]time.Time, t.flags.delayed)
	stop, err := s.Work(idleSlots, func(p []byte) {
		if n := number(p); n >= 0 && n < len(starts) {
			starts[n] = time.Now()
		}
		l.handle(p)
	})
	if err != nil {
		return err
	}
	time.Sleep(settle)
	due, enqueued := enqueueDelayed(ctx, s, t.flags.delayed)
	if enqueued != nil {
		return firstOf(stop(), skipNone(enqueued))
	}
	if err := firstOf(l.wait(ctx, patience), stop(), l.check(), left(ctx, s, 0)); err != nil {
		return err
	}
	for i := range due {
		t.record("delay", ms(starts[i].Sub(due[i])))
	}
	return nil
}

func enqueueDelayed(ctx context.Context, s system, n int) ([]time.Time, error) {
	due := make([]time.Time, n)
	for i := range due {
		d := 500*time.Millisecond + rand.N(1500*time.Millisecond)
		due[i] = time.Now().Add(d)
		if err := s.EnqueueIn(ctx, payload(i), d); err != nil {
			return nil, err
		}
	}
	return due, nil
}

func skipNone(err error) error {
	if errors.Is(err, errNone) {
		return nil
	}
	return err
}

// measureIdle watches one idle worker with one queue: what it sends, and what
// the server runs because of it (the commands in its scripts count as well).
func measureIdle(ctx context.Context, t *trial) error {
	s, err := t.system(ctx, "idle")
	if err != nil {
		return err
	}
	defer s.Close()
	stop, err := s.Work(idleSlots, func([]byte) {})
	if err != nil {
		return err
	}
	time.Sleep(2 * settle)
	sent, ran, err := monitor(ctx, t.server.addr, t.flags.idleFor)
	if err := firstOf(err, stop()); err != nil {
		return err
	}
	t.record("idle sent", float64(sent)/t.flags.idleFor.Seconds())
	t.record("idle ran", float64(ran)/t.flags.idleFor.Seconds())
	return nil
}

// monitor counts the commands that clients sent, and these and those that
// scripts called.
func monitor(ctx context.Context, a address, d time.Duration) (sent, ran int, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, a.network, a.addr)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, 0, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, 0, err
	}
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		var n net.Error
		switch {
		case errors.As(err, &n) && n.Timeout():
			return sent, ran, nil
		case err != nil:
			return 0, 0, err
		case line == "+OK\r\n":
			continue
		case !strings.Contains(line, " lua] "): // +1700000000.123456 [0 lua] "zcard" …
			sent++
		}
		ran++
	}
}
