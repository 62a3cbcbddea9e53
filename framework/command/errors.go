package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/colonyq/colony/framework/redisclient"
)

// Exit codes of Main.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake in the command line or the configuration, found
// before anything was done.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// asUsage marks err as a usage error; nil stays nil.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// signalError is why a context ended: a signal asked for it.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "interrupted by signal: " + e.signal.String() }

// interrupted tells the end that a signal brought from a failure of the work.
func interrupted(ctx context.Context, err error) bool {
	var s *signalError
	if errors.As(err, &s) {
		return true
	}
	return errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &s)
}

func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case interrupted(ctx, err):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// unreachable adds what to do where no Redis answers.
func unreachable(err error, hint string) error {
	if errors.Is(err, redisclient.ErrUnreachable) {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}
