package locks

import "sync"

// crew owns goroutines: it starts them and waits for them.
type crew struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	closed bool
}

// spawn runs f in the background; false once the crew is dismissed.
func (c *crew) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// dismiss lets nobody begin any more. wait returns when all have ended.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *crew) isDismissed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *crew) wait() { c.wg.Wait() }
