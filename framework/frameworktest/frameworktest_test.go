package frameworktest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/frameworktest"
	"github.com/colonyq/colony/framework/middleware"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type email struct{ To string }

var sendEmail = framework.DefineKind[email]("email.send", framework.Queue("emails"))

// A test sees what its code enqueued, ready before scheduled, of one kind only.
func TestEnqueued(t *testing.T) {
	app := frameworktest.New(t)
	other := framework.DefineKind[int]("other", framework.Queue("emails"))
	_, err := framework.EnqueueMany(t.Context(), app,
		sendEmail.New(email{"later@example.org"}, framework.In(time.Hour)),
		other.New(1),
		sendEmail.New(email{"ada@example.org"}),
		sendEmail.New(email{"bob@example.org"}),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []email{{"ada@example.org"}, {"bob@example.org"}, {"later@example.org"}}
	if got := frameworktest.Enqueued(app, sendEmail); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := frameworktest.Enqueued(app, other); !slices.Equal(got, []int{1}) {
		t.Errorf("got %v, want [1]", got)
	}
}

// Drain runs every job that is due, those that come meanwhile included, and
// leaves what is due later.
func TestDrain(t *testing.T) {
	app := frameworktest.New(t, func(cfg *framework.Config) {
		cfg.Queues = map[string]framework.QueueConfig{"emails": {}}
	})
	var mu sync.Mutex
	var sent []string
	framework.Handle(app.App, sendEmail, func(ctx context.Context, j *framework.Job[email]) error {
		if j.Payload.To == "ada@example.org" {
			_, err := sendEmail.Enqueue(ctx, app, email{"carol@example.org"})
			return err
		}
		if j.Payload.To == "bob@example.org" && j.Attempt == 1 {
			return framework.RetryIn(0, errors.New("busy"))
		}
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, j.Payload.To)
		return nil
	})
	for _, to := range []string{"ada@example.org", "bob@example.org"} {
		if _, err := sendEmail.Enqueue(t.Context(), app, email{to}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sendEmail.Enqueue(t.Context(), app, email{"later@example.org"}, framework.In(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r := app.Drain(t.Context())
	slices.Sort(sent)
	if !slices.Equal(sent, []string{"bob@example.org", "carol@example.org"}) {
		t.Errorf("sent to %v", sent)
	}
	if r.Done != 3 || r.Retried != 1 || r.Dead != 0 || r.Queues["emails"].Scheduled != 1 {
		t.Errorf("report %+v", r)
	}
}

// Run shows each verdict, panics and middleware included, without a Redis.
func TestRun(t *testing.T) {
	job := sendEmail.New(email{"ada@example.org"}, framework.MaxAttempts(2))
	for name, c := range map[string]struct {
		fn   func(context.Context, *framework.Job[email]) error
		job  framework.NewJob
		mw   []framework.Middleware
		want framework.Verdict
	}{
		"done":   {fn: func(_ context.Context, j *framework.Job[email]) error { return check(t, j.Payload) }, want: framework.Done},
		"failed": {fn: func(context.Context, *framework.Job[email]) error { return errors.New("no") }, want: framework.Retry},
		"last": {
			fn:   func(context.Context, *framework.Job[email]) error { return errors.New("no") },
			job:  sendEmail.New(email{}, framework.MaxAttempts(1)),
			want: framework.Buried,
		},
		"panic": {fn: func(context.Context, *framework.Job[email]) error { panic("no") }, want: framework.Retry},
		"timeout": {
			fn: func(ctx context.Context, _ *framework.Job[email]) error {
				<-ctx.Done()
				return context.Cause(ctx)
			},
			mw:   []framework.Middleware{middleware.Timeout(time.Millisecond)},
			want: framework.Retry,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.job.Kind() == "" {
				c.job = job
			}
			out := frameworktest.Run(t.Context(), t, sendEmail.Handler(c.fn), c.job, c.mw...)
			if out.Verdict != c.want || (out.Err == nil) != (c.want == framework.Done) {
				t.Errorf("got %v with %v, want %v", out, out.Err, c.want)
			}
			var p *framework.PanicError
			if errors.As(out.Err, &p) != (name == "panic") || name == "timeout" && !errors.Is(out.Err, framework.ErrTimeout) {
				t.Errorf("got the error %v", out.Err)
			}
		})
	}
}

func check(t *testing.T, e email) error {
	if e.To != "ada@example.org" {
		t.Errorf("the payload arrived as %+v", e)
	}
	return nil
}
