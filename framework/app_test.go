package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
)

func openApp(t *testing.T, change ...func(*Config)) *App {
	t.Helper()
	cfg := Config{Redis: redisclient.Config{URL: startRedis(t)}}
	for _, c := range change {
		c(&cfg)
	}
	app, err := Open(t.Context(), cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, app) })
	return app
}

func enqueue(t *testing.T, e Enqueuer, kind string, opts ...JobOption) string {
	t.Helper()
	id, err := EnqueueRaw(t.Context(), e, kind, []byte(`1`), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// An exact kind wins over "*"; a delivery tells its handler all there is to know.
func TestDispatch(t *testing.T) {
	app := openApp(t)
	var mu sync.Mutex
	got := map[string]*Delivery{}
	by := func(name string) Handler {
		return func(_ context.Context, d *Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			got[name+" "+d.Kind] = d
			return nil
		}
	}
	HandleRaw(app, "exact", by("exact"))
	HandleRaw(app, Any, by("any"))
	before := time.Now().Add(-time.Millisecond)
	id := enqueue(t, app, "exact", Header("h", "v"), MaxAttempts(3), Timeout(time.Minute))
	enqueue(t, app, "other")
	r, err := app.Drain(t.Context())
	if err != nil || r.Done != 2 || len(got) != 2 {
		t.Fatalf("got %v, %+v, %v", got, r, err)
	}
	d := got["exact exact"]
	if d.ID != id || d.Queue != DefaultQueue || d.Attempt != 1 || d.MaxAttempts != 3 || d.Fence < 1 || d.Headers["h"] != "v" ||
		d.Timeout != time.Minute || string(d.Payload) != "1" || d.EnqueuedAt.Before(before) || time.Since(d.EnqueuedAt) < 0 {
		t.Errorf("got %+v", d)
	}
	if d := got["any other"]; d == nil || d.MaxAttempts != 25 {
		t.Errorf("got %+v", d)
	}
}

// A job fails until its attempts are used up, is then dead and kept, with its
// errors; the fence grows with every delivery.
func TestFailingJob(t *testing.T) {
	app := openApp(t)
	var fences []int64
	HandleRaw(app, "k", func(_ context.Context, d *Delivery) error {
		fences = append(fences, d.Fence)
		return RetryIn(0, fmt.Errorf("attempt %d", d.Attempt))
	})
	id := enqueue(t, app, "k", MaxAttempts(3))
	r, err := app.Drain(t.Context())
	if err != nil || r.Retried != 2 || r.Dead != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if len(fences) != 3 || !slices.IsSorted(fences) || fences[0] == fences[1] || fences[1] == fences[2] {
		t.Errorf("fences %v", fences)
	}
	e, state, err := app.Inspect(DefaultQueue).Show(t.Context(), id)
	if err != nil || state != backend.DeadState || e.Reason != reasonFailed || len(e.Errors) != 3 || e.Errors[2].Message != "attempt 3" {
		t.Errorf("got %s %+v, %v", state, e, err)
	}
}

// A typed handler's kind fills in what a foreign producer left out.
func TestKindDefaults(t *testing.T) {
	app := openApp(t)
	var got *Delivery
	Handle(app, DefineKind[int]("k", MaxAttempts(7), Timeout(time.Hour)), func(_ context.Context, j *Job[int]) error {
		got = j.Delivery
		return nil
	})
	enqueue(t, app, "k")
	if _, err := app.Drain(t.Context()); err != nil || got.MaxAttempts != 7 || got.Timeout != time.Hour {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A job of a kind without a handler is given back, nothing counted, told of once
// per kind, and Drain says why it is not done.
func TestUnhandledKind(t *testing.T) {
	app := openApp(t)
	var log lines
	app.log = slog.New(slog.NewTextHandler(&log, nil))
	first := enqueue(t, app, "strange")
	enqueue(t, app, "strange")
	r, err := app.Drain(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no handler here for jobs of kind strange") {
		t.Errorf("got %v", err)
	}
	if r.Snoozed != 2 || !slices.Equal(r.Unhandled, []string{"strange"}) || log.count("no handler for this kind") != 1 {
		t.Errorf("got %+v and logged\n%s", r, log.String())
	}
	e, state, err := app.Inspect(DefaultQueue).Show(t.Context(), first)
	if err != nil || state != backend.Scheduled || e.Attempt != 0 || len(e.Errors) != 0 {
		t.Errorf("got %s %+v, %v", state, e, err)
	}
}

// lines is a log that several goroutines write.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) count(s string) int { return strings.Count(l.String(), s) }

// Registering twice or too late panics, like http.ServeMux, and an App runs once.
func TestMisuse(t *testing.T) {
	app := openApp(t)
	h := func(context.Context, *Delivery) error { return nil }
	HandleRaw(app, "k", h)
	panics(t, "a second handler", func() { HandleRaw(app, "k", h) })
	panics(t, "a second typed handler", func() { Handle(app, DefineKind[int]("k"), func(context.Context, *Job[int]) error { return nil }) })
	panics(t, "a bad name", func() { HandleRaw(app, "a b", h) })
	panics(t, "a nil handler", func() { HandleRaw(app, "n", nil) })
	if _, err := app.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	panics(t, "a late handler", func() { HandleRaw(app, "late", h) })
	panics(t, "late middleware", func() { app.Use(func(next Handler) Handler { return next }) })
	if err := app.Run(t.Context()); err == nil {
		t.Error("a second Run did not fail")
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

// EnqueueMany answers each job: a wrong one fails alone, its id is empty, and
// the others, of whatever queue, are enqueued under their ids.
func TestEnqueueMany(t *testing.T) {
	app := openApp(t)
	k, q := DefineKind[int]("k"), DefineKind[int]("q", Queue("other"))
	jobs := []NewJob{k.New(0), q.New(1), k.New(2, MaxAttempts(-1)), q.New(3)}
	for i := range 2500 {
		jobs = append(jobs, k.New(i))
	}
	ids, err := EnqueueMany(t.Context(), app, jobs...)
	var e *EnqueueError
	if !errors.As(err, &e) || e.Jobs != len(jobs) || len(e.Failed) != 1 || e.Failed[0].Index != 2 || e.Failed[0].Kind != "k" || e.Failed[0].ID != "" {
		t.Errorf("got %v", err)
	}
	seen := map[string]bool{}
	for i, id := range ids {
		if (id == "") != (i == 2) || id != "" && seen[id] {
			t.Errorf("job %d has the id %q", i, id)
		}
		seen[id] = true
	}
	stats, err := app.Stats(t.Context())
	if err != nil || stats[DefaultQueue].Ready != 2501 || stats["other"].Ready != 2 || len(stats) != 2 {
		t.Errorf("got %+v, %v", stats, err)
	}
	if _, state, err := app.Inspect("other").Show(t.Context(), ids[3]); err != nil || state != backend.Ready {
		t.Errorf("job 3 is %s, %v", state, err)
	}
}

// A key of a wrong type spoils the numbers of its own queue, and no others.
func TestStatsBesideAWrongType(t *testing.T) {
	app := openApp(t)
	enqueue(t, app, "k")
	enqueue(t, app, "k", Queue("broken"))
	key := keys.For("", "broken", 0, 1).Ready
	if err := app.client.Set(t.Context(), key, "not a list", 0).Err(); err != nil {
		t.Fatal(err)
	}
	stats, err := app.Stats(t.Context())
	if !errors.Is(err, backend.ErrWrongType) || !strings.Contains(err.Error(), key) {
		t.Errorf("the error does not name the key: %v", err)
	}
	if len(stats) != 1 || stats[DefaultQueue].Ready != 1 {
		t.Errorf("got %+v, want the queue default alone", stats)
	}
}

// A delayed job waits in scheduled and runs when it is due.
func TestDelayedJob(t *testing.T) {
	app := openApp(t)
	ctx, stop := context.WithCancel(t.Context())
	var late time.Duration
	const delay = 300 * time.Millisecond
	HandleRaw(app, "k", func(_ context.Context, d *Delivery) error {
		late = time.Since(d.EnqueuedAt) - delay
		stop()
		return nil
	})
	enqueue(t, app, "k", In(delay))
	if err := app.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if late < 0 || late > time.Second {
		t.Errorf("it ran %v late", late)
	}
}

// Close is safe twice, later jobs answer ErrClosed, and a client of the caller's
// stays open.
func TestCloseAndClient(t *testing.T) {
	opt, err := redis.ParseURL(startRedis(t))
	if err != nil {
		t.Fatal(err)
	}
	raw := redis.NewClient(opt)
	defer func() { _ = raw.Close() }()
	own, err := redisclient.Wrap(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]redis.UniversalClient{"go-redis": raw, "redisclient": own} {
		app, err := New(client, Config{}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		producer, err := NewProducer(client, Config{}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, app, "k")
		enqueue(t, producer, "k")
		for _, e := range []interface {
			Enqueuer
			Close(context.Context) error
		}{app, producer} {
			shut(t, e)
			shut(t, e)
			if id, err := EnqueueRaw(t.Context(), e, "k", nil); !errors.Is(err, ErrClosed) || id != "" {
				t.Errorf("%s: got %q, %v", name, id, err)
			}
		}
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ring := redis.NewRing(&redis.RingOptions{})
	defer func() { _ = ring.Close() }()
	if _, err := New(ring, Config{}); err == nil {
		t.Error("a Ring was accepted")
	}
}

// Nobody at the address is an error that names it, within two seconds.
func TestUnreachable(t *testing.T) {
	cfg := Config{Redis: redisclient.Config{URL: "redis://127.0.0.1:1/0"}}
	start := time.Now()
	for name, open := range map[string]func() error{
		"Open":         func() error { _, err := Open(t.Context(), cfg); return err },
		"OpenProducer": func() error { _, err := OpenProducer(t.Context(), cfg); return err },
	} {
		if err := open(); !errors.Is(err, redisclient.ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
}
