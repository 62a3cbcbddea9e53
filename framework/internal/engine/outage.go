package engine

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
)

// backoff counts failures in a row. The zero value is ready.
type backoff struct{ n int }

// next is how long to rest: 50 ms doubling to 1 s, give or take a quarter so
// that workers that failed together do not come back together.
func (b *backoff) next() time.Duration {
	d := min(firstBackoff<<min(b.n, 10), lastBackoff)
	b.n++
	return d*3/4 + rand.N(d/2)
}

// rest sleeps for d, or less when ctx ends or cut is closed: then it returns false.
func rest(ctx context.Context, cut <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-cut:
	case <-ctx.Done():
	}
	return false
}

// outages tells of a queue's failing calls once each, and once when they work
// again. It is kept by operation: a beat may go well while takes fail.
type outages struct {
	log *slog.Logger
	mu  sync.Mutex
	by  map[string]*outage
}

type outage struct {
	since time.Time
	backoff
}

func newOutages(log *slog.Logger, queue string) *outages {
	return &outages{log: log.With("queue", queue), by: make(map[string]*outage)}
}

// failed notes a failure and returns how long to rest before the next try.
func (o *outages) failed(op string, err error) time.Duration {
	o.mu.Lock()
	x, known := o.by[op]
	if !known {
		x = &outage{since: time.Now()}
		o.by[op] = x
	}
	d := x.next()
	o.mu.Unlock()
	if !known {
		o.log.Warn("queue call fails, trying on", "op", op, "error", err)
	}
	return d
}

// worked notes a success.
func (o *outages) worked(op string) {
	o.mu.Lock()
	x := o.by[op]
	delete(o.by, op)
	o.mu.Unlock()
	if x != nil {
		o.log.Info("queue call works again", "op", op, "after", time.Since(x.since), "failures", x.n)
	}
}
