package locks

import (
	"context"
	"errors"
)

// Handover gives away the lock that held acquired last: it returns a token that
// whoever gets it, in this process or another, passes to Lock.Adopt. A job enqueued
// while holding a lock can carry it, so that its handler releases the lock.
//
// From now on held holds nothing: Release(held) answers ErrNotHeld, so a deferred
// one does no harm, and AutoRenew stops. The lock must be adopted within what is
// left of its TTL; give it more with Lock.SetTTL before. held itself ends with that
// time. ErrNotHeld where held holds no lock. Who keeps the token after all (the job
// could not be enqueued) adopts it back.
func Handover(held context.Context) (string, error) {
	le, _ := held.Value(lastLease{}).(*lease)
	if le == nil {
		return "", errors.Join(errors.New("hand over a lock"), ErrNotHeld)
	}
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.state != active {
		return "", le.lock.wrap("hand over", ErrNotHeld)
	}
	le.state = handedOver
	return le.token, nil
}

// Adopt takes over a lock that was handed over. It puts a new token and a new fence
// in the place of the old ones, so of two who adopt the same token one gets
// ErrNotOwned; and so does who comes when the lock's time has run out. The TTL
// begins anew, with this Lock's options. held is as from Acquire.
func (l *Lock) Adopt(ctx context.Context, token string) (held context.Context, err error) {
	if token == "" {
		return ctx, l.wrap("adopt", ErrNotOwned)
	}
	held, err = l.acquire(ctx, token, l.once)
	if errors.Is(err, ErrTaken) {
		err = l.wrap("adopt", ErrNotOwned)
	}
	return held, err
}
