package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// Guarantee: after its context has ended a worker takes nothing, lets handlers
// finish while it beats and settles on, and leaves nothing held.
func TestShutdownLetsHandlersFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.pushN(10)
		r := drive(t, Config{Concurrency: 4, ShutdownTimeout: time.Hour, Run: lasting(20 * time.Minute)}, s)
		time.Sleep(time.Minute)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != 19*time.Minute {
			t.Errorf("stopped after %s, want the 19 m that the handlers needed", took)
		}
		s.nothingHeld(t)
		if len(s.ended) != 4 || len(s.line) != 6 || s.opened != 1 {
			t.Errorf("%d settled, %d in line, %d incarnations; want 4, 6, 1", len(s.ended), len(s.line), s.opened)
		}
	})
}

// Guarantee: handlers that are not done within ShutdownTimeout see ErrShutdown;
// what they release goes back uncharged.
func TestShutdownTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		out := make(chan ending, 1)
		r := drive(t, Config{ShutdownTimeout: 10 * time.Second, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			untilEnded(out)(ctx, d)
			return backend.Settlement{Verdict: backend.Release}
		}}, s)
		s.push("a")
		synctest.Wait()
		r.stop()
		got := <-out
		if !errors.Is(got.cause, backend.ErrShutdown) || got.after != 10*time.Second {
			t.Errorf("ended with %v after %s", got.cause, got.after)
		}
		if v := s.settled("a"); len(v) != 1 || v[0] != backend.Release || len(s.line) != 1 {
			t.Errorf("settled %v, %d in line", v, len(s.line))
		}
		s.nothingHeld(t)
	})
}

// Guarantee: Abort ends the contexts at once, also in the middle of a shutdown.
func TestAbort(t *testing.T) {
	for _, during := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer("q")
			out := make(chan ending, 1)
			r := drive(t, Config{Run: untilEnded(out)}, s)
			s.push("a")
			time.Sleep(time.Second)
			if during {
				r.cancel()
				time.Sleep(time.Second)
			}
			began := time.Now()
			r.Abort()
			r.Abort()
			<-r.done
			if got := <-out; !errors.Is(got.cause, backend.ErrShutdown) || time.Since(began) > 0 {
				t.Errorf("ended with %v after %s", got.cause, time.Since(began))
			}
			r.stop()
			s.nothingHeld(t)
		})
	}
}

// Guarantee: a handler that ignores the end of its context holds nobody up: it
// is named, its job is given back by Close, and its late word is not heard.
func TestStubbornHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newServer("q")
		free := make(chan struct{})
		r := drive(t, Config{Logger: slog.New(slog.NewTextHandler(&out, nil)), ShutdownTimeout: time.Second, Run: func(context.Context, *backend.Delivery) backend.Settlement {
			<-free
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		s.push("mule")
		synctest.Wait()
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("stopped after %s", took)
		}
		if len(s.line) != 1 || s.line[0].s != 0 {
			t.Error("its job was not given back uncharged")
		}
		s.nothingHeld(t)
		if !strings.Contains(out.String(), "job=mule") {
			t.Errorf("it was not named:\n%s", out.String())
		}
		close(free)
		synctest.Wait()
		if v := s.settled("mule"); len(v) != 0 {
			t.Errorf("its late word was heard: %v", v)
		}
	})
}

// Guarantee: a shutdown while the server is away ends in bounded time and says
// what is left there.
func TestShutdownWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := drive(t, Config{ShutdownTimeout: 5 * time.Second, Run: lasting(time.Second)}, s)
		s.push("a")
		synctest.Wait()
		s.set(func() {
			for _, op := range []string{"take", "wait", "settle", "beat", "close"} {
				s.before[op] = hang
			}
		})
		began := time.Now()
		r.cancel()
		<-r.done
		if r.err == nil || !strings.Contains(r.err.Error(), `"q"`) {
			t.Errorf("Run: %v, want an error that names the queue", r.err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// Guarantee: a worker that never reached its server stops at once.
func TestShutdownBeforeJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.before["beat"] = func(context.Context) error { return errDown }
		r := drive(t, Config{Run: done}, s)
		time.Sleep(time.Minute)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// Guarantee: what a Take brings after the stop goes back, unrun; what a Wait
// popped at that moment is not left in arrivals.
func TestTakeAndWaitInFlightAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newServer("a"), newServer("b")
		a.push("a1")
		a.after["take"] = func(context.Context) error { time.Sleep(2 * time.Second); return nil }
		var runs atomic.Int64
		r := drive(t, Config{Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			runs.Add(1)
			return done(ctx, d)
		}}, a, b)
		synctest.Wait()
		b.set(func() { // popped, and the engine not told before it stops
			b.arrivals = append(b.arrivals, &entry{id: "b1", n: 1})
		})
		r.stop()
		if runs.Load() != 0 {
			t.Errorf("%d runs after the stop", runs.Load())
		}
		if v := a.settled("a1"); len(v) != 1 || v[0] != backend.Release {
			t.Errorf("a1: settled %v", v)
		}
		if len(b.arrivals) != 0 || len(b.line) != 1 {
			t.Errorf("%d in arrivals, %d in line", len(b.arrivals), len(b.line))
		}
		a.nothingHeld(t)
	})
}
