package framework

import (
	"errors"
	"fmt"
	"strings"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/internal/producer"
)

// Why a handler's context ended: context.Cause(ctx) is, or wraps, one of these.
var (
	// ErrShutdown: the worker is stopping and shutdown_timeout is over.
	ErrShutdown = backend.ErrShutdown
	// ErrCanceled: a person cancelled the job.
	ErrCanceled = backend.ErrCanceled
	// ErrLeaseLost: the worker lost its right to the job; another one runs it.
	ErrLeaseLost = backend.ErrLeaseLost
	// ErrTimeout: the job's timeout, or that of a middleware, is over.
	ErrTimeout = errors.New("job ran into its timeout")
)

// Errors of Enqueue.
var (
	// ErrUnknownOutcome: the job was sent and no answer came, or the caller's
	// context ended before it came. The job may have been enqueued, under the id
	// that was returned, or not. Enqueueing it again may double it.
	ErrUnknownOutcome = producer.ErrUnknownOutcome
	// ErrClosed: the App or Producer was closed before the job was sent.
	ErrClosed = producer.ErrClosed
)

// ErrConfig is matched by the errors of Open and New that mean: the config is
// wrong, plugins' own settings included, and nothing was done.
var ErrConfig = errors.New("wrong config")

// configError marks an error and leaves its message, which names the places.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func (e configError) Is(target error) bool { return target == ErrConfig }

// EnqueueError says which jobs of an Enqueue of several failed. All others were
// enqueued. errors.Is and errors.As look into each failure.
type EnqueueError struct {
	Jobs   int // how many there were
	Failed []FailedJob
}

// FailedJob is one job that was not, or not surely, enqueued.
type FailedJob struct {
	Index int    // its place among the jobs of the call
	Kind  string // of the job
	ID    string // set when the outcome is unknown
	Err   error
}

func (e *EnqueueError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d jobs were not enqueued", len(e.Failed), e.Jobs)
	const shown = 3
	for i, f := range e.Failed {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-shown)
			break
		}
		fmt.Fprintf(&b, "; job %d (%s): %v", f.Index, f.Kind, f.Err)
	}
	return b.String()
}

// Unwrap returns each failure's error.
func (e *EnqueueError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// PanicError is what a handler's panic becomes.
type PanicError struct {
	Value any // what was passed to panic
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errGoexit: the handler ended its goroutine instead of returning.
var errGoexit = errors.New("handler called runtime.Goexit (a test's FailNow, for instance)")
