package locks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Multi is several mutexes that are held together. All who take more than one of
// some names through a Multi take them in the same order, so they cannot block each
// other for ever.
type Multi struct {
	locks   []*Lock
	options Options
	err     error
}

// Multi returns the mutexes of these names, each once, in the order of their names.
// Options are those of each, but MaxWait bounds the wait for all of them.
// SharedToken does not apply. With AutoRenew the first stay held while the last are
// waited for, without it the wait must be shorter than the TTL.
func (m *Manager) Multi(names []string, o Options) *Multi {
	o.SharedToken = false
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	x := &Multi{options: o.withDefaults()}
	if len(sorted) == 0 {
		x.err = errors.New("multi-lock: needs at least one name")
	}
	for _, name := range sorted {
		l := m.Mutex(name, o)
		x.locks, x.err = append(x.locks, l), errors.Join(x.err, l.err)
	}
	return x
}

// Locks are the single mutexes, in order: each tells its Fence or Owned for a
// context that holds them all.
func (x *Multi) Locks() []*Lock { return slices.Clone(x.locks) }

// Acquire takes all, or none; see Lock.Acquire. The context ends when any of them is
// lost.
func (x *Multi) Acquire(ctx context.Context) (context.Context, error) {
	return x.acquire(ctx, (*Lock).Acquire)
}

// TryAcquire takes all, or none, without waiting; see Lock.TryAcquire.
func (x *Multi) TryAcquire(ctx context.Context) (context.Context, error) {
	return x.acquire(ctx, (*Lock).TryAcquire)
}

func (x *Multi) acquire(ctx context.Context, get func(*Lock, context.Context) (context.Context, error)) (context.Context, error) {
	if x.err != nil {
		return ctx, x.err
	}
	start, held := time.Now(), ctx
	for i, l := range x.locks {
		var err error
		if held, err = get(x.patient(l, start), held); err != nil {
			return ctx, errors.Join(err, release(held, x.locks[:i]))
		}
	}
	return held, nil
}

// patient is the lock with what is left of MaxWait.
func (x *Multi) patient(l *Lock, start time.Time) *Lock {
	if x.options.MaxWait == 0 {
		return l
	}
	o := x.options
	o.MaxWait = max(time.Millisecond, o.MaxWait-time.Since(start))
	return l.manager.Mutex(l.name, o)
}

// Release gives up all, and joins the errors; see Lock.Release.
func (x *Multi) Release(held context.Context) error { return release(held, x.locks) }

func release(held context.Context, locks []*Lock) error {
	var errs []error
	for _, l := range slices.Backward(locks) {
		errs = append(errs, l.Release(held))
	}
	return errors.Join(errs...)
}

// Do runs f while holding all; see Lock.Do.
func (x *Multi) Do(ctx context.Context, f func(held context.Context) error) (err error) {
	held, err := x.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("multi-lock: %w", err)
	}
	defer func() { err = errors.Join(err, x.Release(held)) }()
	return f(held)
}
