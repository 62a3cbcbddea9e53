package locks

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lease is one acquisition: what a held context carries.
type lease struct {
	lock   *Lock
	token  string
	fence  uint64
	fenced bool
	cancel context.CancelCauseFunc

	turn  chan struct{} // holds a value while a renewal is under way: they go one by one
	mu    sync.Mutex
	ttl   time.Duration
	until time.Time   // when we stop trusting it; zero = never
	timer *time.Timer // calls expire at until; nil = never
	depth int         // how often a Reentrant lock was acquired
	state leaseState
}

type leaseState int

const (
	active     leaseState = iota
	lost                  // its context has ended; a release may still find the lock ours
	closing               // a release is on its way
	handedOver            // another process adopts it
	released
)

// heldContext is a context that carries a lease. It finds the lease of a lock, and
// the last one of all.
type heldContext struct {
	context.Context
	lease *lease
}

// The keys under which heldContext answers.
type (
	leaseOf struct {
		manager     *Manager
		group, name string
	}
	lastLease struct{}
)

func (c *heldContext) Value(key any) any {
	switch k := key.(type) {
	case lastLease:
		return c.lease
	case leaseOf:
		if k == c.lease.lock.identity() {
			return c.lease
		}
	}
	return c.Context.Value(key)
}

// newLease begins to watch a grant. The context ends when the lock is lost.
func newLease(ctx context.Context, l *Lock, token string, g Grant) (*heldContext, *lease) {
	inner, cancel := context.WithCancelCause(ctx)
	le := &lease{lock: l, token: token, fence: g.Fence, fenced: g.Fenced, cancel: cancel,
		turn: make(chan struct{}, 1), ttl: l.options.TTL, depth: 1}
	le.mu.Lock()
	le.trust(g.Until)
	le.mu.Unlock()
	return &heldContext{inner, le}, le
}

// trust sets until when the lock is ours. The caller holds the mutex.
func (le *lease) trust(until time.Time) {
	le.until = until
	if le.timer != nil {
		le.timer.Stop()
		le.timer = nil
	}
	if !until.IsZero() {
		le.timer = time.AfterFunc(time.Until(until), le.expire)
	}
}

// expire ends the context when the time is up on the local monotonic clock.
func (le *lease) expire() {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.until.IsZero() || time.Now().Before(le.until) {
		return
	}
	switch le.state {
	case active:
		le.lose()
	case handedOver:
		le.cancel(ErrLost)
	}
}

// lose ends the context. The caller holds the mutex.
func (le *lease) lose() {
	le.state = lost
	le.cancel(ErrLost)
}

// renew sets the TTL in Redis and believes the answer. Renewals of one lease go one
// by one, else the answer of an earlier one could be believed after a later one.
func (le *lease) renew(ctx context.Context, ttl time.Duration) error {
	select {
	case le.turn <- struct{}{}:
		defer func() { <-le.turn }()
	case <-ctx.Done():
		return ended(ctx)
	}
	r := le.request()
	r.TTL = ttl
	start := time.Now()
	until, err := le.lock.manager.backend.Renew(ctx, r)
	if !errors.Is(err, ErrNotOwned) {
		err = endedOr(ctx, err)
	}
	le.renewed(start, ttl, until, err)
	return err
}

// renewed notes what a renewal answered.
func (le *lease) renewed(start time.Time, ttl time.Duration, until time.Time, err error) {
	le.mu.Lock()
	defer le.mu.Unlock()
	shorter := validUntil(start, ttl)
	switch {
	case le.state != active:
	case err == nil:
		le.ttl = ttl
		le.trust(until)
	case errors.Is(err, ErrNotOwned):
		le.lose()
	case ttl != NoExpiry && (le.until.IsZero() || shorter.Before(le.until)):
		le.trust(shorter) // it may have been done
	}
}

// enter counts one more acquisition by the same context; false if it is over.
func (le *lease) enter() bool {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state == active {
		le.depth++
	}
	return le.state == active
}

func (le *lease) isActive() bool {
	le.mu.Lock()
	defer le.mu.Unlock()
	return le.state == active
}

// close begins a release. last is false where an outer acquisition keeps the lock.
func (le *lease) close() (until time.Time, last bool, err error) {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state >= closing {
		return time.Time{}, false, ErrNotHeld
	}
	if le.depth--; le.depth > 0 {
		return time.Time{}, false, nil
	}
	le.state = closing
	if le.timer != nil {
		le.timer.Stop()
	}
	le.cancel(ErrNotHeld)
	return le.until, true, nil
}

// closed notes how a release ended: one that did not get through may be repeated.
func (le *lease) closed(err error) {
	le.mu.Lock()
	defer le.mu.Unlock()
	if err == nil || errors.Is(err, ErrNotOwned) {
		le.state = released
		return
	}
	le.state, le.depth = lost, 1
}

// request is what the lock's backend is asked on behalf of the lease.
func (le *lease) request() Request {
	r := le.lock.request(le.token)
	le.mu.Lock()
	defer le.mu.Unlock()
	r.TTL, r.Until = le.ttl, le.until
	return r
}

// renewing renews the lock every third of its TTL until its context ends. An error
// other than a refusal is followed by another try soon: the timer decides when it
// is too late.
func (le *lease) renewing(ctx context.Context) {
	wait := le.request().TTL / 3
	for pause(ctx, wait) && le.isActive() {
		ttl := le.request().TTL
		if ttl == NoExpiry {
			wait = le.lock.options.TTL / 3
			continue
		}
		wait = ttl / 3
		if le.renew(ctx, ttl) != nil {
			wait = ttl / 20
		}
	}
}
