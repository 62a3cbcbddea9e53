package locks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// acquire takes the lock by means of get, which is once or await.
func (l *Lock) acquire(ctx context.Context, previous string, get func(context.Context, *Request) (Grant, error)) (context.Context, error) {
	if l.err != nil {
		return ctx, l.err
	}
	if le, _ := ctx.Value(l.identity()).(*lease); le != nil && le.isActive() {
		if l.options.Reentrant && le.lock.kind == l.kind && le.enter() {
			return ctx, nil
		}
		return ctx, l.wrap("acquire", ErrAlreadyHeld)
	}
	if ctx.Err() != nil {
		return ctx, l.wrap("acquire", ended(ctx))
	}
	r := l.request(newToken())
	r.Previous = previous
	grant, err := get(ctx, &r)
	if err != nil {
		return ctx, l.wrap("acquire", err)
	}
	return l.hold(ctx, r.Token, grant)
}

// hold makes the held context.
func (l *Lock) hold(ctx context.Context, token string, g Grant) (context.Context, error) {
	held, le := newLease(ctx, l, token, g)
	if l.options.AutoRenew && !l.manager.crew.spawn(func() { le.renewing(held) }) {
		r := le.request()
		_, _, _ = le.close()
		l.cleanUp(ctx, r)
		return ctx, l.wrap("acquire", ErrClosed)
	}
	if l.options.SharedToken {
		l.shared.Store(le)
	}
	return held, nil
}

// once makes one try on the caller's goroutine: a hop to another would cost as much
// as a third of the round trip (measured; see docs/locks.md). The price is that a
// context which ends while Redis does not answer is noticed at the client's
// ReadTimeout.
func (l *Lock) once(ctx context.Context, r *Request) (Grant, error) {
	if l.manager.crew.isDismissed() {
		return Grant{}, ErrClosed
	}
	g, err := l.manager.backend.Acquire(ctx, *r)
	return l.conclude(ctx, *r, g, err)
}

// try makes one try of a waiter. It returns when ctx ends even while Redis does not
// answer: go-redis would not. Whatever the late answer is, it is cleaned up.
func (l *Lock) try(ctx context.Context, r Request) (Grant, error) {
	type answer struct {
		grant Grant
		err   error
	}
	answers := make(chan answer, 1)
	started := l.manager.crew.spawn(func() {
		g, err := l.manager.backend.Acquire(ctx, r)
		answers <- answer{g, err}
	})
	if !started {
		return Grant{}, ErrClosed
	}
	select {
	case a := <-answers:
		return l.conclude(ctx, r, a.grant, a.err)
	case <-ctx.Done():
	}
	l.manager.crew.spawn(func() {
		if a := <-answers; r.Waiter != "" || !errors.Is(a.err, ErrTaken) {
			l.cleanUp(ctx, r)
		}
	})
	return Grant{}, ended(ctx)
}

// conclude sees to it that nothing stays behind unless the lock was granted in
// time.
func (l *Lock) conclude(ctx context.Context, r Request, g Grant, err error) (Grant, error) {
	if err == nil && !g.Until.IsZero() && !time.Now().Before(g.Until) {
		err = fmt.Errorf("%w of %v", errLate, r.TTL)
	}
	if err == nil && ctx.Err() != nil {
		err = ended(ctx)
	}
	if err == nil || errors.Is(err, ErrTaken) {
		return g, err
	}
	if !l.manager.crew.spawn(func() { l.cleanUp(ctx, r) }) {
		l.cleanUp(ctx, r)
	}
	return g, endedOr(ctx, err)
}

// cleanUp releases what r may have acquired, and leaves the line; on a context of
// its own, since the caller's may have ended. What it cannot reach ends with its
// TTL.
func (l *Lock) cleanUp(ctx context.Context, r Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_ = l.manager.backend.Release(ctx, r)
}

// await tries until it succeeds, woken by releases, by the end of the holder's TTL
// and every RetryEvery.
func (l *Lock) await(ctx context.Context, r *Request) (Grant, error) {
	g, err := l.once(ctx, r)
	if !errors.Is(err, ErrTaken) && !errors.Is(err, errLate) {
		return g, err
	}
	caller := ctx
	if l.options.MaxWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, l.options.MaxWait, errPatience)
		defer cancel()
	}
	g, err = l.queue(ctx, r)
	if errors.Is(err, errPatience) && caller.Err() == nil {
		err = fmt.Errorf("%w, still after %v", ErrTaken, l.options.MaxWait)
	}
	return g, err
}

var (
	errPatience = errors.New("MaxWait is over")
	errLate     = errors.New("the lock was granted, but the answer took longer than the TTL")
)

// queue waits in line.
func (l *Lock) queue(ctx context.Context, r *Request) (Grant, error) {
	hub := l.manager.hub
	w := hub.enter(ctx, l.kind)
	defer hub.leave(w)
	r.Waiter = w.id
	for hope := true; ; {
		r.Token = newToken() // what cleans up after an earlier try must not hit this one
		g, err := l.try(ctx, *r)
		if errors.Is(err, errLate) {
			continue
		}
		if !errors.Is(err, ErrTaken) {
			return g, err
		}
		r.Place = g.Place
		hope, err = l.sleep(ctx, w, g.RetryIn, hope)
		if err != nil {
			if !l.manager.crew.spawn(func() { l.cleanUp(ctx, *r) }) {
				l.cleanUp(ctx, *r)
			}
			return Grant{}, err
		}
	}
}

// sleep waits for a reason to try again. The end of the holder's TTL is one only
// while there is hope: where the last such try found that the holder had renewed,
// the next wait is RetryEvery, so that short TTLs do not make waiters poll.
func (l *Lock) sleep(ctx context.Context, w *waiter, expiry time.Duration, hope bool) (bool, error) {
	wait := time.Duration(float64(l.options.RetryEvery) * (0.8 + 0.4*rand.Float64()))
	atExpiry := hope && expiry > 0 && expiry < wait
	if atExpiry {
		wait = expiry + time.Millisecond + rand.N(5*time.Millisecond)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-w.wake:
		return true, nil
	case <-t.C:
		return !atExpiry, nil
	case <-ctx.Done():
		return hope, ended(ctx)
	}
}
