package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// causes collects why handlers' contexts ended, and after how long.
type ending struct {
	cause error
	after time.Duration
}

func untilEnded(out chan ending) func(context.Context, *backend.Delivery) backend.Settlement {
	return func(ctx context.Context, _ *backend.Delivery) backend.Settlement {
		began := time.Now()
		<-ctx.Done()
		out <- ending{context.Cause(ctx), time.Since(began)}
		return backend.Settlement{Verdict: backend.Done}
	}
}

// Guarantee: a handler's context ends with ErrLeaseLost when the lease is over
// by the own clock, even while every Beat hangs; the result is discarded; and
// work goes on under a new incarnation once the server answers.
func TestHungBeatLosesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		out := make(chan ending, 10)
		r := drive(t, Config{Lease: s.lease, Run: untilEnded(out)}, s)
		s.push("a")
		synctest.Wait()
		never := make(chan struct{})
		s.set(func() {
			s.before["beat"] = func(context.Context) error { <-never; return errDown } // ignores its context
		})
		got := <-out
		if !errors.Is(got.cause, backend.ErrLeaseLost) || got.after > s.lease {
			t.Errorf("the context ended with %v after %s, want ErrLeaseLost within %s", got.cause, got.after, s.lease)
		}
		synctest.Wait()
		if v := s.settled("a"); len(v) != 0 {
			t.Errorf("a lost delivery was settled %v", v)
		}
		if n := r.Stats(); n.Held != 0 || n.Running != 0 || n.Lost != 1 {
			t.Errorf("after the loss: %+v", n)
		}
		s.set(func() { delete(s.before, "beat") })
		close(never)
		s.expire()
		time.Sleep(2 * time.Second)
		if n := get(s, func() int { return len(s.line) + len(s.hands[1]) }); n != 0 {
			t.Errorf("the new incarnation did not take the job up")
		}
		r.Abort()
		r.stop()
	})
}

// Guarantee: beats renew the lease for as long as they get through, and a job
// may run for many leases.
func TestBeatsKeepTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		r := drive(t, Config{Lease: s.lease, Run: lasting(time.Hour)}, s)
		s.push("a")
		time.Sleep(time.Hour + time.Second)
		if v := s.settled("a"); len(v) != 1 || v[0] != backend.Done || s.opened != 1 {
			t.Errorf("settled %v by %d incarnations", v, s.opened)
		}
		r.stop()
	})
}

// Guarantee: ErrLost from any call ends the incarnation: contexts end with
// ErrLeaseLost, and the queue is opened anew and served on.
func TestErrLostFromAnyCall(t *testing.T) {
	for _, op := range []string{"take", "wait", "settle", "beat"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer("q")
				out := make(chan ending, 10)
				r := drive(t, Config{Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
					if d.ID == "short" || d.N > 1 {
						return backend.Settlement{Verdict: backend.Done}
					}
					return untilEnded(out)(ctx, d)
				}}, s)
				s.push("long")
				synctest.Wait()
				s.set(func() {
					s.before[op] = func(context.Context) error { return backend.ErrLost }
				})
				s.push("short") // makes every call happen
				got := <-out
				if !errors.Is(got.cause, backend.ErrLeaseLost) {
					t.Errorf("cause %v", got.cause)
				}
				s.set(func() { delete(s.before, op) })
				s.expire()
				time.Sleep(20 * time.Second)
				for _, id := range []string{"long", "short"} {
					if v := s.settled(id); len(v) != 1 {
						t.Errorf("%s: settled %v", id, v)
					}
				}
				r.stop()
				s.nothingHeld(t)
			})
		})
	}
}

// Guarantee: a lease that has run out on the server's clock alone (it jumped) and
// was not reaped costs nothing: a beat renews it, what runs goes on.
func TestLateTakeCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		free := make(chan struct{})
		r := drive(t, Config{Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			if d.ID == "long" {
				<-free
			}
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		s.push("long")
		synctest.Wait()
		late := true
		s.set(func() {
			s.before["take"] = func(context.Context) error {
				if late {
					late = false
					return backend.ErrLate
				}
				return nil
			}
		})
		s.push("short")
		time.Sleep(2 * time.Second)
		close(free)
		time.Sleep(2 * time.Second)
		for _, id := range []string{"long", "short"} {
			if v := s.settled(id); len(v) != 1 || v[0] != backend.Done {
				t.Errorf("%s: settled %v", id, v)
			}
		}
		if lost := r.Stats().Lost; late || lost != 0 {
			t.Errorf("late %v, lost %d", late, lost)
		}
		r.stop()
		s.nothingHeld(t)
	})
}

// Guarantee: when it was the server that was away for longer than the lease,
// the jobs whose handlers have ended are given back when it returns, uncharged.
func TestReturnAfterOutageIsUncharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.lease = time.Hour // the server has nobody reaped
		out := make(chan ending, 10)
		r := drive(t, Config{Lease: 15 * time.Second, Run: untilEnded(out)}, s)
		s.push("a")
		synctest.Wait()
		down := func(context.Context) error { return errDown }
		s.set(func() {
			for _, op := range []string{"take", "wait", "settle", "beat", "close"} {
				s.before[op] = down
			}
		})
		<-out
		time.Sleep(5 * time.Second)
		s.set(func() { clear(s.before) })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.set(func() {
			if len(s.hands[1]) != 0 {
				t.Error("the lost incarnation still holds the job")
			}
			for inc := range s.hands {
				for _, e := range s.hands[inc] {
					if e.s != 0 || e.n != 2 {
						t.Errorf("the job came back with n=%d s=%d, want 2 and 0", e.n, e.s)
					}
				}
			}
		})
		r.Abort()
		r.stop()
		s.nothingHeld(t)
	})
}

// Guarantee: a Take that comes back after the lease was lost starts nothing.
func TestLateTakeStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		ran := make(chan int64, 10)
		free := make(chan struct{})
		s.after["take"] = func(context.Context) error {
			if s.opened == 1 {
				<-free
			}
			return nil
		}
		s.push("a")
		r := drive(t, Config{Run: func(_ context.Context, d *backend.Delivery) backend.Settlement {
			ran <- d.S
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		synctest.Wait()
		s.expire()
		r.Wake("q")
		synctest.Wait()
		close(free)
		time.Sleep(5 * time.Second)
		r.stop()
		close(ran)
		if n := <-ran; n != 1 {
			t.Errorf("a run with %d stalls, want only that of the recovered delivery (1)", n)
		}
		if _, more := <-ran; more {
			t.Error("the job ran twice")
		}
	})
}
