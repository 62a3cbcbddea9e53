package engine

import (
	"context"
	"sync"
	"time"
)

// runContext is the context of one run: a child of its incarnation's. Most
// handlers never wait for its end, and a real child costs a third of what a
// short run costs otherwise (two allocations, and the parent's lock twice). So
// it is made when somebody first needs more than the parent can answer for it.
type runContext struct {
	parent context.Context

	mu   sync.Mutex
	real context.Context // nil until then
	end  context.CancelCauseFunc
	over bool
}

var _ context.Context = (*runContext)(nil)

// made returns the real context.
func (c *runContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.make()
}

func (c *runContext) make() context.Context {
	if c.real == nil {
		c.real, c.end = context.WithCancelCause(c.parent)
		if c.over {
			c.end(nil)
		}
	}
	return c.real
}

// answers returns who can answer for the context now without its being made.
func (c *runContext) answers() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil && !c.over {
		return c.parent
	}
	return c.make()
}

// cancel ends the context for a reason; the first one counts.
func (c *runContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.make()
	c.end(cause)
}

// finish ends the context when the run is over.
func (c *runContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.real != nil {
		c.end(nil)
	}
}

func (c *runContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }
func (c *runContext) Done() <-chan struct{}       { return c.made().Done() }
func (c *runContext) Err() error                  { return c.answers().Err() }

// Value is also how package context finds the cause of an end, and the parent of
// a child; either asks after Done, or for what the parent knows.
func (c *runContext) Value(key any) any { return c.answers().Value(key) }
