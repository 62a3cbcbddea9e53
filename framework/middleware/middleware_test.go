package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/middleware"
)

// Timeout ends a run's context after its time with ErrTimeout; the shorter one
// of it and the job's own holds; none is none.
func TestTimeout(t *testing.T) {
	for name, c := range map[string]struct{ middleware, job, want time.Duration }{
		"middleware": {time.Second, 0, time.Second},
		"job":        {time.Minute, time.Second, time.Second},
		"both":       {time.Second, time.Minute, time.Second},
		"none":       {0, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				h := middleware.Timeout(c.middleware)(func(ctx context.Context, _ *framework.Delivery) error {
					<-ctx.Done()
					return context.Cause(ctx)
				})
				o := framework.Execute(t.Context(), h, &framework.Delivery{Timeout: c.job, Attempt: 1, MaxAttempts: 2})
				if !errors.Is(o.Err, framework.ErrTimeout) || o.Verdict != framework.Retry || time.Since(start) != c.want {
					t.Errorf("got %v with %v after %v, want %v", o, o.Err, time.Since(start), c.want)
				}
			})
		})
	}
}

// Log tells of each run, its job and its error, and passes the error on.
func TestLog(t *testing.T) {
	var b strings.Builder
	log := middleware.Log(slog.New(slog.NewTextHandler(&b, nil)))
	no := errors.New("no")
	d := &framework.Delivery{ID: "ID", Kind: "k", Queue: "q", Attempt: 2}
	for _, want := range []error{nil, no} {
		if err := log(func(context.Context, *framework.Delivery) error { return want })(t.Context(), d); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	for _, want := range []string{`level=INFO msg="job done" id=ID kind=k queue=q attempt=2 took=`, `level=WARN msg="job not done"`, "error=no"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
}
