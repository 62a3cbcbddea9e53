package locks

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// linger is how long the hub listens on after its last waiter left, so that a
// lock under contention does not subscribe for every wait.
const linger = 5 * time.Second

// hub wakes the waiters of this process: all share one subscription, which exists
// only while somebody waits.
type hub struct {
	id       string // of the manager: the last part of its channel
	notifier Notifier
	crew     *crew

	mu      sync.Mutex
	next    uint64
	waiters map[string]*waiter
	ready   chan struct{} // closed once the subscription hears; nil = not listening
	stop    context.CancelFunc
	idle    *time.Timer
}

// waiter is one Acquire that waits. Its channel holds at most one wake-up.
type waiter struct {
	id   string
	wake chan struct{}
}

func newHub(id string, n Notifier, c *crew) *hub {
	return &hub{id: id, notifier: n, crew: c, waiters: map[string]*waiter{}}
}

// enter adds a waiter, and returns when a wake-up would reach it. Where that takes
// long it returns without: a lost wake-up costs one RetryEvery.
func (h *hub) enter(ctx context.Context, kind Kind) *waiter {
	h.mu.Lock()
	h.next++
	w := &waiter{kind.letter() + h.id + ":" + strconv.FormatUint(h.next, 10), make(chan struct{}, 1)}
	h.waiters[w.id] = w
	ready := h.listen()
	h.mu.Unlock()
	if ready == nil {
		return w
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-ready:
	case <-ctx.Done():
	case <-patience.C:
	}
	select {
	case <-w.wake: // the news that we hear is not a release
	default:
	}
	return w
}

// listen makes sure that the subscription is there. The caller holds the mutex.
func (h *hub) listen() chan struct{} {
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	if h.ready != nil || h.notifier == nil {
		return h.ready
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	once := sync.OnceFunc(func() { close(ready) })
	listening := h.crew.spawn(func() {
		h.notifier.Listen(ctx, h.id, func(waiter string) { h.wake(waiter); once() })
	})
	if !listening {
		cancel()
		return nil
	}
	h.ready, h.stop = ready, cancel
	return ready
}

// leave removes a waiter.
func (h *hub) leave(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiters, w.id)
	if len(h.waiters) == 0 && h.stop != nil {
		h.idle = time.AfterFunc(linger, h.rest)
	}
}

// rest ends the subscription where still nobody waits.
func (h *hub) rest() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiters) == 0 {
		h.end()
	}
}

// close ends the subscription.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end()
}

func (h *hub) end() {
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	if h.stop != nil {
		h.stop()
		h.stop, h.ready = nil, nil
	}
}

// wake wakes one waiter, or everyone where the subscription began anew and may
// have missed something.
func (h *hub) wake(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id != "" {
		h.waiters[id].up()
		return
	}
	for _, w := range h.waiters {
		w.up()
	}
}

func (w *waiter) up() {
	if w == nil {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}
