// Package middleware holds wrappers around handlers, for App.Use and for the
// middleware: list of the config file.
package middleware

import (
	"context"
	"log/slog"
	"time"

	"github.com/colonyq/colony/framework"
)

// Timeout ends the context of every run after d, with the cause
// framework.ErrTimeout; a job's own, shorter timeout still holds. A handler that
// returns its context's error has failed. d of zero or less is no timeout.
func Timeout(d time.Duration) framework.Middleware {
	return func(next framework.Handler) framework.Handler {
		if d <= 0 {
			return next
		}
		return func(ctx context.Context, j *framework.Delivery) error {
			ctx, cancel := context.WithTimeoutCause(ctx, d, framework.ErrTimeout)
			defer cancel()
			return next(ctx, j)
		}
	}
}

// Log tells of every run that ended: at level info when the handler returned
// nil, else at level warn with its error. A panic passes through untold; the
// worker tells of it. A nil logger is slog.Default().
func Log(l *slog.Logger) framework.Middleware {
	if l == nil {
		l = slog.Default()
	}
	return func(next framework.Handler) framework.Handler {
		return func(ctx context.Context, j *framework.Delivery) error {
			start := time.Now()
			err := next(ctx, j)
			attrs := []slog.Attr{
				slog.String("id", j.ID), slog.String("kind", j.Kind), slog.String("queue", j.Queue),
				slog.Int("attempt", j.Attempt), slog.Duration("took", time.Since(start)),
			}
			if err != nil {
				l.LogAttrs(ctx, slog.LevelWarn, "job not done", append(attrs, slog.Any("error", err))...)
			} else {
				l.LogAttrs(ctx, slog.LevelInfo, "job done", attrs...)
			}
			return err
		}
	}
}
