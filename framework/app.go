package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
)

// App is a worker and a producer in one: it runs handlers and enqueues jobs.
// Register what it handles, then call Run.
type App struct {
	cfg      Config
	log      *slog.Logger
	client   *redisclient.Client
	producer *Producer
	plugins  *plugins
	mux      mux
	work     work

	closing sync.Once
	closed  error
}

// Open connects to Redis, makes the plugins that cfg names and provisions them.
// It fails within two seconds if no Redis answers, and with all that is wrong
// with the config at once (ErrConfig). Close the App when done with it.
func Open(ctx context.Context, cfg Config, opts ...Option) (*App, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, configError{err}
	}
	o := newOptions(opts)
	p, err := newPlugins(cfg, o.registry)
	if err != nil {
		return nil, configError{err}
	}
	client, err := redisclient.Open(ctx, cfg.Redis)
	if err != nil {
		return nil, err
	}
	a := newApp(client, client.Close, cfg, o, p)
	if policy := client.Evicts(ctx); policy != "" {
		a.log.Warn("this Redis throws keys away when it is full, and jobs with them: set maxmemory-policy noeviction", "maxmemory-policy", policy)
	}
	if err := p.provision(ctx, a); err != nil {
		return nil, errors.Join(err, a.Close(context.WithoutCancel(ctx)))
	}
	return a, nil
}

// New returns an App on a client of the caller's, a *redis.Client, a
// *redis.ClusterClient or a *redisclient.Client, which it never closes; the App
// opens connections of its own for waiting. It does no I/O: plugins that cfg
// names are provisioned by Run. cfg.Redis is not read.
func New(client redis.UniversalClient, cfg Config, opts ...Option) (*App, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, configError{err}
	}
	o := newOptions(opts)
	p, err := newPlugins(cfg, o.registry)
	if err != nil {
		return nil, configError{err}
	}
	c, err := redisclient.Wrap(client)
	if err != nil {
		return nil, err
	}
	return newApp(c, closerOf(client, c), cfg, o, p), nil
}

func newApp(client *redisclient.Client, closeClient func() error, cfg Config, o options, p *plugins) *App {
	return &App{cfg: cfg, log: o.logger, client: client, plugins: p, producer: newProducer(client, closeClient, cfg, o)}
}

// Use adds middleware around the handlers of every kind; the first one used is
// the outermost, whether handlers are registered before or after. Middleware of
// the config stands outside of it. It panics once the app runs.
func (a *App) Use(mw ...Middleware) { a.mux.use(mw) }

// Enqueue enqueues jobs and returns their ids; see EnqueueMany.
func (a *App) Enqueue(ctx context.Context, jobs ...NewJob) (ids []string, err error) {
	return a.producer.Enqueue(ctx, jobs...)
}

// Stats counts what lies in every known queue and what became of its jobs. Where
// a key of a queue holds the wrong type, the error names it and the other queues
// are there all the same.
func (a *App) Stats(ctx context.Context) (map[string]Counts, error) { return a.producer.Stats(ctx) }

// Inspect looks at one queue: what lies in it, by state.
func (a *App) Inspect(queue string) backend.Inspector { return a.producer.Inspect(queue) }

// Close sends what was enqueued and not sent yet, cleans the plugins up and
// closes the connections that the App opened; the caller's client stays open.
// Call it when Run has returned. When ctx ends first, what was not sent is given
// up; the callers of Enqueue hear of it. It is safe twice.
func (a *App) Close(ctx context.Context) error {
	a.closing.Do(func() {
		flushed := a.producer.flush(ctx)
		a.closed = errors.Join(flushed, a.plugins.cleanUp(), a.producer.Close(ctx))
	})
	if a.closed != nil {
		return fmt.Errorf("close: %w", a.closed)
	}
	return nil
}
