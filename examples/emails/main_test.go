package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/frameworktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the handler returns decides what becomes of an email.
func TestVerdicts(t *testing.T) {
	for mood, want := range map[string]framework.Verdict{"": framework.Done, "busy": framework.Retry, "bounce": framework.Buried} {
		var o outbox
		got := frameworktest.Run(t.Context(), t, SendEmail.Handler(o.send), SendEmail.New(Email{To: "ada@example.org", Mood: mood}))
		if got.Verdict != want {
			t.Errorf("mood %q: %s (%v), want %s", mood, got, got.Err, want)
		}
	}
}

// A worker sends the good ones, gives up the bad one and leaves the delayed one
// for later.
func TestDrain(t *testing.T) {
	app := frameworktest.New(t, func(cfg *framework.Config) {
		cfg.Queues = map[string]framework.QueueConfig{"emails": {}}
	})
	jobs, delayed := emails(30) // 0 and 25 are due later, 10 is busy, 20 bounces
	if _, err := framework.EnqueueMany(t.Context(), app, jobs...); err != nil {
		t.Fatal(err)
	}
	if waiting := frameworktest.Enqueued(app, SendEmail); len(waiting) != 30 || delayed != 2 {
		t.Fatalf("%d wait, %d delayed, want 30 and 2", len(waiting), delayed)
	}
	var o outbox
	framework.Handle(app.App, SendEmail, o.send)
	r := app.Drain(t.Context())
	if r.Done != 26 || r.Retried != 1 || r.Dead != 1 {
		t.Errorf("got %+v, want 26 done, 1 retried, 1 dead", r)
	}
}

// The whole program: every email is accounted for.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, 300); err != nil {
		t.Fatal(errors.Join(err, errors.New(out.String())))
	}
	for _, want := range []string{"enqueued 300 emails", "12 of them", "297 sent, 6 retried on the way, 3 dead", "check: 300 enqueued = 297 done + 3 dead"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
