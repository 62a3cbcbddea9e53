package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/internal/producer"
	"github.com/colonyq/colony/framework/redisclient"
)

// Option is a setting of an App or a Producer.
type Option func(*options)

type options struct {
	logger   *slog.Logger
	registry *Registry
}

// WithLogger says where to log. The default is slog.Default().
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithRegistry says where an App looks for plugins. The default is
// DefaultRegistry().
func WithRegistry(r *Registry) Option { return func(o *options) { o.registry = r } }

func newOptions(opts []Option) options {
	o := options{logger: slog.Default(), registry: DefaultRegistry()}
	for _, set := range opts {
		set(&o)
	}
	return o
}

// Producer enqueues jobs: without plugins and without blocking connections. It
// is safe for concurrent use; share one per process, because concurrent calls
// share round trips.
type Producer struct {
	cfg    Config
	client *redisclient.Client
	close  func() error // of the client, or of what was opened on it
	sender *producer.Producer

	closing sync.Once
	closed  error
}

// OpenProducer connects to Redis. It fails within two seconds if none answers.
func OpenProducer(ctx context.Context, cfg Config, opts ...Option) (*Producer, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	client, err := redisclient.Open(ctx, cfg.Redis)
	if err != nil {
		return nil, err
	}
	return newProducer(client, client.Close, cfg, newOptions(opts)), nil
}

// NewProducer returns a Producer on a client of the caller's, a *redis.Client, a
// *redis.ClusterClient or a *redisclient.Client, which it never closes. It does
// no I/O, and cfg.Redis is not read.
func NewProducer(client redis.UniversalClient, cfg Config, opts ...Option) (*Producer, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	c, err := redisclient.Wrap(client)
	if err != nil {
		return nil, err
	}
	return newProducer(c, closerOf(client, c), cfg, newOptions(opts)), nil
}

// closerOf closes what Wrap added to a caller's client, and nothing of the caller's.
func closerOf(given redis.UniversalClient, wrapped *redisclient.Client) func() error {
	if given == redis.UniversalClient(wrapped) {
		return func() error { return nil }
	}
	return wrapped.Close
}

func newProducer(client *redisclient.Client, closeClient func() error, cfg Config, o options) *Producer {
	p := &Producer{cfg: cfg, client: client, close: closeClient}
	p.sender = producer.New(producer.Config{
		Open:      func(queue string) backend.Enqueuer { return openEnqueuer(client, cfg, queue, o.logger) },
		Clock:     serverTime(client),
		Permanent: permanent,
		Refused:   redisclient.Refused,
		Logger:    o.logger,
	})
	return p
}

// Enqueue enqueues jobs and returns their ids; see EnqueueMany.
func (p *Producer) Enqueue(ctx context.Context, jobs ...NewJob) (ids []string, err error) {
	ids = make([]string, len(jobs))
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	lines := byQueue(jobs, errs)
	for i, l := range lines {
		if i < len(lines)-1 {
			wg.Go(func() { p.send(ctx, l, ids, errs) })
		} else {
			p.send(ctx, l, ids, errs) // most calls have one queue: no goroutine for them
		}
	}
	wg.Wait()
	return ids, enqueueError(jobs, ids, errs)
}

// lot is the jobs of one call that go to one queue.
type lot struct {
	queue string
	index []int
	jobs  []backend.Job
}

// byQueue sorts jobs by queue and leaves out, with an error, what is wrong.
func byQueue(jobs []NewJob, errs []error) []*lot {
	var lots []*lot
	found := map[string]*lot{}
	for i, j := range jobs {
		if errs[i] = j.Err(); errs[i] != nil {
			continue
		}
		l := found[j.Queue()]
		if l == nil {
			l = &lot{queue: j.Queue()}
			found[l.queue] = l
			lots = append(lots, l)
		}
		l.index = append(l.index, i)
		l.jobs = append(l.jobs, j.backendJob())
	}
	return lots
}

func (p *Producer) send(ctx context.Context, l *lot, ids []string, errs []error) {
	for i, r := range p.sender.Enqueue(ctx, l.queue, l.jobs) {
		ids[l.index[i]], errs[l.index[i]] = r.ID, r.Err
	}
}

func enqueueError(jobs []NewJob, ids []string, errs []error) error {
	var failed []FailedJob
	for i, err := range errs {
		if err != nil {
			failed = append(failed, FailedJob{Index: i, Kind: jobs[i].kind, ID: ids[i], Err: err})
		}
	}
	if failed == nil {
		return nil
	}
	return &EnqueueError{Jobs: len(jobs), Failed: failed}
}

// flush sends what was accepted and refuses more; the client stays open.
func (p *Producer) flush(ctx context.Context) error { return p.sender.Close(ctx) }

// Close sends what was accepted and not sent yet, and closes the connections
// that the Producer opened. When ctx ends first, it gives up what is left; the
// callers of Enqueue hear of it. It is safe twice.
func (p *Producer) Close(ctx context.Context) error {
	p.closing.Do(func() {
		p.closed = errors.Join(p.flush(ctx), p.close())
	})
	if p.closed != nil {
		return fmt.Errorf("close: %w", p.closed)
	}
	return nil
}

// Stats counts what lies in every known queue and what became of its jobs. Where
// a key of a queue holds the wrong type, the error names it and the other queues
// are there all the same.
func (p *Producer) Stats(ctx context.Context) (map[string]Counts, error) {
	return stats(ctx, p.client, p.cfg)
}

// Inspect looks at one queue: what lies in it, by state.
func (p *Producer) Inspect(queue string) backend.Inspector { return lookAt(p.client, p.cfg, queue) }
