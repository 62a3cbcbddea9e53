package locks

import (
	"context"
	"errors"
	"time"
)

// Callbacks of an election.
type Callbacks struct {
	// Elected runs while this process leads. held ends with the cause ErrLost when
	// leadership is lost: return soon after, for another process may lead already;
	// what must not be done by two takes the fence along (see Lock.Fence). Returning
	// while still leading resigns.
	Elected func(held context.Context) error
	// Deposed, if set, runs after Elected has returned and leadership is given up or
	// lost: err is then what Elected returned, joined with ErrLost if that is why.
	Deposed func(err error)
}

// Elect takes part in the election of one leader among all who call it with this
// name, until ctx ends or this process has led and resigned. The leader renews by
// itself (as with AutoRenew); when it dies, another leads after at most the TTL.
// While Redis cannot be reached it tries again every RetryEvery. MaxWait, Reentrant
// and SharedToken do not apply.
//
// It returns what Elected returned when it resigned, and an error that matches
// ctx.Err() when ctx ended.
func (m *Manager) Elect(ctx context.Context, name string, o Options, c Callbacks) error {
	o.AutoRenew, o.MaxWait, o.Reentrant, o.SharedToken = true, 0, false, false
	l := m.Mutex(name, o)
	if l.err != nil {
		return l.err
	}
	if c.Elected == nil {
		return l.wrap("elect a leader by", errors.New("callbacks.elected: must be set"))
	}
	for {
		held, err := l.Acquire(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil { // elected in the moment when nobody wanted it any more
				err = l.Release(held)
			}
			return l.wrap("elect a leader by", errors.Join(ended(ctx), err))
		case errors.Is(err, ErrAlreadyHeld), errors.Is(err, ErrClosed):
			return err
		case err != nil:
			pause(ctx, l.options.RetryEvery)
			continue
		}
		if err = l.lead(held, c); ctx.Err() != nil {
			return l.wrap("elect a leader by", errors.Join(ended(ctx), err))
		}
		if !errors.Is(err, ErrLost) {
			return err
		}
		pause(ctx, 10*time.Millisecond) // who lost it should not be the first to ask again
	}
}

// lead runs the callbacks for one term, also where Elected panics.
func (l *Lock) lead(held context.Context, c Callbacks) (err error) {
	defer func() {
		if errors.Is(context.Cause(held), ErrLost) && !errors.Is(err, ErrLost) {
			err = errors.Join(err, ErrLost)
		}
		// Whether the release comes too late is told by ErrLost; an unreachable Redis
		// frees the lock at the end of its TTL.
		_ = l.Release(held)
		if c.Deposed != nil {
			c.Deposed(err)
		}
	}()
	return c.Elected(held)
}
