package framework

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// RetryError is the verdict of RetryIn.
type RetryError struct {
	Delay time.Duration
	Err   error
}

// SnoozeError is the verdict of Snooze.
type SnoozeError struct{ Delay time.Duration }

// DeadError is the verdict of Dead.
type DeadError struct {
	Err    error
	reason string // "" = failed
}

// RetryIn says that the run failed, because of err, and is to be repeated after
// d (negative = at once) instead of after the usual delay. An attempt is
// counted; after the last one the job is dead.
func RetryIn(d time.Duration, err error) error { return &RetryError{max(d, 0), err} }

// Snooze says that the job is not to run now, but again after d (negative = at
// once). No attempt is counted.
func Snooze(d time.Duration) error { return &SnoozeError{max(d, 0)} }

// Dead says that the job failed, because of err, and that no repetition will
// help. It is kept as dead until a person decides.
func Dead(err error) error { return &DeadError{Err: err} }

func (e *RetryError) Error() string { return because(e.Err, "retry in "+e.Delay.String()) }

func (e *RetryError) Unwrap() error { return e.Err }

func (e *SnoozeError) Error() string { return "snooze for " + e.Delay.String() }

func (e *DeadError) Error() string { return because(e.Err, "will not be retried") }

func (e *DeadError) Unwrap() error { return e.Err }

func because(err error, what string) string {
	if err == nil {
		return what
	}
	return err.Error()
}

// Verdict is what becomes of a run.
type Verdict string

// The verdicts.
const (
	Done     Verdict = "done"     // finished
	Retry    Verdict = "retry"    // failed; runs again after Outcome.Delay
	Snoozed  Verdict = "snooze"   // runs again after Outcome.Delay, no attempt counted
	Released Verdict = "release"  // interrupted: runs again at once, nothing counted
	Buried   Verdict = "dead"     // will not run again; see Outcome.Reason
	Canceled Verdict = "canceled" // ended by a person
	Lost     Verdict = "lost"     // somebody else's by now: nothing is said about it
)

// Outcome is what became of one run.
type Outcome struct {
	Verdict Verdict
	Delay   time.Duration // Retry, Snoozed
	Err     error         // what the handler returned; a *PanicError if it panicked
	Reason  string        // Buried: failed or rejected
}

// Reasons of a dead job that a worker gives.
const (
	reasonFailed     = "failed"
	reasonRejected   = "rejected"
	reasonUnreadable = "unreadable"
)

// judge is the table of the package comment. cause is why the context ended, nil
// if it did not; failures is how many there were before this run.
func judge(err, cause error, failures, maxAttempts int) Outcome {
	switch {
	case errors.Is(cause, ErrLeaseLost):
		return Outcome{Verdict: Lost, Err: err}
	case errors.Is(cause, ErrCanceled):
		return Outcome{Verdict: Canceled, Err: err}
	case err == nil:
		return Outcome{Verdict: Done}
	}
	var dead *DeadError
	var retry *RetryError
	var snooze *SnoozeError
	switch {
	case errors.As(err, &dead):
		return bury(err, dead.reason)
	case errors.As(err, &retry):
		return fail(err, retry.Delay, failures, maxAttempts)
	case errors.As(err, &snooze):
		return Outcome{Verdict: Snoozed, Delay: snooze.Delay, Err: err}
	case errors.Is(cause, ErrShutdown):
		return Outcome{Verdict: Released, Err: err}
	default:
		return fail(err, backOff(failures+1), failures, maxAttempts)
	}
}

func bury(err error, reason string) Outcome {
	if reason == "" {
		reason = reasonFailed
	}
	return Outcome{Verdict: Buried, Err: err, Reason: reason}
}

func fail(err error, delay time.Duration, failures, maxAttempts int) Outcome {
	if failures+1 >= maxAttempts {
		return bury(err, reasonFailed)
	}
	return Outcome{Verdict: Retry, Delay: delay, Err: err}
}

const maxBackOff = 6 * time.Hour

// backOff is the delay after the nth failure.
func backOff(n int) time.Duration { return spread(doubled(time.Second, n, maxBackOff)) }

// doubled is first × 2^(n−1), at most limit.
func doubled(first time.Duration, n int, limit time.Duration) time.Duration {
	d := first
	for ; n > 1 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}

// spread is d ± 20 %, so that what failed together does not come back together.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// causeOf is why a run's contexts ended. A lost lease and a cancellation count
// whenever they came; of a timeout and a shutdown, the first.
func causeOf(worker, run context.Context) error {
	if c := context.Cause(worker); errors.Is(c, ErrLeaseLost) || errors.Is(c, ErrCanceled) {
		return c
	}
	return context.Cause(run)
}

func (o Outcome) String() string {
	switch o.Verdict {
	case Retry, Snoozed:
		return fmt.Sprintf("%s in %v", o.Verdict, o.Delay)
	case Buried:
		return fmt.Sprintf("%s (%s)", o.Verdict, o.Reason)
	default:
		return string(o.Verdict)
	}
}
