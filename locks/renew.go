package locks

import (
	"context"
	"fmt"
	"time"
)

// Extend adds to the time that is left; ErrNoTTL for a lock without one. Errors as
// those of SetTTL.
func (l *Lock) Extend(held context.Context, by time.Duration) error {
	le := l.lease(held)
	if le == nil {
		return l.wrap("extend", ErrNotHeld)
	}
	until := le.request().Until
	if until.IsZero() {
		return l.wrap("extend", ErrNoTTL)
	}
	// What is left is counted on our own clock, so that a resend adds nothing twice.
	return l.renew(held, "extend", le, max(time.Millisecond, time.Until(until)+by))
}

// SetTTL sets the time that is left, from now; with NoExpiry the lock stays until
// it is released. AutoRenew goes on with the new TTL. ErrNotHeld where held does
// not hold the lock; ErrNotOwned where it was lost, which ends held. Any other
// error changes nothing that the holder may rely on.
func (l *Lock) SetTTL(held context.Context, ttl time.Duration) error {
	if ttl < time.Millisecond && ttl != NoExpiry {
		return l.wrap("renew", fmt.Errorf("ttl: must be at least 1ms, or locks.NoExpiry, got %v", ttl))
	}
	le := l.lease(held)
	if le == nil {
		return l.wrap("renew", ErrNotHeld)
	}
	return l.renew(held, "renew", le, Options{TTL: ttl}.withDefaults().TTL)
}

// Reacquire gives the lock its full Options.TTL again. Errors as those of SetTTL.
func (l *Lock) Reacquire(held context.Context) error {
	return l.SetTTL(held, l.options.TTL)
}

func (l *Lock) renew(held context.Context, operation string, le *lease, ttl time.Duration) error {
	if !le.isActive() {
		return l.wrap(operation, ErrNotOwned)
	}
	return l.wrap(operation, le.renew(held, ttl))
}
