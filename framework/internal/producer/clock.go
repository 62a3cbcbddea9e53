package producer

import (
	"context"
	"sync"
	"time"
)

// clock tells the server's time: it asks about once a minute and counts on from
// there by the own monotonic clock.
type clock struct {
	ask func(ctx context.Context) (time.Time, error) // nil = the own clock is as good

	mu     sync.Mutex
	server time.Time
	asked  time.Time // when, by the own clock; zero = never
}

func (c *clock) now(ctx context.Context) (time.Time, error) {
	if c.ask == nil {
		return time.Now(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked.IsZero() || time.Since(c.asked) > time.Minute {
		asked := time.Now()
		server, err := c.ask(ctx)
		if err != nil {
			return time.Time{}, err
		}
		c.server, c.asked = server, asked
	}
	return c.server.Add(time.Since(c.asked)), nil
}

// forget makes the next now ask again.
func (c *clock) forget() {
	c.mu.Lock()
	c.asked = time.Time{}
	c.mu.Unlock()
}
