package engine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

func (s *server) suspect(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.suspects = append(s.suspects, &entry{id: id, n: 3, s: 2})
	}
}

// together notes with which other jobs each job ran.
func together(s *server, run time.Duration) (func(context.Context, *backend.Delivery) backend.Settlement, map[string]int) {
	most := make(map[string]int)
	now := make(map[string]bool)
	return func(ctx context.Context, d *backend.Delivery) backend.Settlement {
		s.set(func() {
			now[d.ID] = true
			for id := range now {
				most[id] = max(most[id], len(now))
			}
		})
		defer s.set(func() { delete(now, d.ID) })
		return lasting(run)(ctx, d)
	}, most
}

// Guarantee: an idle worker takes a suspect with its next pulse; a suspect runs
// while nothing else is held, and several run one after the other.
func TestIdleWorkerTakesSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newServer("a"), newServer("b")
		run, most := together(a, 3*time.Second)
		r := drive(t, Config{Run: run}, a, b)
		time.Sleep(10 * time.Second)
		a.suspect("s1", "s2", "s3")
		time.Sleep(1500 * time.Millisecond)
		b.push("b1")
		time.Sleep(20 * time.Second)
		for _, id := range []string{"s1", "s2", "s3"} {
			if v := a.settled(id); len(v) != 1 || most[id] != 1 {
				t.Errorf("%s: settled %v, ran beside %d others", id, v, most[id]-1)
			}
		}
		if v := b.settled("b1"); len(v) != 1 {
			t.Errorf("b1: settled %v, the worker did not go on", v)
		}
		r.stop()
	})
}

// Guarantee: a suspect that a beat's own reaping brought to light, after the beat
// had counted, is not left waiting for the next one.
func TestReapedSuspectIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		r := drive(t, Config{Run: lasting(10 * time.Millisecond)}, s)
		synctest.Wait()
		s.set(func() { s.dying = []*entry{{id: "s1", n: 3, s: 2}} })
		for get(s, func() bool { return len(s.dying) > 0 }) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if v := s.settled("s1"); len(v) != 1 {
			t.Errorf("settled %v 50 ms after the reaping", v)
		}
		r.stop()
	})
}

// Guarantee: a busy worker falls quiet for a suspect, holds nothing when it
// asks for it, and goes on afterwards.
func TestBusyWorkerFallsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newServer("a"), newServer("b")
		run, most := together(a, 300*time.Millisecond)
		a.pushN(600)
		b.pushN(600)
		r := drive(t, Config{Concurrency: 10, Run: run}, a, b)
		time.Sleep(5 * time.Second)
		a.suspect("poison")
		time.Sleep(60 * time.Second)
		if v := a.settled("poison"); len(v) != 1 || most["poison"] != 1 {
			t.Errorf("settled %v, ran beside %d others", v, most["poison"]-1)
		}
		if n := len(a.ended) + len(b.ended); n != 1201 {
			t.Errorf("%d of 1201 jobs settled", n)
		}
		a.set(func() {
			for _, held := range a.aloneHeld {
				if len(held) > 0 {
					t.Errorf("asked alone while holding %v", held)
				}
			}
		})
		r.stop()
	})
}

// Guarantee: a worker that cannot get empty gives up falling quiet after a
// lease, and at once when the suspects are gone.
func TestGivesUpBeingQuiet(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer("q")
			r := drive(t, Config{Concurrency: 2, Lease: s.lease, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
				if d.ID == "long" {
					return lasting(time.Hour)(ctx, d)
				}
				return done(ctx, d)
			}}, s)
			s.push("long")
			synctest.Wait()
			s.suspect("poison")
			time.Sleep(2 * time.Second)
			s.push("next")
			time.Sleep(time.Second)
			if v := s.settled("next"); len(v) != 0 {
				t.Error("the worker took a job though it wants to be empty")
			}
			patience := s.lease + 2*time.Second
			if gone {
				s.set(func() { s.suspects = nil })
				patience = 1100 * time.Millisecond
			}
			time.Sleep(patience)
			if v := s.settled("next"); len(v) != 1 {
				t.Errorf("gone %v: the worker did not go on", gone)
			}
			r.Abort()
			r.stop()
		})
	}
}

// Guarantee: about one worker in all falls quiet for one suspect, not everyone.
func TestFewFallQuiet(t *testing.T) {
	e := New(Config{Concurrency: 1})
	quiet := 0
	for range 10000 {
		l := &lane{e: e, name: "q"}
		e.suspects, e.held = pursuit{}, 1
		e.heedSuspects(l, backend.Pulse{Suspects: 2, Workers: 20})
		if e.suspects.phase == wanted {
			quiet++
		}
	}
	if quiet < 800 || quiet > 1200 {
		t.Errorf("%d of 10000 pulses made a worker quiet, want about a tenth", quiet)
	}
}

// Guarantee: after a Take whose reply was lost no Take alone is sent before
// beats have shown what it may have brought.
func TestUnsureWorkerIsNotEmptyHanded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		lose := true
		s.after["take"] = func(context.Context) error {
			if lose {
				lose = false
				return errDown
			}
			return nil
		}
		s.push("ghost")
		s.suspect("poison")
		run, most := together(s, 5*time.Second)
		r := drive(t, Config{Run: run}, s)
		time.Sleep(30 * time.Second)
		for _, id := range []string{"ghost", "poison"} {
			if v := s.settled(id); len(v) != 1 || most[id] != 1 {
				t.Errorf("%s: settled %v, ran beside %d others", id, v, most[id]-1)
			}
		}
		s.set(func() {
			if fmt.Sprint(s.aloneHeld) == "[]" {
				t.Error("nobody asked alone")
			}
			for _, held := range s.aloneHeld {
				if len(held) > 0 && lose {
					t.Errorf("asked alone while holding %v", held)
				}
			}
		})
		r.stop()
	})
}
