package locks

import (
	"context"
	"errors"
	"time"

	rsredis "github.com/go-redsync/redsync/v4/redis"
)

// operation is what a redsync.Mutex was made for.
type operation int

const (
	acquiring operation = iota
	renewing
	releasing
)

// pool gives redsync its connections to one server.
type pool struct {
	vote *vote
	node int
	what operation
}

// Get returns a ballot.
func (p pool) Get(ctx context.Context) (rsredis.Conn, error) {
	return &ballot{pool: p, server: p.vote.q.servers[p.node], ctx: ctx}, nil
}

// ballot is one server's part in a vote. redsync calls SetNX to acquire, and Eval
// to renew, to release, and to clean up after a lost vote.
type ballot struct {
	pool
	server *server
	ctx    context.Context //nolint:containedctx // redsync's interface has none
}

// SetNX acquires. The arguments are those of the vote's request, which says more.
func (b *ballot) SetNX(string, string, time.Duration) (bool, error) {
	r := b.vote.request
	o := b.ask(func(ctx context.Context) outcome {
		g, err := b.server.Acquire(ctx, r)
		o := outcome{yes: err == nil, grant: g, err: err}
		if b.vote.note(b.node, o) && !errors.Is(err, ErrTaken) {
			b.cleanUp()
		}
		return o
	})
	if errors.Is(o.err, ErrTaken) {
		return false, nil
	}
	return o.yes, o.err
}

// Eval renews or releases.
func (b *ballot) Eval(*rsredis.Script, ...any) (any, error) {
	r := b.vote.request
	switch b.what {
	case renewing:
		return b.answer(func(ctx context.Context) error { _, err := b.server.Renew(ctx, r); return err })
	case releasing:
		return b.answer(func(ctx context.Context) error { return b.server.Release(ctx, r) })
	}
	b.vote.close() // redsync cleans up: the vote was lost
	switch o := b.vote.at(b.node); {
	case o.yes:
		b.cleanUp()
	case o.answered && !errors.Is(o.err, ErrTaken):
		if !b.vote.q.crew.spawn(b.cleanUp) { // it may have acquired all the same; nobody waits for a server that is down
			b.cleanUp()
		}
	}
	return int64(1), nil
}

// answer notes a verdict, and gives it to redsync: 1 yes, 0 no.
func (b *ballot) answer(do func(context.Context) error) (any, error) {
	o := b.ask(func(ctx context.Context) outcome {
		err := do(ctx)
		o := outcome{yes: err == nil, err: err}
		b.vote.note(b.node, o)
		return o
	})
	if errors.Is(o.err, ErrNotOwned) {
		return int64(0), nil
	}
	return int64(btoi(o.yes)), o.err
}

// ask runs do against the server and gives up after nodeTimeout, or at the end of
// the caller's context; do goes on in the background, where its answer is noted, so
// that a slow server is told all the same.
func (b *ballot) ask(do func(context.Context) outcome) outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), nodeTimeout(b.vote.request.TTL))
	answers := make(chan outcome, 1)
	one := func() {
		defer cancel()
		answers <- do(ctx)
	}
	if !b.vote.q.crew.spawn(one) {
		one()
	}
	select {
	case o := <-answers:
		return o
	case <-ctx.Done():
		return outcome{err: context.Cause(ctx)}
	case <-b.ctx.Done(): // the caller's, or redsync has its majority
		return outcome{err: context.Cause(b.ctx)}
	}
}

// cleanUp takes back what the server may have granted, on a context of its own.
func (b *ballot) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), releaseTimeout)
	defer cancel()
	r := b.vote.request
	r.Waiter = ""
	_ = b.server.Release(ctx, r)
}

// Get reads a key. redsync needs it for Mutex.Valid, which nothing here calls.
func (b *ballot) Get(name string) (string, error) {
	return b.server.client.Get(b.ctx, name).Result()
}

// Set writes a key. It is part of redsync's interface.
func (b *ballot) Set(name, value string) (bool, error) {
	answer, err := b.server.client.Set(b.ctx, name, value, 0).Result()
	return answer == "OK", err
}

// PTTL is part of redsync's interface.
func (b *ballot) PTTL(name string) (time.Duration, error) {
	return b.server.client.PTTL(b.ctx, name).Result()
}

// ScriptLoad is part of redsync's interface.
func (b *ballot) ScriptLoad(s *rsredis.Script) (err error) {
	s.Hash, err = b.server.client.ScriptLoad(b.ctx, s.Src).Result()
	return err
}

// Close is part of redsync's interface: connections belong to the client's pool.
func (b *ballot) Close() error { return nil }
