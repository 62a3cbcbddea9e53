package locks_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/colonyq/colony/locks"
)

// An expired holder cannot release the next one's lock: A acquires, B waits on the
// same Lock value, A's time runs out and B gets it, A releases: A gets an error and
// B still holds.
func TestTimeline(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		l := w.manager(t).Mutex("report:42", locks.Options{})
		a := acquired(t, l, within(t))
		if err := l.SetTTL(a, short); err != nil {
			t.Fatal(err)
		}
		b := acquired(t, l, within(t)) // waits for the end of A's TTL
		if cause := ended(t, a); !errors.Is(cause, locks.ErrLost) {
			t.Fatalf("A's context ended with %v", cause)
		}
		if err := l.Release(a); !errors.Is(err, locks.ErrNotOwned) {
			t.Fatalf("A's release: %v", err)
		}
		if owned, err := l.Owned(b); !owned || err != nil {
			t.Fatalf("B owns: %v, %v", owned, err)
		}
		if err := l.Release(b); err != nil {
			t.Fatal(err)
		}
	})
}

// The risk of a shared token, on the same timeline: A's release frees B's lock.
func TestTimelineWithSharedToken(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		l := w.manager(t).Mutex("report:42", locks.Options{SharedToken: true})
		a := acquired(t, l, within(t))
		if err := l.SetTTL(a, short); err != nil {
			t.Fatal(err)
		}
		b := acquired(t, l, within(t))
		ended(t, a)
		if err := l.Release(a); err != nil {
			t.Fatalf("A's release: %v", err)
		}
		if locked, err := l.Locked(within(t)); locked || err != nil {
			t.Fatalf("the lock of B is still there: %v, %v", locked, err)
		}
		if err := l.Release(b); !errors.Is(err, locks.ErrNotHeld) {
			t.Fatalf("B's release: %v", err)
		}
	})
}

// With a shared token one goroutine acquires and another, which knows nothing of
// its context, releases.
func TestSharedTokenAcrossGoroutines(t *testing.T) {
	l := standalone(t).manager(t).Mutex("a", locks.Options{SharedToken: true})
	acquired(t, l, within(t))
	released := make(chan error)
	go func() { released <- l.Release(context.Background()) }()
	if err := <-released; err != nil {
		t.Fatal(err)
	}
}

// A lock excludes, tells its state to everyone, and is free after its release.
func TestAcquireAndRelease(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, l, other := within(t), w.manager(t).Mutex("a", locks.Options{}), w.manager(t).Mutex("a", locks.Options{})
		held := acquired(t, l, ctx)
		if got, err := other.TryAcquire(ctx); !errors.Is(err, locks.ErrTaken) || got != ctx {
			t.Fatalf("second try: %v, %v", got, err)
		}
		if _, ok := l.Token(held); !ok {
			t.Fatal("no token")
		}
		if locked, err := other.Locked(ctx); !locked || err != nil {
			t.Fatalf("locked: %v, %v", locked, err)
		}
		if owned, err := l.Owned(held); !owned || err != nil {
			t.Fatalf("owned: %v, %v", owned, err)
		}
		if err := l.Release(held); err != nil {
			t.Fatal(err)
		}
		if cause := ended(t, held); !errors.Is(cause, locks.ErrNotHeld) {
			t.Fatalf("held ended with %v", cause)
		}
		if locked, err := other.Locked(ctx); locked || err != nil {
			t.Fatalf("locked after the release: %v, %v", locked, err)
		}
		if err := l.Release(held); !errors.Is(err, locks.ErrNotHeld) {
			t.Fatalf("second release: %v", err)
		}
	})
}

// A context without a token can do nothing to a lock.
func TestWithoutToken(t *testing.T) {
	ctx, l := within(t), standalone(t).manager(t).Mutex("a", locks.Options{})
	_, ownedErr := l.Owned(ctx)
	for what, err := range map[string]error{
		"release": l.Release(ctx), "extend": l.Extend(ctx, time.Second), "set ttl": l.SetTTL(ctx, time.Second),
		"reacquire": l.Reacquire(ctx), "owned": ownedErr,
	} {
		if !errors.Is(err, locks.ErrNotHeld) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, ok := l.Token(ctx); ok {
		t.Error("there is a token")
	}
	if _, ok := l.Fence(ctx); ok {
		t.Error("there is a fence")
	}
	if _, err := locks.Handover(ctx); !errors.Is(err, locks.ErrNotHeld) {
		t.Errorf("handover: %v", err)
	}
}

// Fences grow with every holder, also when the lock had expired in between.
func TestFencesGrow(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, l := within(t), w.manager(t).Mutex("a", locks.Options{})
		var last uint64
		for i := range 6 {
			held := acquired(t, l, ctx)
			fence, ok := l.Fence(held)
			if !ok || fence <= last {
				t.Fatalf("fence %d (%v) after %d", fence, ok, last)
			}
			last = fence
			end := l.Release
			if i == 3 { // the fourth is left to expire
				end = func(held context.Context) error { return l.SetTTL(held, short) }
			}
			if err := end(held); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Who holds the lock and asks for it again is told at once, not blocked for ever.
func TestAlreadyHeld(t *testing.T) {
	ctx, m := within(t), standalone(t).manager(t)
	l := m.Mutex("a", locks.Options{})
	held := acquired(t, l, ctx)
	again, err := m.Mutex("a", locks.Options{}).Acquire(held)
	if !errors.Is(err, locks.ErrAlreadyHeld) || again != held {
		t.Fatalf("%v, %v", again, err)
	}
	// After the release the context is as good as any other.
	if err := l.Release(held); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(acquired(t, l, context.WithoutCancel(held))); err != nil {
		t.Fatal(err)
	}
}

// A reentrant lock is free after as many releases as acquisitions.
func TestReentrant(t *testing.T) {
	ctx, l := within(t), standalone(t).manager(t).Mutex("a", locks.Options{Reentrant: true})
	outer := acquired(t, l, ctx)
	inner := acquired(t, l, outer)
	if err := l.Release(inner); err != nil {
		t.Fatal(err)
	}
	if owned, err := l.Owned(outer); !owned || err != nil {
		t.Fatalf("after the inner release: %v, %v", owned, err)
	}
	if err := l.Release(outer); err != nil {
		t.Fatal(err)
	}
	if locked, err := l.Locked(ctx); locked || err != nil {
		t.Fatalf("after the outer release: %v, %v", locked, err)
	}
}

// MaxWait ends a wait with ErrTaken, the end of the context with its own error; both
// leave nothing in line, and neither returns a nil context.
func TestWaitsEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		l := m.Mutex("a", locks.Options{})
		held := acquired(t, l, ctx)
		got, err := m.Mutex("a", locks.Options{MaxWait: time.Millisecond}).Acquire(ctx)
		if !errors.Is(err, locks.ErrTaken) || got != ctx {
			t.Fatalf("MaxWait: %v, %v", got, err)
		}
		cause := errors.New("enough")
		limited, cancel := context.WithCancelCause(ctx)
		done := async(limited, l)
		waiting(t, m, "a", 1)
		cancel(cause)
		if r := <-done; !errors.Is(r.err, context.Canceled) || !errors.Is(r.err, cause) || r.held != limited {
			t.Fatalf("cancelled: %v, %v", r.held, r.err)
		}
		if _, err := l.Acquire(limited); !errors.Is(err, context.Canceled) {
			t.Fatalf("on an ended context: %v", err)
		}
		waiting(t, m, "a", 0)
		if err := l.Release(held); err != nil {
			t.Fatal(err)
		}
	})
}

// A release wakes a waiter, which does not find out by asking: RetryEvery is an hour.
func TestReleaseWakes(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		o := locks.Options{TTL: time.Hour, RetryEvery: time.Hour}
		l := m.Mutex("a", o)
		held := acquired(t, l, ctx)
		done := async(ctx, w.manager(t).Mutex("a", o)) // in another process
		waiting(t, m, "a", 1)
		if err := l.Release(held); err != nil {
			t.Fatal(err)
		}
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
	})
}

// SetTTL, Extend and Reacquire change the time that is left, in Redis and in the
// held context; NoExpiry takes it away.
func TestRenewals(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		l := m.Mutex("a", locks.Options{TTL: time.Minute})
		held := acquired(t, l, ctx)
		step := func(err error, from, to time.Duration) {
			t.Helper()
			infos, lookErr := m.Inspect(ctx, "a")
			if err != nil || lookErr != nil || len(infos) != 1 {
				t.Fatal(err, lookErr, infos)
			}
			if ttl := infos[0].Holders[0].TTL; ttl < from || ttl > to {
				t.Fatalf("TTL is %v, want between %v and %v", ttl, from, to)
			}
		}
		step(l.SetTTL(held, time.Hour), 58*time.Minute, time.Hour)
		step(l.Extend(held, time.Hour), 116*time.Minute, 2*time.Hour)
		step(l.Reacquire(held), 58*time.Second, time.Minute)
		step(l.SetTTL(held, locks.NoExpiry), locks.NoExpiry, locks.NoExpiry)
		if err := l.Extend(held, time.Second); !errors.Is(err, locks.ErrNoTTL) {
			t.Fatalf("extend without a TTL: %v", err)
		}
		step(l.SetTTL(held, short), 0, short)
		if cause := ended(t, held); !errors.Is(cause, locks.ErrLost) {
			t.Fatal(cause)
		}
		if err := l.Reacquire(held); !errors.Is(err, locks.ErrNotOwned) {
			t.Fatalf("renewal of a lost lock: %v", err)
		}
	})
}

// AutoRenew keeps a lock beyond its TTL, and stops with the context; without a
// renewal the lock is free again.
func TestAutoRenew(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		parent, cancel := context.WithCancel(ctx)
		defer cancel()
		held := acquired(t, m.Mutex("a", locks.Options{TTL: 3 * time.Second, AutoRenew: true}), parent)
		plain := acquired(t, m.Mutex("b", locks.Options{TTL: 4 * time.Second}), ctx)
		ended(t, plain) // more than one TTL of the other has passed
		if owned, err := m.Mutex("a", locks.Options{}).Owned(held); !owned || err != nil {
			t.Fatalf("%v, %v (%v)", owned, err, context.Cause(held))
		}
		cancel()
		if err := m.Mutex("a", locks.Options{}).Release(acquired(t, m.Mutex("a", locks.Options{}), ctx)); err != nil {
			t.Fatal(err)
		}
	})
}

// A broken lock is the next one's at once; its holder finds out at its next renewal.
func TestBreak(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		l := m.Mutex("a", locks.Options{TTL: 3 * time.Second, AutoRenew: true, RetryEvery: time.Hour})
		held := acquired(t, l, ctx)
		next := async(ctx, l)
		waiting(t, m, "a", 1)
		if n, err := m.Break(ctx, "a"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r := <-next
		if r.err != nil {
			t.Fatal(r.err)
		}
		if cause := ended(t, held); !errors.Is(cause, locks.ErrLost) {
			t.Fatal(cause)
		}
		if err := l.Release(held); !errors.Is(err, locks.ErrNotOwned) {
			t.Fatal(err)
		}
		if err := l.Release(r.held); err != nil {
			t.Fatal(err)
		}
	})
}

// Do joins the error of the function with that of the release.
func TestDo(t *testing.T) {
	ctx, m := within(t), standalone(t).manager(t)
	l, failed := m.Mutex("a", locks.Options{}), errors.New("failed")
	err := l.Do(ctx, func(held context.Context) error {
		if _, err := m.Break(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		return failed
	})
	if !errors.Is(err, failed) || !errors.Is(err, locks.ErrNotOwned) {
		t.Fatal(err)
	}
	if err := l.Do(ctx, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// A lock that is handed over belongs to whoever adopts its token first, with a
// greater fence, and to the giver no more.
func TestHandover(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, l, other := within(t), w.manager(t).Mutex("a", locks.Options{}), w.manager(t).Mutex("a", locks.Options{})
		held := acquired(t, l, ctx)
		before, _ := l.Fence(held)
		token, err := locks.Handover(held)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(held); !errors.Is(err, locks.ErrNotHeld) {
			t.Fatalf("the giver's release: %v", err)
		}
		adopted, err := other.Adopt(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		if after, ok := other.Fence(adopted); !ok || after <= before {
			t.Fatalf("fence %d after %d", after, before)
		}
		if got, err := l.Adopt(ctx, token); !errors.Is(err, locks.ErrNotOwned) || got != ctx {
			t.Fatalf("second adoption: %v", err)
		}
		if owned, err := other.Owned(adopted); !owned || err != nil {
			t.Fatalf("%v, %v", owned, err)
		}
		if err := other.Release(adopted); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Adopt(ctx, token); !errors.Is(err, locks.ErrNotOwned) {
			t.Fatalf("adoption of a free lock: %v", err)
		}
	})
}
