package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/colonyq/colony/framework/backend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Guarantee: every job of a queue is run and settled once, and never more at a
// time than there are slots.
func TestRunsEverythingOnce(t *testing.T) {
	s := newServer("q")
	s.pushN(5000)
	var now, most, runs atomic.Int64
	finished := make(chan struct{})
	r := drive(t, Config{Concurrency: 10, Run: func(context.Context, *backend.Delivery) backend.Settlement {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		if runs.Add(1) == 5000 {
			close(finished)
		}
		return backend.Settlement{Verdict: backend.Done}
	}}, s)
	<-finished
	r.stop()
	s.nothingHeld(t)
	if runs.Load() != 5000 || len(s.ended) != 5000 {
		t.Errorf("%d runs, %d settled, want 5000 each", runs.Load(), len(s.ended))
	}
	for id, said := range s.ended {
		if len(said) != 1 || said[0].Verdict != backend.Done {
			t.Fatalf("%s was settled %v", id, said)
		}
	}
	if most.Load() > 10 {
		t.Errorf("%d handlers at a time, want at most 10", most.Load())
	}
}

// Guarantee: an idle worker picks a job up with no delay of its own: the Wait's
// return, one Take, one Settle. Idle, it sends about a command a second.
func TestIdlePickUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		var picked time.Time
		r := drive(t, Config{Run: func(context.Context, *backend.Delivery) backend.Settlement {
			picked = time.Now()
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		time.Sleep(30 * time.Second)
		calls := get(s, func() int { return s.calls["beat"] + s.calls["take"] + s.calls["wait"] })
		if calls > 50 {
			t.Errorf("%d calls in 30 idle seconds", calls)
		}
		takes := get(s, func() int { return s.calls["take"] })
		pushed := time.Now()
		s.push("a")
		synctest.Wait()
		if picked.IsZero() || picked.Sub(pushed) > 0 {
			t.Errorf("picked up at %v, pushed at %v", picked, pushed)
		}
		if n := get(s, func() int { return s.calls["take"] }); n-takes != 1 {
			t.Errorf("%d takes for one job while it waited, want 1 (and a wait next)", n-takes)
		}
		if v := s.settled("a"); len(v) != 1 {
			t.Errorf("settled %v", v)
		}
		r.stop()
	})
}

// Guarantee: a handler that ends its goroutine, or whose panic escaped, costs a
// failure of its job and no slot.
func TestGoexitAndPanicKeepTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		r := drive(t, Config{Concurrency: 1, Run: func(_ context.Context, d *backend.Delivery) backend.Settlement {
			switch d.ID {
			case "goexit":
				runtime.Goexit()
			case "panic":
				panic("boom")
			}
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		s.push("goexit", "panic", "fine")
		synctest.Wait()
		for id, want := range map[string]backend.Verdict{"goexit": backend.Retry, "panic": backend.Retry, "fine": backend.Done} {
			if v := s.settled(id); len(v) != 1 || v[0] != want {
				t.Errorf("%s: settled %v, want %v", id, v, want)
			}
		}
		if n := r.Stats(); n.Running != 0 || n.Held != 0 {
			t.Errorf("left over: %+v", n)
		}
		r.stop()
	})
}

// Guarantee: a cancelled job's context ends with ErrCanceled and it is settled
// as cancelled, whatever its handler says; one that has not started never runs.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		var cause error
		r := drive(t, Config{Concurrency: 1, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return backend.Settlement{Verdict: backend.Retry}
		}}, s)
		s.push("a")
		synctest.Wait()
		s.set(func() { s.cancels["a"] = true })
		r.Wake("q")
		synctest.Wait()
		if !errors.Is(cause, backend.ErrCanceled) {
			t.Errorf("cause %v", cause)
		}
		if v := s.settled("a"); len(v) != 1 || v[0] != backend.Canceled {
			t.Errorf("settled %v", v)
		}
		r.stop()
	})
}

// Guarantee: a paused queue is neither taken from nor waited on, and goes on
// once a beat says so.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.paused = true
		r := drive(t, Config{Run: done}, s)
		s.push("a")
		time.Sleep(5 * time.Second)
		if n := get(s, func() int { return s.calls["wait"] + s.calls["take"] }); n != 0 {
			t.Errorf("%d takes and waits of a paused queue", n)
		}
		s.set(func() { s.paused = false })
		r.Wake("q")
		synctest.Wait()
		if v := s.settled("a"); len(v) != 1 {
			t.Errorf("settled %v after the pause", v)
		}
		s.set(func() { s.paused = true })
		r.Wake("q")
		synctest.Wait()
		s.push("b")
		time.Sleep(5 * time.Second)
		if v := s.settled("b"); len(v) != 0 {
			t.Errorf("settled %v in the second pause", v)
		}
		r.stop()
		s.nothingHeld(t)
	})
}

// Guarantee: a Take whose reply was lost loses nothing: its jobs come back as
// ghosts and are run once.
func TestLostTakeReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		var once sync.Once
		s.after["take"] = func(context.Context) (err error) {
			if len(s.hands[1]) > 0 {
				once.Do(func() { err = errDown })
			}
			return err
		}
		s.push("a", "b")
		r := drive(t, Config{Run: done}, s)
		time.Sleep(5 * time.Second)
		for _, id := range []string{"a", "b"} {
			if v := s.settled(id); len(v) != 1 || v[0] != backend.Done {
				t.Errorf("%s: settled %v", id, v)
			}
		}
		r.stop()
		s.nothingHeld(t)
	})
}

// Guarantee: an outage is told once and its end once, not per try, and work
// goes on by itself.
func TestOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newServer("q")
		down := func(context.Context) error { return errDown }
		s.before["take"] = down
		r := drive(t, Config{Run: done, Logger: slog.New(slog.NewTextHandler(&out, nil))}, s)
		s.push("a")
		time.Sleep(20 * time.Second)
		tries := get(s, func() int { return s.calls["take"] })
		if tries < 15 || tries > 50 {
			t.Errorf("%d tries in 20 s, want a back-off to one a second", tries)
		}
		s.set(func() { delete(s.before, "take") })
		time.Sleep(2 * time.Second)
		if v := s.settled("a"); len(v) != 1 {
			t.Errorf("settled %v after the outage", v)
		}
		r.stop()
		if n := strings.Count(out.String(), "op=take"); n != 2 {
			t.Errorf("%d lines, want one for the start and one for the end:\n%s", n, out.String())
		}
	})
}

// Guarantee: a wrong Config is told by Run, all problems at once.
func TestValidate(t *testing.T) {
	err := New(Config{Concurrency: -1, Queues: []Queue{{Name: "a", Weight: 2000}, {Name: "a", Open: newServer("a").open}}}).Run(t.Context())
	for _, want := range []string{"concurrency", "weight", "open", "twice", "run:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word about %q in: %v", want, err)
		}
	}
}

// Guarantee: a queue of another backend ends Run with that error.
func TestWrongBackendEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.before["beat"] = func(context.Context) error { return backend.ErrWrongBackend }
		r := drive(t, Config{Run: done}, s)
		<-r.done
		if !errors.Is(r.err, backend.ErrWrongBackend) {
			t.Errorf("Run: %v", r.err)
		}
	})
}

// Guarantee: with Drained set, Run ends by itself once the question is answered
// yes, and it is asked only while nothing is held.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.pushN(50)
		asked := 0
		why := errors.New("one is paused")
		r := drive(t, Config{Concurrency: 3, Run: lasting(time.Second), Drained: func(context.Context) (bool, error) {
			if n := get(s, func() int { return len(s.hands[1]) }); n != 0 {
				t.Errorf("asked while holding %d", n)
			}
			asked++
			return asked == 2, why
		}}, s)
		<-r.done
		if !errors.Is(r.err, why) || len(s.ended) != 50 {
			t.Errorf("Run: %v with %d of 50 settled", r.err, len(s.ended))
		}
		s.nothingHeld(t)
	})
}

// Guarantee: a Wait whose wake-up is lost costs a moment: the beat sees that the
// line is not empty and has the queue asked.
func TestLostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.before["wait"] = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := drive(t, Config{Run: done}, s)
		synctest.Wait()
		s.push("a")
		time.Sleep(3500 * time.Millisecond)
		if v := s.settled("a"); len(v) != 1 {
			t.Errorf("settled %v after 3.5 s", v)
		}
		r.stop()
	})
}

// troubled is a queue whose beats renew the lease and nothing more.
type troubled struct{ backend.Queue }

func (q troubled) Beat(ctx context.Context) (backend.Pulse, error) {
	p, err := q.Queue.Beat(ctx)
	p.Trouble = backend.ErrWrongType
	return p, err
}

// Guarantee: what keeps a beat from looking around is told once, and every
// pulse is handed on with the queue's present incarnation.
func TestPulsesAreHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newServer("q")
		s.wrap = func(q backend.Queue) backend.Queue { return troubled{q} }
		pulses := 0
		r := drive(t, Config{Run: done, Logger: slog.New(slog.NewTextHandler(&out, nil)), OnPulse: func(name string, q backend.Queue, p backend.Pulse) {
			if _, ours := q.(troubled); !ours || name != "q" || p.Workers != 1 {
				t.Errorf("pulse of %q: %+v", name, p)
			}
			pulses++
		}}, s)
		time.Sleep(10 * time.Second)
		r.stop()
		if pulses < 10 || pulses > 13 {
			t.Errorf("%d pulses in 10 s", pulses)
		}
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("%d lines, want one about the trouble:\n%s", n, out.String())
		}
	})
}
