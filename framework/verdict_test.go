package framework

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

var errSMTP = errors.New("smtp: no")

// outcome of one run, without its error and the spread of its delay.
type want struct {
	verdict Verdict
	delay   time.Duration
	reason  string
}

var (
	wantDone     = want{verdict: Done}
	wantRetry    = want{verdict: Retry, delay: time.Second}
	wantRetryIn  = want{verdict: Retry, delay: time.Hour}
	wantDead     = want{verdict: Buried, reason: reasonFailed}
	wantSnooze   = want{verdict: Snoozed, delay: time.Minute}
	wantRelease  = want{verdict: Released}
	wantCanceled = want{verdict: Canceled}
	wantLost     = want{verdict: Lost}
)

var causes = map[string]error{
	"none": nil, "timeout": ErrTimeout, "shutdown": ErrShutdown, "canceled": ErrCanceled, "lease lost": ErrLeaseLost,
}

// Every cell of the table in the package comment: what the handler did, by why
// its context had ended. "" stands for every cause that the row does not name.
func TestVerdictTable(t *testing.T) {
	handlers := map[string]struct {
		does func() error
		want map[string]want
	}{
		"nil":                 {func() error { return nil }, map[string]want{"": wantDone}},
		"an error":            {func() error { return errSMTP }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"wrapped":             {func() error { return fmt.Errorf("send: %w", errSMTP) }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"its context's error": {func() error { return context.Canceled }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"panic with a string": {func() error { panic("no") }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"panic with an error": {func() error { panic(errSMTP) }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"panic with nil":      {func() error { panic(nil) }, map[string]want{"": wantRetry, "shutdown": wantRelease}}, //nolint:govet // on purpose
		"panic with Dead":     {func() error { panic(Dead(errSMTP)) }, map[string]want{"": wantDead}},
		"Goexit":              {func() error { runtime.Goexit(); return nil }, map[string]want{"": wantRetry, "shutdown": wantRelease}},
		"RetryIn":             {func() error { return RetryIn(time.Hour, errSMTP) }, map[string]want{"": wantRetryIn}},
		"RetryIn of nothing":  {func() error { return RetryIn(-1, nil) }, map[string]want{"": {verdict: Retry}}},
		"Dead":                {func() error { return Dead(errSMTP) }, map[string]want{"": wantDead}},
		"Dead, wrapped":       {func() error { return fmt.Errorf("send: %w", Dead(errSMTP)) }, map[string]want{"": wantDead}},
		"Snooze":              {func() error { return Snooze(time.Minute) }, map[string]want{"": wantSnooze}},
		"Snooze, wrapped":     {func() error { return fmt.Errorf("send: %w", Snooze(time.Minute)) }, map[string]want{"": wantSnooze}},
		"an error and Snooze": {func() error { return errors.Join(errSMTP, Snooze(time.Minute)) }, map[string]want{"": wantSnooze}},
		"Snooze and RetryIn": {
			func() error { return errors.Join(Snooze(time.Minute), RetryIn(time.Hour, errSMTP)) }, map[string]want{"": wantRetryIn},
		},
		"Snooze, RetryIn and Dead": {
			func() error { return errors.Join(Snooze(time.Minute), RetryIn(time.Hour, errSMTP), Dead(errSMTP)) },
			map[string]want{"": wantDead},
		},
		"Dead within RetryIn": {func() error { return RetryIn(time.Hour, Dead(errSMTP)) }, map[string]want{"": wantDead}},
	}
	for name, h := range handlers {
		for why, cause := range causes {
			t.Run(name+"/"+why, func(t *testing.T) {
				w, named := h.want[why]
				if !named {
					w = h.want[""]
				}
				switch why {
				case "canceled":
					w = wantCanceled
				case "lease lost":
					w = wantLost
				}
				checkOutcome(t, runEnded(t, cause, h.does), w)
			})
		}
	}
}

// runEnded runs a handler whose context has ended for a cause.
func runEnded(t *testing.T, cause error, does func() error) Outcome {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if cause != nil {
		cancel(cause)
	}
	return Execute(ctx, func(context.Context, *Delivery) error { return does() }, &Delivery{Attempt: 1, MaxAttempts: 3})
}

func checkOutcome(t *testing.T, o Outcome, w want) {
	t.Helper()
	near := o.Delay >= w.delay*8/10 && o.Delay <= w.delay*12/10
	if o.Verdict != w.verdict || !near || o.Reason != w.reason {
		t.Errorf("got %v with %v, want %+v", o, o.Err, w)
	}
}

// The last attempt's failure buries the job, whatever kind of failure it was;
// a snooze and a release do not count as one.
func TestLastAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		err, cause error
		want       want
	}{
		"an error": {errSMTP, nil, wantDead},
		"RetryIn":  {RetryIn(time.Hour, errSMTP), nil, wantDead},
		"Snooze":   {Snooze(time.Minute), nil, wantSnooze},
		"released": {errSMTP, ErrShutdown, wantRelease},
		"nil":      {nil, nil, wantDone},
	} {
		t.Run(name, func(t *testing.T) {
			checkOutcome(t, judge(c.err, c.cause, 2, 3), c.want)
		})
	}
}

// The delay after failure n is min(1 s × 2^(n−1), 6 h) ± 20 %.
func TestBackOff(t *testing.T) {
	for n, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 10: 512 * time.Second,
		15: 16384 * time.Second, 16: 6 * time.Hour, 24: 6 * time.Hour, 1 << 40: 6 * time.Hour,
	} {
		lowest, highest := time.Duration(1<<62), time.Duration(0)
		for range 1000 {
			d := backOff(n)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		if lowest < want*8/10 || highest > want*12/10 || lowest > want*85/100 || highest < want*115/100 {
			t.Errorf("after failure %d: %v to %v, want %v ± 20 %%", n, lowest, highest, want)
		}
	}
}

// A panic keeps its value and the stack of the handler; one with an error can be
// asked for it.
func TestPanicError(t *testing.T) {
	o := runEnded(t, nil, func() error { panic(errSMTP) })
	var p *PanicError
	if !errors.As(o.Err, &p) || !errors.Is(o.Err, errSMTP) || p.Value != error(errSMTP) || len(p.Stack) == 0 {
		t.Errorf("got %#v", o.Err)
	}
}

// A run's context ends after the job's timeout with ErrTimeout, and Execute
// waits for a handler that takes no notice.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, stubborn := range map[string]time.Duration{"obedient": 0, "stubborn": time.Minute} {
			start := time.Now()
			o := Execute(t.Context(), func(ctx context.Context, _ *Delivery) error {
				<-ctx.Done()
				time.Sleep(stubborn)
				return context.Cause(ctx)
			}, &Delivery{Attempt: 1, MaxAttempts: 3, Timeout: time.Second})
			checkOutcome(t, o, wantRetry)
			if d := time.Since(start); d != time.Second+stubborn || !errors.Is(o.Err, ErrTimeout) {
				t.Errorf("%s: ended after %v with %v", name, d, o.Err)
			}
		}
	})
}

// Of a timeout and a shutdown the first counts; a cancellation and a lost lease
// count even after a timeout.
func TestFirstCause(t *testing.T) {
	for name, c := range map[string]struct {
		later error
		want  want
	}{
		"shutdown": {ErrShutdown, wantRetry}, "canceled": {ErrCanceled, wantCanceled}, "lease lost": {ErrLeaseLost, wantLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				o := Execute(ctx, func(run context.Context, _ *Delivery) error {
					<-run.Done()
					cancel(c.later)
					return errSMTP
				}, &Delivery{Attempt: 1, MaxAttempts: 3, Timeout: time.Second})
				checkOutcome(t, o, c.want)
			})
		})
	}
}

// An error's text in the job's history is valid UTF-8 of bounded length.
func TestErrorText(t *testing.T) {
	long := ""
	for len(long) < maxErrorText+64 {
		long += "ä€😀x"
	}
	for name, c := range map[string]struct{ in, want string }{
		"short": {"no", "no"},
		"none":  {"", ""},
		"bytes": {"a\xffb", "a\ufffdb"},
	} {
		if got := text(errors.New(c.in)); got != c.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for cut := range 10 {
		got := text(errors.New(long[cut:]))
		if !utf8.ValidString(got) || len(got) > maxErrorText+16 || len(got) < maxErrorText {
			t.Errorf("cut at %d: %d bytes", cut, len(got))
		}
	}
}
