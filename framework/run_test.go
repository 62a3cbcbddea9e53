package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/keys"
)

// Drain names a paused queue that holds jobs.
func TestDrainPaused(t *testing.T) {
	app := openApp(t)
	enqueue(t, app, "k")
	if err := lookAt(app.client, app.cfg, DefaultQueue).Pause(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r, err := app.Drain(t.Context())
	if err == nil || !strings.Contains(err.Error(), "paused queues: default (1 jobs)") || r.Queues[DefaultQueue].Ready != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// What is left decides whether a drain is over: work elsewhere goes on, jobs of
// a paused queue are named, jobs due later do not count.
func TestRemains(t *testing.T) {
	for name, c := range map[string]struct {
		counts map[string]Counts
		idle   bool
		stuck  string
	}{
		"nothing":         {map[string]Counts{"a": {}}, true, ""},
		"later":           {map[string]Counts{"a": {Scheduled: 1, Retry: 1, Dead: 1}}, true, ""},
		"ready":           {map[string]Counts{"a": {Ready: 1}}, false, ""},
		"due":             {map[string]Counts{"a": {Due: 1}}, false, ""},
		"suspect":         {map[string]Counts{"a": {Suspect: 1}}, false, ""},
		"active":          {map[string]Counts{"a": {Active: 1}}, false, ""},
		"paused":          {map[string]Counts{"a": {Ready: 2, Paused: true}, "b": {}}, true, "not drained: paused queues: a (2 jobs): resume them"},
		"paused, empty":   {map[string]Counts{"a": {Paused: true}}, true, ""},
		"paused, active":  {map[string]Counts{"a": {Ready: 2, Active: 1, Paused: true}}, false, ""},
		"paused and busy": {map[string]Counts{"a": {Ready: 2, Paused: true}, "b": {Ready: 1}}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stuck, idle := remains(c.counts)
			if idle != c.idle || fmt.Sprint(stuck) != fmt.Sprint(errorOf(c.stuck)) {
				t.Errorf("got %v, %v", stuck, idle)
			}
		})
	}
}

func errorOf(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(s)
}

// Run returns nil after a clean stop. Handlers may finish; one that does not is
// told ErrShutdown after the timeout, and its job is released, nothing counted.
func TestShutdown(t *testing.T) {
	app := openApp(t, func(c *Config) { c.Worker.ShutdownTimeout = 100 * time.Millisecond })
	running := make(chan struct{})
	var cause error
	HandleRaw(app, "k", func(ctx context.Context, _ *Delivery) error {
		close(running)
		<-ctx.Done()
		cause = context.Cause(ctx)
		return ctx.Err()
	})
	id := enqueue(t, app, "k")
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- app.Run(ctx) }()
	<-running
	stop()
	if err := <-result; err != nil {
		t.Errorf("run: %v", err)
	}
	if !errors.Is(cause, ErrShutdown) {
		t.Errorf("the context ended with %v", cause)
	}
	e, state, err := app.Inspect(DefaultQueue).Show(t.Context(), id)
	if err != nil || state != backend.Ready || e.Attempt != 0 {
		t.Errorf("got %s %+v, %v", state, e, err)
	}
}

// A running job that a person cancels hears of it by a hint, well before the
// next beat has to; it is gone, whatever its handler answers.
func TestCancelRunningJob(t *testing.T) {
	app := openApp(t)
	running := make(chan struct{})
	var cause error
	HandleRaw(app, "k", func(ctx context.Context, _ *Delivery) error {
		close(running)
		<-ctx.Done()
		cause = context.Cause(ctx)
		return nil
	})
	id := enqueue(t, app, "k")
	result := make(chan error, 1)
	var r Report
	go func() {
		var err error
		r, err = app.Drain(t.Context())
		result <- err
	}()
	<-running
	if err := lookAt(app.client, app.cfg, DefaultQueue).Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || !errors.Is(cause, ErrCanceled) || r.Canceled != 1 {
		t.Errorf("ended with %v, %+v, %v", cause, r, err)
	}
	if _, _, err := app.Inspect(DefaultQueue).Show(t.Context(), id); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("show: %v", err)
	}
}

// A handler that goes on after its timeout keeps its slot and is told of, when
// that is noticed and when it ends; one that returns in time is not.
func TestStubbornHandler(t *testing.T) {
	for name, c := range map[string]struct {
		goesOn time.Duration
		lines  int
	}{"obedient": {0, 0}, "stubborn": {time.Minute, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log lines
				s := &session{app: &App{log: slog.New(slog.NewTextHandler(&log, nil))}}
				execute(t.Context(), func(ctx context.Context, _ *Delivery) error {
					<-ctx.Done()
					time.Sleep(c.goesOn)
					return nil
				}, &Delivery{ID: "ID", Timeout: time.Second}, s.late)
				if n := log.count("id=ID"); n != c.lines || c.lines > 0 && log.count("late=1m0s") != 1 {
					t.Errorf("logged\n%s", log.String())
				}
			})
		})
	}
}

// The same of a handler without a timeout, whose lease was lost.
func TestStubbornHandlerWithoutTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		goesOn time.Duration
		cause  error
		lines  int
	}{"obedient": {0, ErrLeaseLost, 0}, "stubborn": {time.Minute, ErrLeaseLost, 2}, "at shutdown": {time.Minute, ErrShutdown, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log lines
				s := &session{app: &App{log: slog.New(slog.NewTextHandler(&log, nil))}}
				watch, end := context.WithCancel(t.Context())
				defer end()
				go s.vigil.watch(watch, s) // ends in the bubble, which waits for it
				ctx, cancel := context.WithCancelCause(t.Context())
				for range 2 { // the second one sits where the first one did
					s.inline(ctx, func(ctx context.Context, _ *Delivery) error {
						time.Sleep(time.Minute)
						cancel(c.cause)
						<-ctx.Done()
						time.Sleep(c.goesOn)
						return nil
					}, &Delivery{ID: "ID"})
					ctx, cancel = context.WithCancelCause(t.Context())
				}
				cancel(nil)
				if n := log.count("id=ID"); n != 2*c.lines {
					t.Errorf("logged\n%s", log.String())
				}
			})
		})
	}
}

// A handler that ends its goroutine has failed, by the rules of any failure, and
// the worker goes on.
func TestGoexitInAWorker(t *testing.T) {
	app := openApp(t)
	HandleRaw(app, "k", func(context.Context, *Delivery) error { runtime.Goexit(); return nil })
	id := enqueue(t, app, "k", MaxAttempts(1))
	if r, err := app.Drain(t.Context()); err != nil || r.Dead != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	e, state, err := app.Inspect(DefaultQueue).Show(t.Context(), id)
	if err != nil || state != backend.DeadState || len(e.Errors) != 1 || !strings.Contains(e.Errors[0].Message, "Goexit") {
		t.Errorf("%+v, %v, %v", e, state, err)
	}
}

// A worker that handles a kind whose queue it does not serve says so.
func TestUnservedQueue(t *testing.T) {
	app := openApp(t, func(c *Config) { c.Queues = map[string]QueueConfig{DefaultQueue: {}} })
	var log lines
	app.log = slog.New(slog.NewTextHandler(&log, nil))
	Handle(app, DefineKind[int]("k", Queue("elsewhere")), func(context.Context, *Job[int]) error { return nil })
	Handle(app, DefineKind[int]("here"), func(context.Context, *Job[int]) error { return nil })
	if _, err := app.Drain(t.Context()); err != nil || log.count("kind=k queue=elsewhere") != 1 || log.count("whose queue") != 1 {
		t.Errorf("%v, logged\n%s", err, log.String())
	}
}

// A worker that cannot make its queues known names the key that keeps it from
// that, once, and works all the same.
func TestQueuesCannotBeMadeKnown(t *testing.T) {
	app := openApp(t)
	told := make(heard, 1)
	app.log = slog.New(slog.NewTextHandler(told, nil))
	if err := app.client.Set(t.Context(), keys.Queues(""), "not a set", 0).Err(); err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	HandleRaw(app, "k", func(context.Context, *Delivery) error { close(ran); return nil })
	enqueue(t, app, "k")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	result := make(chan error, 1)
	go func() { result <- app.Run(ctx) }()
	if line := <-told; !strings.Contains(line, "key=colony:queues") {
		t.Errorf("logged %s", line)
	}
	<-ran
	stop()
	if err := <-result; err != nil {
		t.Errorf("run: %v", err)
	}
}

func init() { introduceEvery = 50 * time.Millisecond }

// A queue that Redis has forgotten, with all else or alone, is known again soon.
func TestQueueIsMadeKnownAgain(t *testing.T) {
	app := openApp(t)
	HandleRaw(app, "k", func(context.Context, *Delivery) error { return nil })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	result := make(chan error, 1)
	go func() { result <- app.Run(ctx) }()
	known := func() bool {
		n, err := app.client.SCard(t.Context(), keys.Queues("")).Result()
		return err == nil && n == 1
	}
	for range 2 {
		for !known() {
			runtime.Gosched()
		}
		app.client.Del(t.Context(), keys.Queues(""))
	}
	stop()
	if err := <-result; err != nil {
		t.Errorf("run: %v", err)
	}
}

// heard passes on the first line of a log that is a warning.
type heard chan string

func (h heard) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "level=WARN") {
		select {
		case h <- string(p):
		default:
		}
	}
	return len(p), nil
}

// A wrong option of a kind is an error of Run, not a queue of a wrong name.
func TestKindWithAWrongOption(t *testing.T) {
	app := openApp(t)
	Handle(app, DefineKind[int]("k", Queue("no name")), func(context.Context, *Job[int]) error { return nil })
	if err := app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "kind k: queue: ") {
		t.Errorf("run: %v", err)
	}
}

// A worker whose config names no queue serves those of the kinds it handles.
func TestServesWhatItHandles(t *testing.T) {
	app := openApp(t)
	kind := DefineKind[int]("k", Queue("elsewhere"))
	Handle(app, kind, func(context.Context, *Job[int]) error { return nil })
	for _, queue := range []string{"elsewhere", DefaultQueue} {
		if _, err := kind.Enqueue(t.Context(), app, 1, Queue(queue)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := app.Drain(t.Context()); err != nil || r.Done != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A job in a format of tomorrow is not junk: it is given back for a newer worker.
func TestNewerFormatIsGivenBack(t *testing.T) {
	app := openApp(t)
	s := newSession(app, nil, false)
	entry := []byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,"s":0,"v":99,"kind":"k"}`)
	_, bad := wire.Parse(entry)
	got := s.deliver(t.Context(), backend.NewDelivery("q", wire.Envelope{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", N: 1}, entry, bad))
	if got.Verdict != backend.Snooze || got.Delay <= 0 {
		t.Errorf("%+v", got)
	}
}

// Abort ends a Run at once, whatever its shutdown timeout; an early one too.
func TestAbort(t *testing.T) {
	app := openApp(t, func(c *Config) { c.Worker.ShutdownTimeout = time.Hour })
	running := make(chan struct{})
	HandleRaw(app, "k", func(ctx context.Context, _ *Delivery) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	enqueue(t, app, "k")
	result := make(chan error, 1)
	go func() { result <- app.Run(t.Context()) }()
	<-running
	app.Abort()
	app.Abort()
	if err := <-result; err != nil {
		t.Errorf("run: %v", err)
	}

	early := openApp(t)
	early.Abort()
	if err := early.Run(t.Context()); err != nil {
		t.Errorf("run: %v", err)
	}
}
