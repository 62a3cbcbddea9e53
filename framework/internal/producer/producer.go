// Package producer sends jobs so that a lost reply never enqueues twice.
//
// A Producer keeps a line per queue. Each line has an id of its own (a ULID),
// numbers its batches from 1 and has one of them in flight at a time. A job that
// meets an idle line goes at once; those that come while a batch is in flight
// share the next one (group commit). When the reply to a batch is lost, the same
// bytes are sent again, with back-off, until the server answers or the batch's
// NotAfter has passed on the server's clock; the server answers a number that it
// knows with what it answered the first time.
//
// Guarantee: a job whose Result has no error was accepted exactly once, as far
// as Redis keeps what it acknowledged. A Result with ErrUnknownOutcome carries
// the id under which the job was accepted, if it was. Any other error means that
// it was not. The guarantee covers one Producer value: what a caller enqueues
// again after an error is another job.
//
// The package knows only the contract of a backend and the wire format.
package producer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// Errors of Enqueue, beside those of backend.
var (
	// ErrClosed: the producer was closed before the job was sent.
	ErrClosed = errors.New("producer is closed")
	// ErrUnknownOutcome: the job was sent and no answer came. It may have been
	// accepted, under the id that the Result carries, or not.
	ErrUnknownOutcome = errors.New("unknown whether the job was enqueued")
)

const (
	batchLife      = time.Minute      // NotAfter, counted from the first sending of a batch
	maxSilence     = time.Minute      // after which a line takes a fresh id
	attemptTimeout = 10 * time.Second // of one sending
	minBackOff     = 50 * time.Millisecond
	maxBackOff     = 2 * time.Second
	maxRenewals    = 3 // fresh ids after gaps, or fresh NotAfters, for one batch
)

// Config is what a Producer needs.
type Config struct {
	// Open returns where the batches of a queue go. Required. It is called once
	// per queue and does no I/O.
	Open func(queue string) backend.Enqueuer
	// Clock asks for the server's time, about once a minute; nil = the own clock,
	// which is right as long as it differs from the server's by less than a minute.
	Clock func(ctx context.Context) (time.Time, error)
	// Permanent says that an error is the server's own refusal, which sending again
	// will not change (a wrong password, a missing permission); nil = never.
	Permanent func(err error) bool
	// Refused says that an error surely means that the server did nothing with what
	// was sent; nil = never. After any other error but those of the contract a batch
	// may have been accepted.
	Refused func(err error) bool
	// Logger hears of gaps; nil = slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Permanent == nil {
		c.Permanent = func(error) bool { return false }
	}
	if c.Refused == nil {
		c.Refused = func(error) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Result is what became of one job.
type Result struct {
	ID  string // of the accepted job, or of one whose outcome is unknown
	Err error
}

// Producer enqueues jobs. It is safe for concurrent use.
type Producer struct {
	cfg   Config
	clock *clock
	gaps  atomic.Int64

	mu     sync.Mutex
	lines  map[string]*line
	closed bool
}

// New returns a Producer. It does no I/O.
func New(cfg Config) *Producer {
	cfg = cfg.withDefaults()
	return &Producer{cfg: cfg, clock: &clock{ask: cfg.Clock}, lines: map[string]*line{}}
}

// Enqueue sends jobs to a queue and waits for the answers, one per job and in
// their order. Jobs that name no id get one.
//
// When ctx ends, jobs that still stand in line are taken out of it and answer
// ctx's error; those in flight answer ErrUnknownOutcome joined with it.
func (p *Producer) Enqueue(ctx context.Context, queue string, jobs []backend.Job) []Result {
	l, err := p.line(queue)
	if err != nil {
		return failed(len(jobs), err)
	}
	results := make([]Result, 0, len(jobs))
	for len(jobs) > 0 {
		n := min(len(jobs), backend.MaxBatchJobs)
		if err := ctx.Err(); err != nil {
			return append(results, failed(len(jobs), err)...)
		}
		results = append(results, l.enqueue(ctx, jobs[:n])...)
		jobs = jobs[n:]
	}
	return results
}

func failed(n int, err error) []Result {
	r := make([]Result, n)
	for i := range r {
		r[i].Err = err
	}
	return r
}

func (p *Producer) line(queue string) (*line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lines[queue]; l != nil {
		return l, nil
	}
	if p.closed {
		return nil, ErrClosed
	}
	l := &line{queue: queue, to: p.cfg.Open(queue), cfg: p.cfg, clock: p.clock, gaps: &p.gaps}
	p.lines[queue] = l
	return l, nil
}

// Gaps is how often the server had forgotten batches that it had acknowledged
// to this producer: each one is a failover, or a deletion, that lost jobs.
func (p *Producer) Gaps() int64 { return p.gaps.Load() }

// Close refuses further jobs and waits for those that were accepted into a line.
// When ctx ends first, it gives those up (ErrClosed if they were not sent,
// ErrUnknownOutcome if they were) and returns ctx's error. It is safe twice.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	lines := make([]*line, 0, len(p.lines))
	for _, l := range p.lines {
		lines = append(lines, l)
	}
	p.mu.Unlock()
	var err error
	for _, l := range lines {
		err = errors.Join(err, l.close(ctx))
	}
	return err
}
