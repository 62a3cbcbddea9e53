package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// Engine serves queues with one worker's slots. Make it with New, run it once.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	lanes []*lane

	ran       atomic.Bool
	abortOnce sync.Once
	abort     chan struct{} // closed by Abort
	halted    chan struct{} // closed when taking stops for good
	closing   chan struct{} // closed when the lanes shall close their queues
	stop      chan error    // 1: an end that comes from inside (drained, a fatal error)
	kick      chan struct{} // 1: wakes the dispatcher
	fullTimer *time.Timer   // wakes the dispatcher when the slots were full for long enough
	began     time.Time
	own       sync.WaitGroup
	slots     sync.WaitGroup

	mu        sync.Mutex
	stopping  bool
	running   int           // handlers that have not returned, zombies included
	held      int           // jobs between adoption and the end of both handler and settlement
	reserved  int           // slots that Takes in flight may fill
	takes     int           // Takes in flight
	buffer    fifo          // taken, not started
	mean      time.Duration // moving average of a run
	turn      int           // whose turn it is in the round robin
	hungry    bool          // a lane could take or wait if there were room
	fullSince time.Time     // zero = there is room
	suspects  pursuit
	lost      int64 // deliveries whose result was discarded or refused
	watch     chan struct{}
}

// New returns an Engine. It does no I/O and reports a wrong Config from Run.
func New(c Config) *Engine {
	c = c.withDefaults()
	e := &Engine{
		cfg:     c,
		log:     c.Logger,
		abort:   make(chan struct{}),
		halted:  make(chan struct{}),
		closing: make(chan struct{}),
		stop:    make(chan error, 1),
		kick:    make(chan struct{}, 1),
		// The average begins long and falls: a fresh worker prefetches nothing
		// until some dozens of runs have shown that they are short.
		mean: time.Second,
	}
	for _, q := range c.Queues {
		e.lanes = append(e.lanes, &lane{e: e, name: q.Name, weight: q.Weight, open: q.Open, failures: newOutages(e.log, q.Name)})
	}
	return e
}

// Run serves the queues until ctx ends, Abort is called or Drained says so. It
// returns nil after a clean stop: everything it held was settled or released. An
// error says what was not, or why it stopped by itself.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.cfg.Validate(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if e.ran.Swap(true) {
		return errors.New("engine: Run was called twice; make a new Engine")
	}
	// Neither of the two may end with ctx: that only begins the shutdown.
	life := context.WithoutCancel(ctx)
	handlers, endHandlers := context.WithCancelCause(life)
	work, endWork := context.WithCancel(life)
	defer endHandlers(backend.ErrShutdown)
	defer endWork()

	e.begin(work, handlers)
	cause := e.untilStopped(ctx)
	e.shutdown(endHandlers)
	endWork()
	e.own.Wait()
	return errors.Join(cause, e.closeErrors())
}

func (e *Engine) begin(work, handlers context.Context) {
	e.began = time.Now()
	e.fullTimer = time.AfterFunc(slowTake, e.wake) // ends the gathering
	e.own.Go(func() { e.dispatchLoop(work) })
	for _, l := range e.lanes {
		e.own.Go(func() { l.serve(work, handlers) })
	}
	if e.cfg.Drained != nil {
		e.own.Go(func() { e.watchDrain(work) })
	}
}

func (e *Engine) untilStopped(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.abort:
		return nil
	case err := <-e.stop:
		return err
	}
}

// end stops the engine from inside. The first reason wins.
func (e *Engine) end(err error) {
	select {
	case e.stop <- err:
	default:
	}
}

// Abort ends every handler's context with ErrShutdown at once, releases what
// then is not done, and lets Run return. It is what a second signal asks for,
// works before and during a shutdown, and is safe twice.
func (e *Engine) Abort() { e.abortOnce.Do(func() { close(e.abort) }) }

// Wake beats the queue now: a hint came that it was paused or resumed or that a
// job was cancelled. A queue that is not served here is ignored.
func (e *Engine) Wake(queue string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lanes {
		if l.name == queue && l.inc != nil {
			l.inc.beatSoon()
		}
	}
}

// Stats is the worker at one instant.
type Stats struct {
	Running  int   // handlers that have not returned
	Buffered int   // taken and not started
	Held     int   // these and what waits to be settled
	Lost     int64 // deliveries whose result was discarded or refused because the lease was lost
}

// Stats looks without disturbing.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Running: e.running, Buffered: e.buffer.len(), Held: e.held, Lost: e.lost}
}

// wake lets the dispatcher look again.
func (e *Engine) wake() { poke(e.kick) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// changed tells those who await a condition. Under mu.
func (e *Engine) changed() {
	if e.watch != nil {
		close(e.watch)
		e.watch = nil
	}
}

// await returns true when cond (called under mu) holds, false after d or when
// cut is closed.
func (e *Engine) await(d time.Duration, cut <-chan struct{}, cond func() bool) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		e.mu.Lock()
		if cond() {
			e.mu.Unlock()
			return true
		}
		if e.watch == nil {
			e.watch = make(chan struct{})
		}
		changed := e.watch
		e.mu.Unlock()
		select {
		case <-changed:
		case <-cut:
			return false
		case <-t.C:
			return false
		}
	}
}
