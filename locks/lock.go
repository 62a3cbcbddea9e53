package locks

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// releaseTimeout bounds a release, which does not depend on the caller's context.
const releaseTimeout = 5 * time.Second

// Lock is a mutex, a semaphore or one side of a reader-writer lock. Safe for
// concurrent use by any number of goroutines. See Manager.Mutex, Manager.Semaphore
// and Manager.RWMutex.
type Lock struct {
	manager *Manager
	kind    Kind
	name    string
	slots   int
	options Options
	err     error                 // what is wrong with name or options
	shared  atomic.Pointer[lease] // with SharedToken: the last acquisition
}

// Name is the name that the lock was made with.
func (l *Lock) Name() string { return l.name }

// Acquire takes the lock and waits for it as long as ctx and Options.MaxWait let
// it. The context that it returns carries this acquirer's token; it ends with the
// cause ErrLost when the lock is lost, and with ErrNotHeld when it is released. On
// an error it is ctx itself, never nil.
//
// Errors: ErrTaken after MaxWait, ErrAlreadyHeld where ctx holds the lock, one that
// matches ctx.Err() where ctx ended, else what Redis said.
func (l *Lock) Acquire(ctx context.Context) (context.Context, error) {
	return l.acquire(ctx, "", l.await)
}

// TryAcquire is Acquire without waiting: ErrTaken where somebody else holds the
// lock.
func (l *Lock) TryAcquire(ctx context.Context) (context.Context, error) {
	return l.acquire(ctx, "", l.once)
}

// Release gives up what held acquired, and nothing else: ErrNotHeld where the
// context has no token of this lock, ErrNotOwned where the lock was lost before. It
// works on a context that has ended, for up to 5 s. A release that did not reach
// Redis may be repeated; the lock is free at the end of its TTL in any case.
func (l *Lock) Release(held context.Context) error {
	le := l.lease(held)
	if le == nil {
		return l.wrap("release", ErrNotHeld)
	}
	r := le.request()
	until, last, err := le.close()
	if err != nil || !last {
		return l.wrap("release", err)
	}
	r.Until = until
	ctx, cancel := context.WithTimeout(context.WithoutCancel(held), releaseTimeout)
	defer cancel()
	err = l.manager.backend.Release(ctx, r)
	le.closed(err)
	return l.wrap("release", err)
}

// Do runs f while holding the lock, with the held context. It returns the errors of
// f and of the release, joined: ErrNotOwned among them means that the lock was lost
// while f ran.
func (l *Lock) Do(ctx context.Context, f func(held context.Context) error) (err error) {
	held, err := l.Acquire(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Release(held)) }()
	return f(held)
}

// Token is what stands in Redis for this acquirer; false where held does not hold
// the lock.
func (l *Lock) Token(held context.Context) (string, bool) {
	if le := l.lease(held); le != nil && le.isActive() {
		return le.token, true
	}
	return "", false
}

// Fence is a number that is greater than that of every earlier holder. Pass it to
// the resource that the lock protects, and let the resource refuse smaller ones
// than it has seen: that is safe even where the lock is not. False where held does
// not hold the lock, or where a quorum could not agree on one. It does not ask
// Redis, and it keeps answering after the lock was lost: comparing is the
// resource's part.
func (l *Lock) Fence(held context.Context) (uint64, bool) {
	if le := l.lease(held); le != nil && le.fenced {
		return le.fence, true
	}
	return 0, false
}

// Owned asks Redis whether held still owns the lock; it knows by itself where the
// lock was lost. ErrNotHeld where held carries no token of it.
func (l *Lock) Owned(held context.Context) (bool, error) {
	le := l.lease(held)
	if le == nil {
		return false, l.wrap("look at", ErrNotHeld)
	}
	if !le.isActive() {
		return false, nil
	}
	state, err := l.state(held, le.token)
	return state.Owned, err
}

// Locked asks Redis whether anybody holds the lock; of a semaphore, any place.
func (l *Lock) Locked(ctx context.Context) (bool, error) {
	state, err := l.state(ctx, "")
	return state.Locked, err
}

func (l *Lock) state(ctx context.Context, token string) (State, error) {
	if l.err != nil {
		return State{}, l.err
	}
	state, err := l.manager.backend.State(ctx, l.request(token))
	return state, l.wrap("look at", endedOr(ctx, err))
}

// request is what the backend is asked, with this token.
func (l *Lock) request(token string) Request {
	return Request{Kind: l.kind, Name: l.name, Token: token, TTL: l.options.TTL, Slots: l.slots, Patience: 3 * l.options.RetryEvery}
}

func (l *Lock) identity() leaseOf { return leaseOf{l.manager, l.kind.group(), l.name} }

// lease finds what the context, or with SharedToken the Lock itself, holds; nil if
// nothing, or nothing any more.
func (l *Lock) lease(held context.Context) *lease {
	le := l.shared.Load()
	if !l.options.SharedToken {
		le, _ = held.Value(l.identity()).(*lease)
	}
	if le == nil || le.lock.kind != l.kind {
		return nil
	}
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state >= closing {
		return nil
	}
	return le
}

func (l *Lock) wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s lock %q: %w", operation, l.name, err)
}

// endedOr is the error of an ended context, which names the cause, else err.
func endedOr(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ended(ctx)
	}
	return err
}
