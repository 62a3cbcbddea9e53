// Package frameworktest helps to test code that enqueues or handles jobs.
//
// Run runs one handler without any Redis and says what would become of the job.
// New gives a test an App on an in-process Redis of its own, where a real worker
// takes, fails, retries and buries jobs: App.Drain works them off, and Enqueued
// looks at what waits.
//
// The in-process Redis is framework/embedded: see there for what it does not do.
package frameworktest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/embedded"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
)

const (
	patience = 30 * time.Second // for connecting and closing
	page     = 500              // jobs per look at a queue
)

// App is a framework.App with a Redis of its own, both closed when the test
// ends. It is a framework.Enqueuer; pass its field App to framework.Handle.
type App struct {
	*framework.App
	t testing.TB
}

// New starts a Redis in this process and opens an App on it. Each change is
// applied to the config first; its redis block is set already. Logs go to the
// test's output. It ends the test if something fails.
func New(t testing.TB, change ...func(cfg *framework.Config)) *App {
	t.Helper()
	server, err := embedded.Start("")
	if err != nil {
		t.Fatalf("start a redis for the test: %v", err)
	}
	t.Cleanup(server.Close)
	cfg := framework.Config{Redis: redisclient.Config{URL: server.URL()}}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	app, err := framework.Open(ctx, cfg, framework.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil))))
	if err != nil {
		t.Fatalf("open the app: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Close(ctx); err != nil {
			t.Errorf("close the app: %v", err)
		}
	})
	return &App{App: app, t: t}
}

// Drain runs the app until nothing is left to do and says what its runs came to.
// Jobs that are due later stay. It ends the test if that fails, as it does for
// jobs without a handler. An App runs once, so call it once.
func (a *App) Drain(ctx context.Context) framework.Report {
	a.t.Helper()
	r, err := a.App.Drain(ctx)
	if err != nil {
		a.t.Fatalf("drain: %v", err)
	}
	return r
}

// Enqueued returns the payloads of the jobs of a kind that wait, ready ones in
// the order of the line and then scheduled ones by their time, queue by queue.
// Jobs that failed and wait for their retry, and dead ones, are not among them.
// It ends the test if a payload does not decode.
func Enqueued[T any](a *App, kind framework.Kind[T]) []T {
	a.t.Helper()
	var all []T
	keep := kind.Handler(func(_ context.Context, j *framework.Job[T]) error {
		all = append(all, j.Payload)
		return nil
	})
	for _, e := range a.waiting(kind.Name()) {
		d := &framework.Delivery{ID: e.ID, Kind: e.Kind, ContentType: e.ContentType, Payload: e.Payload}
		if err := keep(a.t.Context(), d); err != nil {
			a.t.Fatalf("job %s: %v", e.ID, err)
		}
	}
	return all
}

func (a *App) waiting(kind string) []wire.Envelope {
	a.t.Helper()
	queues, err := a.Stats(a.t.Context())
	if err != nil {
		a.t.Fatalf("list the queues: %v", err)
	}
	var all []wire.Envelope
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		for _, state := range []backend.State{backend.Ready, backend.Scheduled} {
			all = append(all, a.list(a.Inspect(name), state)...)
		}
	}
	return slices.DeleteFunc(all, func(e wire.Envelope) bool { return e.Kind != kind })
}

func (a *App) list(q backend.Inspector, state backend.State) []wire.Envelope {
	a.t.Helper()
	var all []wire.Envelope
	for {
		jobs, err := q.List(a.t.Context(), state, len(all), page)
		if err != nil {
			a.t.Fatalf("list the %s jobs: %v", state, err)
		}
		all = append(all, jobs...)
		if len(jobs) < page {
			return all
		}
	}
}

// Run runs a job's first run through a handler, without Redis, and says what
// would become of it: the verdict with its delay or reason, and the error, a
// *framework.PanicError if the handler panicked. The payload is encoded and
// decoded on the way. Middleware stands around the handler, the first outermost.
//
//	out := frameworktest.Run(ctx, t, SendEmail.Handler(send), SendEmail.New(Email{To: "ada@example.org"}))
//
// Pass framework.MaxAttempts(1) to see the last run of a job. It ends the test
// if the job is wrong.
func Run(ctx context.Context, t testing.TB, h framework.Handler, job framework.NewJob, mw ...framework.Middleware) framework.Outcome {
	t.Helper()
	d, err := job.Delivery()
	if err != nil {
		t.Fatalf("job of kind %s: %v", job.Kind(), err)
	}
	for _, m := range slices.Backward(mw) {
		h = m(h)
	}
	return framework.Execute(ctx, h, d)
}
