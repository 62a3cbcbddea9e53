package locks

import (
	"context"
	"errors"
	"fmt"
)

// What the operations of a lock answer. Each comes wrapped with the name of the
// lock: compare with errors.Is.
var (
	// ErrTaken: somebody else holds the lock; from Acquire, still after MaxWait.
	ErrTaken = errors.New("the lock is taken")
	// ErrNotHeld: the context carries no token of this lock, or one that was
	// released or handed over. It is also the cause with which a held context ends
	// when its lock is released.
	ErrNotHeld = errors.New("this context does not hold the lock")
	// ErrNotOwned: the context's token does not own the lock any more: its time ran
	// out, or somebody broke it. Nothing was changed.
	ErrNotOwned = errors.New("the lock is not owned any more: its time ran out before this call")
	// ErrAlreadyHeld: the context holds this lock already, so waiting for it would
	// never end. Options.Reentrant allows it.
	ErrAlreadyHeld = errors.New("this context holds the lock already; set Reentrant to allow that")
	// ErrLost is the cause with which a held context ends when its lock was lost.
	ErrLost = errors.New("the lock was lost")
	// ErrNoTTL: the lock is held until it is released, so there is no time to extend.
	ErrNoTTL = errors.New("the lock has no TTL to extend; use SetTTL")
	// ErrClosed: the Manager is closed.
	ErrClosed = errors.New("the lock manager is closed")
)

// ended is the error of a context that has ended: it matches both ctx.Err() and
// the cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
