package backendtest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// errDropped is what a caller sees whose reply was lost on the way.
var errDropped = errors.New("the test dropped this reply")

// dropper lets a command run and then drops its reply.
type dropper struct{ armed atomic.Int32 }

// lossy is a client that drops the reply of the next script after lose is called.
func (r *rig) lossy() (client redis.UniversalClient, lose func()) {
	r.Helper()
	d := &dropper{}
	client = r.h.NewClient(r.T)
	client.AddHook(d)
	return client, func() { d.armed.Store(1) }
}

func (d *dropper) drops(cmd redis.Cmder) bool {
	return strings.HasPrefix(strings.ToLower(cmd.Name()), "eval") && d.armed.CompareAndSwap(1, 0)
}

// between does something after so many scripts have run, before the next one.
type between struct {
	dropper
	after int32
	do    func()
}

// ProcessHook is part of redis.Hook.
func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.HasPrefix(strings.ToLower(cmd.Name()), "eval") {
			return next(ctx, cmd)
		}
		if b.armed.CompareAndSwap(b.after, -1) {
			b.do()
		}
		err := next(ctx, cmd)
		if b.armed.Load() >= 0 && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			b.armed.Add(1)
		}
		return err
	}
}

// DialHook is part of redis.Hook.
func (d *dropper) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook is part of redis.Hook.
func (d *dropper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		// A script that the server does not know has not run: the next word counts.
		if redis.HasErrorPrefix(err, "NOSCRIPT") || !d.drops(cmd) {
			return err
		}
		cmd.SetErr(errDropped)
		return errDropped
	}
}

// ProcessPipelineHook is part of redis.Hook.
func (d *dropper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if d.drops(cmd) {
				cmd.SetErr(errDropped)
				err = errDropped
			}
		}
		return err
	}
}
