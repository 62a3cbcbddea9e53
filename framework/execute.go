package framework

import (
	"context"
	"runtime/debug"
)

// Execute runs one delivery through a handler as a worker does and says what
// becomes of it: it ends the context after d.Timeout, turns a panic or a
// runtime.Goexit into a failure, and reads the verdict off the table of the
// package comment. It returns when the handler has returned, however long that
// takes after the context has ended.
//
// It is what a worker does, and what frameworktest and tests of handlers and
// middleware call; it touches no Redis.
func Execute(ctx context.Context, h Handler, d *Delivery) Outcome { return execute(ctx, h, d, nil) }

// execute calls late, once and if it is not nil, when the run's context ends
// before the handler returns; the handler's own goroutine goes on meanwhile.
func execute(ctx context.Context, h Handler, d *Delivery, late func(run context.Context, d *Delivery, done <-chan struct{})) Outcome {
	run := ctx
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		run, cancel = context.WithTimeoutCause(ctx, d.Timeout, ErrTimeout)
		defer cancel()
	}
	r := &running{done: make(chan struct{})}
	go r.call(run, h, d)
	select {
	case <-r.done:
	case <-run.Done():
		if late != nil {
			late(run, d, r.done)
		}
		<-r.done
	}
	return judge(r.err, causeOf(ctx, run), d.Attempt-1, d.MaxAttempts)
}

// running is a handler at work. It has a goroutine of its own, because Goexit
// ends the goroutine that it is called on; execute waits for it.
type running struct {
	err  error
	done chan struct{}
}

func (r *running) call(ctx context.Context, h Handler, d *Delivery) {
	r.err = errGoexit // stands if h never returns
	defer close(r.done)
	r.err = calm(ctx, h, d)
}

// calm turns a handler's panic into an error.
func calm(ctx context.Context, h Handler, d *Delivery) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return h(ctx, d)
}
