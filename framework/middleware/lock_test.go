package middleware_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/middleware"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

// A handler under a lock runs while it holds it; a lock that is taken is waited for,
// snoozed on or skipped, as said; one that is lost fails the run.
func TestLock(t *testing.T) {
	m := locks.New(redistest.Standalone(t).Client(t), locks.Config{})
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ctx, l := t.Context(), m.Mutex("a", locks.Options{})
	byPayload := func(j *framework.Job[string]) string { return j.Payload }
	job := func(name string) *framework.Job[string] {
		return &framework.Job[string]{Delivery: &framework.Delivery{}, Payload: name}
	}
	ran := errors.New("ran")
	handler := func(o locks.Options, busy middleware.OnBusy) func(context.Context, *framework.Job[string]) error {
		return middleware.Lock(m, byPayload, o, busy)(func(ctx context.Context, j *framework.Job[string]) error {
			if owned, err := l.Owned(ctx); j.Payload == "a" && (!owned || err != nil) {
				t.Errorf("the handler's context owns the lock: %v, %v", owned, err)
			}
			return ran
		})
	}
	for _, name := range []string{"a", ""} {
		if err := handler(locks.Options{}, middleware.BusyWait())(ctx, job(name)); !errors.Is(err, ran) {
			t.Fatalf("free lock %q: %v", name, err)
		}
	}
	held, err := l.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := handler(locks.Options{}, middleware.BusySkip())(ctx, job("a")); err != nil {
		t.Errorf("skip: %v", err)
	}
	var snooze *framework.SnoozeError
	if err := handler(locks.Options{}, middleware.BusySnooze(time.Minute))(ctx, job("a")); !errors.As(err, &snooze) || snooze.Delay != time.Minute {
		t.Errorf("snooze: %v", err)
	}
	if err := handler(locks.Options{MaxWait: time.Millisecond}, middleware.BusyWait())(ctx, job("a")); !errors.Is(err, locks.ErrTaken) {
		t.Errorf("wait: %v", err)
	}
	if err := l.Release(held); err != nil {
		t.Fatal(err)
	}
	lost := middleware.Lock(m, byPayload, locks.Options{}, middleware.BusyWait())(func(ctx context.Context, _ *framework.Job[string]) error {
		_, err := m.Break(ctx, "a")
		return err
	})
	if err := lost(ctx, job("a")); !errors.Is(err, locks.ErrNotOwned) {
		t.Errorf("lost: %v", err)
	}
}
