package engine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Guarantee: the context of a run is what context.WithCancelCause would have
// given, whatever was asked of it before its end: nothing, its channel, a child.
func TestRunContext(t *testing.T) {
	type key struct{}
	why := errors.New("why")
	asks := map[string]func(context.Context){
		"nothing": func(context.Context) {},
		"err":     func(c context.Context) { _ = c.Err() },
		"done":    func(c context.Context) { c.Done() },
		"child": func(c context.Context) {
			child, cancel := context.WithCancel(c)
			t.Cleanup(cancel)
			t.Cleanup(func() { <-child.Done() })
		},
	}
	ends := map[string]struct {
		end   func(c *runContext, parent context.CancelCauseFunc)
		cause error
	}{
		"finished":           {func(c *runContext, _ context.CancelCauseFunc) { c.finish() }, context.Canceled},
		"canceled":           {func(c *runContext, _ context.CancelCauseFunc) { c.cancel(why) }, why},
		"canceled, parent":   {func(c *runContext, p context.CancelCauseFunc) { c.cancel(why); p(errors.New("later")) }, why},
		"canceled, finished": {func(c *runContext, _ context.CancelCauseFunc) { c.cancel(why); c.finish() }, why},
		"parent":             {func(_ *runContext, p context.CancelCauseFunc) { p(why) }, why},
		"parent, finished":   {func(c *runContext, p context.CancelCauseFunc) { p(why); c.finish() }, why},
	}
	for asked, ask := range asks {
		for ended, e := range ends {
			t.Run(asked+", "+ended, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, 1))
				defer cancel(nil)
				c := &runContext{parent: parent}
				ask(c)
				if c.Err() != nil || context.Cause(c) != nil || c.Value(key{}) != 1 {
					t.Fatalf("before its end: %v, cause %v, value %v", c.Err(), context.Cause(c), c.Value(key{}))
				}
				e.end(c, cancel)
				if !errors.Is(c.Err(), context.Canceled) || !errors.Is(context.Cause(c), e.cause) || c.Value(key{}) != 1 {
					t.Errorf("after its end: %v, cause %v, want %v", c.Err(), context.Cause(c), e.cause)
				}
				select {
				case <-c.Done():
				case <-time.After(10 * time.Second):
					t.Error("the channel is open")
				}
			})
		}
	}
}
