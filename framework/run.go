package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/internal/engine"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/scheduler"
)

// pluginStop is how long plugins have to stop, all together.
const pluginStop = 10 * time.Second

// work is the state of an App's one Run.
type work struct {
	mu      sync.Mutex
	began   bool
	aborted bool
	engine  *engine.Engine
}

func (w *work) begin() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began {
		return errors.New("an App runs once: make a new one")
	}
	w.began = true
	return nil
}

// drive makes the engine known to Abort.
func (w *work) drive(e *engine.Engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engine = e; w.aborted {
		e.Abort()
	}
}

// Abort ends Run at once: it ends every handler's context with ErrShutdown and
// releases what then is not done. It is what a second signal asks for; it works
// before and during a shutdown and is safe twice.
func (a *App) Abort() {
	a.work.mu.Lock()
	defer a.work.mu.Unlock()
	a.work.aborted = true
	if a.work.engine != nil {
		a.work.engine.Abort()
	}
}

// Run starts the plugins and serves the queues of the config until ctx ends.
// Then it takes no more jobs, lets handlers finish for up to shutdown_timeout,
// ends their contexts with ErrShutdown and releases what is not done.
//
// It returns nil after a clean stop. It traps no signals: pass a context of
// signal.NotifyContext, and call Abort on a second one. While Redis is away it
// goes on trying. A handler that the config and the code both register, a plugin
// that does not start and a wrong queue are errors.
func (a *App) Run(ctx context.Context) error {
	_, err := a.run(ctx, false)
	return err
}

// Drain is Run that ends by itself when nothing is left to do: when no job is
// ready, active or suspect in any worker's hand and none is due, seen twice with
// nothing changed between. Jobs that are due later stay. It says what the runs
// came to; jobs that died are no error, but it is one if what remains is in a
// paused queue or has no handler here. When ctx ends first, the error is ctx's.
func (a *App) Drain(ctx context.Context) (Report, error) {
	r, err := a.run(ctx, true)
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

func (a *App) run(ctx context.Context, drain bool) (Report, error) {
	s, err := a.prepare(ctx, drain)
	if err != nil {
		return Report{}, fmt.Errorf("run: %w", err)
	}
	if err := a.plugins.start(ctx); err != nil {
		return Report{}, fmt.Errorf("run: %w", err)
	}
	err = s.serve(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), pluginStop)
	defer cancel()
	return s.report(), errors.Join(err, a.plugins.stop(last))
}

func (a *App) prepare(ctx context.Context, drain bool) (*session, error) {
	if err := a.work.begin(); err != nil {
		return nil, err
	}
	if err := a.plugins.provision(ctx, a); err != nil {
		return nil, errors.Join(err, a.plugins.cleanUp())
	}
	routes, err := a.mux.seal(a.plugins.handlers(), a.plugins.middleware())
	if err != nil {
		return nil, err
	}
	return newSession(a, routes, drain), nil
}

// session is one Run.
type session struct {
	app    *App
	routes routes
	tally  tally
	vigil  vigil
	engine *engine.Engine
	queues map[string]*served
	drain  *drainWatch // nil = until ctx ends
}

// served is one queue of a session.
type served struct {
	name     string
	look     listQueue
	promoter *scheduler.Promoter
}

func newSession(a *App, r routes, drain bool) *session {
	s := &session{app: a, routes: r, queues: map[string]*served{}}
	w := a.cfg.Worker
	cfg := engine.Config{
		Concurrency: w.Concurrency, Lease: w.Lease, ShutdownTimeout: w.ShutdownTimeout, Strict: w.Strict,
		Run: s.deliver, Exited: s.exited, OnPulse: s.pulse, Logger: a.log,
	}
	queues := servedQueues(a.cfg.Queues, r)
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		cfg.Queues = append(cfg.Queues, engine.Queue{Name: name, Weight: queues[name].Weight, Open: func() backend.Queue { return openQueue(a.client, a.cfg, name) }})
		s.queues[name] = s.serveQueue(name)
	}
	if drain {
		s.drain = newDrainWatch(s.queues)
		cfg.Drained = s.drained
	}
	s.warnUnserved()
	s.engine = engine.New(cfg)
	a.work.drive(s.engine)
	return s
}

// servedQueues are the queues of the config or, where it names none, the default
// queue and those of the kinds that are handled here.
func servedQueues(named map[string]QueueConfig, r routes) map[string]QueueConfig {
	if len(named) > 0 {
		return named
	}
	queues := map[string]QueueConfig{DefaultQueue: {}}
	for _, e := range r {
		if e.defaults.kind != "" {
			queues[e.defaults.Queue()] = QueueConfig{}
		}
	}
	return queues
}

// warnUnserved tells of handlers whose kind goes to a queue that this worker
// does not serve: the jobs would wait, and nothing else would say why.
func (s *session) warnUnserved() {
	for _, kind := range slices.Sorted(maps.Keys(s.routes)) {
		e := s.routes[kind]
		if e.defaults.kind == "" || s.queues[e.defaults.Queue()] != nil {
			continue
		}
		s.app.log.Warn("this worker handles a kind whose queue it does not serve: add the queue (queues in the config, --queue NAME)",
			slog.String("kind", kind), slog.String("queue", e.defaults.Queue()))
	}
}

func (s *session) serveQueue(name string) *served {
	q := lookAt(s.app.client, s.app.cfg, name)
	return &served{name: name, look: q, promoter: scheduler.NewPromoter(name, q.Promote, scheduler.Options{Logger: s.app.log})}
}

// serve runs the engine, and beside it, until it has ended, the promoters and
// the ear for hints.
func (s *session) serve(ctx context.Context) error {
	s.app.log.Info("worker runs", s.summary()...)
	told := context.AfterFunc(ctx, func() {
		s.app.log.Info("stopping: no more jobs are taken, running ones may finish", "cause", context.Cause(ctx), "timeout", s.app.cfg.Worker.ShutdownTimeout)
	})
	defer told()
	side, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for _, q := range s.queues {
		wg.Go(func() {
			if err := q.promoter.Run(side); err != nil {
				s.app.log.Error("promoter ended", slog.String("queue", q.name), slog.Any("error", err))
			}
		})
	}
	wg.Go(func() { s.listen(side) })
	wg.Go(func() { s.introduce(side) })
	wg.Go(func() { s.vigil.watch(side, s) })
	err := s.engine.Run(ctx)
	end()
	wg.Wait()
	return err
}

// introduceEvery is how often a worker adds its queues to the set of known ones:
// Redis may have forgotten them, in a failover or by somebody's FLUSHALL.
var introduceEvery = 10 * time.Second

// summary is what the worker does, for the first line of its log.
func (s *session) summary() []any {
	cfg := s.app.cfg
	var queues []string
	weights := servedQueues(cfg.Queues, s.routes)
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		queues = append(queues, fmt.Sprintf("%s:%d", name, max(weights[name].Weight, 1)))
	}
	return []any{
		"queues", strings.Join(queues, " "),
		"handlers", strings.Join(slices.Sorted(maps.Keys(s.routes)), " "),
		"concurrency", cfg.Worker.Concurrency,
		"redis", s.app.client.Address(),
		"namespace", cfg.Namespace,
	}
}

// introduce keeps the queues in the set of known ones.
func (s *session) introduce(ctx context.Context) {
	told := false
	for {
		for _, name := range slices.Sorted(maps.Keys(s.queues)) {
			told = s.makeKnown(ctx, name, told)
		}
		if !wait(ctx, introduceEvery) {
			return
		}
	}
}

// makeKnown tries until Redis lets it, and tells once if that takes a second try.
func (s *session) makeKnown(ctx context.Context, name string, told bool) bool {
	for err := announce(ctx, s.app.client, s.app.cfg, name); err != nil; err = announce(ctx, s.app.client, s.app.cfg, name) {
		if !wait(ctx, time.Second) {
			return told
		}
		if !told {
			told = true
			s.app.log.Warn("the queue cannot be added to the set of known queues, trying on: worker stats may not list it",
				slog.String("queue", name), slog.String("key", keys.Queues(s.app.cfg.Namespace)), slog.Any("error", err))
		}
	}
	return told
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *session) pulse(queue string, _ backend.Queue, p backend.Pulse) {
	s.queues[queue].promoter.Update(p.Promoter, p.NextDue)
}

// listen hears hints. They spare the wait for the next beat; a lost one costs at
// most a second.
func (s *session) listen(ctx context.Context) {
	sub := s.app.client.Subscribe(ctx, keys.Control(s.app.cfg.Namespace))
	defer func() { _ = sub.Close() }() // nothing is lost with it
	hints := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-hints:
			if !ok {
				return
			}
			s.hint(m.Payload)
		}
	}
}

// hint acts on "wake QUEUE" (a job is due earlier than the promoter knows) and
// on "pause", "resume" and "cancel QUEUE", which the next beat sees.
func (s *session) hint(message string) {
	verb, queue, _ := strings.Cut(message, " ")
	q := s.queues[queue]
	if q == nil {
		return
	}
	if verb == "wake" {
		q.promoter.Wake()
		return
	}
	s.engine.Wake(queue)
}

func (s *session) report() Report {
	r := s.tally.snapshot()
	if s.drain != nil {
		r.Queues = s.drain.counts()
	}
	return r
}
