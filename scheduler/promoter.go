package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// PromoteFunc makes up to max due jobs ready. It returns how long it is until
// the next one is due: 0 = now, there are more; negative = none is waiting.
type PromoteFunc func(ctx context.Context, max int) (next time.Duration, err error)

// Options of a Promoter. The zero value works.
type Options struct {
	// Batch is how many jobs one call may promote, at most 1000. 0 = 1000.
	Batch int
	// CallTimeout ends one call. 0 = 5 s.
	CallTimeout time.Duration
	// Logger is told of an outage once, and once when it is over. nil =
	// slog.Default().
	Logger *slog.Logger
}

const maxBatch = 1000

func (o Options) withDefaults() Options {
	if o.Batch == 0 {
		o.Batch = maxBatch
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Validate joins everything that is wrong with o, each problem naming its field.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	if o.Batch < 1 || o.Batch > maxBatch {
		errs = append(errs, fmt.Errorf("batch: must be 1 to %d, got %d", maxBatch, o.Batch))
	}
	if o.CallTimeout < 0 {
		errs = append(errs, fmt.Errorf("call_timeout: must be positive, got %s", o.CallTimeout))
	}
	return errors.Join(errs...)
}

// Promoter promotes the due jobs of one queue while this process is the one to
// do so. Update and Wake may be called at any time, also before Run.
type Promoter struct {
	queue   string
	promote PromoteFunc
	opts    Options
	changed chan struct{} // 1

	mu     sync.Mutex
	active bool
	due    time.Time // when to promote; zero = nothing is known to be waiting
}

// NewPromoter returns a Promoter of a queue. It sends nothing until Run. A wrong
// option is reported by Run.
func NewPromoter(queue string, promote PromoteFunc, opts Options) *Promoter {
	return &Promoter{queue: queue, promote: promote, opts: opts.withDefaults(), changed: make(chan struct{}, 1)}
}

// Update says what a beat saw: whether this process is the one to promote, and
// how long it is until the next job is due (negative = none is waiting).
//
// It only ever brings the next promotion forward. A pulse may be older than a
// promotion or a hint which knew of an earlier job; and to promote too early
// costs one command, to be late is what this package is there to prevent.
func (p *Promoter) Update(promoter bool, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = promoter
	switch {
	case !promoter:
		p.due = time.Time{}
	case next >= 0:
		p.forward(time.Now().Add(next))
	}
}

// Wake says that a job was scheduled that may be due before all others. Where
// this process is not the one to promote, nothing happens.
func (p *Promoter) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active {
		p.forward(time.Now())
	}
}

// forward promotes at t, unless that is to happen earlier anyway. Under mu.
func (p *Promoter) forward(t time.Time) {
	if !p.due.IsZero() && !t.Before(p.due) {
		return
	}
	p.due = t
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Run promotes until ctx ends, and returns nil then. Errors of the server are
// tried again, 50 ms to 1 s apart.
func (p *Promoter) Run(ctx context.Context) error {
	if err := p.opts.Validate(); err != nil {
		return fmt.Errorf("promoter of queue %q: %w", p.queue, err)
	}
	var down outage
	for p.sleep(ctx) {
		next, err := p.call(ctx)
		switch {
		case err == nil:
			p.told(next)
			down.over(p)
		case ctx.Err() == nil:
			p.told(down.failed(p, err))
		}
	}
	return nil
}

// sleep returns true when it is time to promote, false when ctx has ended.
func (p *Promoter) sleep(ctx context.Context) bool {
	for {
		var wake <-chan time.Time
		var timer *time.Timer
		if left, waiting := p.left(); waiting {
			timer = time.NewTimer(left)
			wake = timer.C
		}
		select {
		case <-wake:
		case <-p.changed:
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return false
		}
		if p.claim() {
			return true
		}
	}
}

// left is how long to sleep; false = until something changes.
func (p *Promoter) left() (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.due), p.active && !p.due.IsZero()
}

// claim takes up the promotion that is due, so that whatever is said from now
// on counts for the next one.
func (p *Promoter) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.active || p.due.IsZero() || time.Now().Before(p.due) {
		return false
	}
	p.due = time.Time{}
	return true
}

func (p *Promoter) call(ctx context.Context) (time.Duration, error) {
	ctx, done := context.WithTimeout(ctx, p.opts.CallTimeout)
	defer done()
	return p.promote(ctx, p.opts.Batch)
}

// told plans the next promotion. The server counts in milliseconds: sleeping
// less than one would only ask it the same again.
func (p *Promoter) told(next time.Duration) {
	if next < 0 {
		return
	}
	if next > 0 {
		next = max(next, time.Millisecond)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active {
		p.forward(time.Now().Add(next))
	}
}

// outage counts failures in a row.
type outage struct {
	n     int
	since time.Time
}

// failed returns how long to rest: 50 ms doubling to 1 s, give or take a quarter.
func (o *outage) failed(p *Promoter, err error) time.Duration {
	if o.n == 0 {
		o.since = time.Now()
		p.opts.Logger.Warn("due jobs cannot be made ready, trying on", "queue", p.queue, "error", err)
	}
	d := min(50*time.Millisecond<<min(o.n, 10), time.Second)
	o.n++
	return d*3/4 + rand.N(d/2)
}

func (o *outage) over(p *Promoter) {
	if o.n > 0 {
		p.opts.Logger.Info("due jobs are made ready again", "queue", p.queue, "after", time.Since(o.since), "failures", o.n)
	}
	*o = outage{}
}
