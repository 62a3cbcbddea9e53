package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/locks"
)

// OnBusy says what becomes of a job whose lock somebody else holds. The zero value
// is BusyWait.
type OnBusy struct {
	skip   bool
	snooze time.Duration
}

// BusyWait keeps the job in its slot until it gets the lock. Where
// locks.Options.MaxWait ends the wait, the run has failed with locks.ErrTaken.
func BusyWait() OnBusy { return OnBusy{} }

// BusySnooze puts the job off for d, at least a millisecond, and counts no attempt.
func BusySnooze(d time.Duration) OnBusy { return OnBusy{snooze: max(d, time.Millisecond)} }

// BusySkip has done with the job: whoever holds the lock does the work.
func BusySkip() OnBusy { return OnBusy{skip: true} }

// Lock runs a handler of decoded payloads under the lock that name says, "" = under
// none:
//
//	framework.Handle(app, Report, middleware.Lock(m, byCustomer, locks.Options{AutoRenew: true}, middleware.BusySnooze(time.Minute))(report))
//
// The handler's context is the held one: it ends with the cause locks.ErrLost when
// the lock is lost, and the run has then failed, since another may have run beside
// it. Unless AutoRenew is set, the TTL must be longer than a run takes.
func Lock[T any](m *locks.Manager, name func(*framework.Job[T]) string, o locks.Options, busy OnBusy) func(next func(context.Context, *framework.Job[T]) error) func(context.Context, *framework.Job[T]) error {
	return func(next func(context.Context, *framework.Job[T]) error) func(context.Context, *framework.Job[T]) error {
		return func(ctx context.Context, j *framework.Job[T]) error {
			key := name(j)
			if key == "" {
				return next(ctx, j)
			}
			l := m.Mutex(key, o)
			held, err := busy.acquire(ctx, l)
			if err != nil {
				return busy.verdict(err)
			}
			return under(held, l, func() error { return next(held, j) })
		}
	}
}

func (b OnBusy) acquire(ctx context.Context, l *locks.Lock) (context.Context, error) {
	if b.skip || b.snooze > 0 {
		return l.TryAcquire(ctx)
	}
	return l.Acquire(ctx)
}

// verdict is what a handler returns that did not get the lock.
func (b OnBusy) verdict(err error) error {
	switch {
	case !errors.Is(err, locks.ErrTaken):
		return err
	case b.skip:
		return nil
	case b.snooze > 0:
		return framework.Snooze(b.snooze)
	}
	return err
}

// under runs f and releases the lock, also where f panics. A release that did not
// get through costs the next holder the rest of the TTL, not this job its success.
func under(held context.Context, l *locks.Lock, f func() error) (err error) {
	defer func() {
		if lost := l.Release(held); errors.Is(lost, locks.ErrNotOwned) {
			err = errors.Join(err, lost)
		}
	}()
	return f()
}
