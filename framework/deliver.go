package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

const (
	firstGiveBack = time.Second // delay of a job without a handler, doubled with every delivery
	lastGiveBack  = time.Minute
	stubborn      = time.Second // a handler that goes on for so long after its context ended is told of
	maxErrorText  = 8 << 10     // bytes of an error that the job's history keeps
)

// deliver runs one delivery and says what became of it.
func (s *session) deliver(ctx context.Context, bd *backend.Delivery) backend.Settlement {
	switch {
	case errors.Is(bd.Bad, wire.ErrVersion): // by a newer producer: not for this worker, but no junk either
		return s.giveBack(ctx, bd, bd.Bad.Error())
	case bd.Bad != nil:
		return s.unreadable(ctx, bd)
	}
	e, ok := s.routes.find(bd.Kind)
	if !ok {
		return s.giveBack(ctx, bd, "no handler for this kind")
	}
	d := newDelivery(bd, e)
	if d.Timeout > 0 {
		return s.conclude(ctx, bd, d, execute(ctx, e.handler, d, s.late))
	}
	return s.conclude(ctx, bd, d, s.inline(ctx, e.handler, d))
}

// inline runs a handler without a timeout on the worker's own goroutine, which
// for a short one is half of the cost of a run. A second goroutine would be there
// to outlive a Goexit, which the engine does (exited), and to notice that the
// context has ended, which the vigil does.
func (s *session) inline(ctx context.Context, h Handler, d *Delivery) Outcome {
	at := s.vigil.enter(ctx, d)
	defer s.vigil.leave(at)
	err := calm(ctx, h, d)
	return judge(err, context.Cause(ctx), d.Attempt-1, d.MaxAttempts)
}

// exited answers for a handler that ended its goroutine instead of returning.
func (s *session) exited(ctx context.Context, bd *backend.Delivery) backend.Settlement {
	e, _ := s.routes.find(bd.Kind)
	d := newDelivery(bd, e)
	return s.conclude(ctx, bd, d, judge(errGoexit, context.Cause(ctx), d.Attempt-1, d.MaxAttempts))
}

func (s *session) conclude(ctx context.Context, bd *backend.Delivery, d *Delivery, o Outcome) backend.Settlement {
	s.tally.count(o.Verdict)
	s.tell(ctx, d, o)
	return settlement(bd, o)
}

func newDelivery(bd *backend.Delivery, e entry) *Delivery {
	enqueued := wire.IDTime(bd.ID) // zero for the id of a foreign producer
	return &Delivery{
		ID:          bd.ID,
		Kind:        bd.Kind,
		Queue:       bd.Queue,
		Attempt:     bd.Attempt + 1,
		MaxAttempts: e.maxAttempts(bd.MaxAttempts),
		Fence:       bd.N,
		EnqueuedAt:  enqueued,
		Timeout:     e.timeout(bd.Timeout),
		Headers:     bd.Headers,
		ContentType: bd.ContentType,
		Payload:     bd.Payload,
	}
}

func (s *session) unreadable(ctx context.Context, bd *backend.Delivery) backend.Settlement {
	s.tally.count(Buried)
	s.app.log.LogAttrs(ctx, slog.LevelError, "job is dead: its entry cannot be read",
		slog.String("queue", bd.Queue), slog.String("id", bd.ID), slog.Any("error", bd.Bad))
	return backend.Settlement{Delivery: bd, Verdict: backend.Dead, Reason: reasonUnreadable, Error: text(bd.Bad)}
}

// giveBack parks a job that nobody here handles: another worker may, or this
// one's next version.
func (s *session) giveBack(ctx context.Context, bd *backend.Delivery, why string) backend.Settlement {
	s.tally.count(Snoozed)
	if s.tally.stranger(bd.Kind) {
		s.app.log.LogAttrs(ctx, slog.LevelWarn, "job is given back, with growing delays, until a worker handles it",
			slog.String("why", why), slog.String("kind", bd.Kind), slog.String("queue", bd.Queue), slog.String("id", bd.ID))
	}
	delay := spread(doubled(firstGiveBack, int(min(bd.N, 10)), lastGiveBack))
	return backend.Settlement{Delivery: bd, Verdict: backend.Snooze, Delay: delay}
}

// late waits for a handler with a timeout that goes on although its context has
// ended, and tells of it. At shutdown the engine tells of them all.
func (s *session) late(run context.Context, d *Delivery, done <-chan struct{}) {
	ended := time.Now()
	t := time.NewTimer(stubborn)
	defer t.Stop()
	select {
	case <-done:
		return
	case <-t.C:
	}
	cause := context.Cause(run)
	if errors.Is(cause, ErrShutdown) {
		return
	}
	s.goesOn(d, cause)
	<-done
	s.cameBack(d, cause, time.Since(ended))
}

func (s *session) goesOn(d *Delivery, cause error) {
	s.app.log.LogAttrs(context.Background(), slog.LevelWarn, "handler goes on after its context has ended, and keeps its slot until it returns",
		append(about(d), slog.Any("cause", cause))...)
}

func (s *session) cameBack(d *Delivery, cause error, late time.Duration) {
	s.app.log.LogAttrs(context.Background(), slog.LevelWarn, "handler has returned, late",
		append(about(d), slog.Any("cause", cause), slog.Duration("late", late))...)
}

// tell logs what an operator should know of.
func (s *session) tell(ctx context.Context, d *Delivery, o Outcome) {
	level, what := slog.LevelDebug, "job "+string(o.Verdict)
	switch o.Verdict {
	case Retry:
		level, what = slog.LevelWarn, "job failed and will be run again"
	case Buried:
		level, what = slog.LevelError, "job is dead"
	case Lost:
		level, what = slog.LevelWarn, "lease lost: the run is discarded, another worker runs the job"
	case Done, Snoozed, Released, Canceled:
	}
	if !s.app.log.Enabled(ctx, level) {
		return
	}
	attrs := append(about(d), slog.String("outcome", o.String()))
	if o.Err != nil {
		attrs = append(attrs, slog.Any("error", o.Err))
	}
	var p *PanicError
	if errors.As(o.Err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	s.app.log.LogAttrs(ctx, level, what, attrs...)
}

func about(d *Delivery) []slog.Attr {
	return []slog.Attr{
		slog.String("id", d.ID), slog.String("kind", d.Kind), slog.String("queue", d.Queue),
		slog.String("attempt", fmt.Sprintf("%d/%d", d.Attempt, d.MaxAttempts)),
	}
}

func settlement(bd *backend.Delivery, o Outcome) backend.Settlement {
	s := backend.Settlement{Delivery: bd, Delay: o.Delay}
	switch o.Verdict {
	case Done:
		s.Verdict = backend.Done
	case Retry:
		s.Verdict, s.Error = backend.Retry, text(o.Err)
	case Snoozed:
		s.Verdict = backend.Snooze
	case Buried:
		s.Verdict, s.Error, s.Reason = backend.Dead, text(o.Err), o.Reason
	case Canceled:
		s.Verdict = backend.Canceled
	case Released, Lost: // what is lost, the engine discards
		s.Verdict = backend.Release
	}
	return s
}

// text is an error for the job's history: valid UTF-8 of bounded length.
func text(err error) string {
	if err == nil {
		return ""
	}
	m := err.Error()
	if len(m) > maxErrorText {
		m = m[:maxErrorText] + "…"
	}
	// A cut may go through a character, and an error may hold any bytes.
	m = strings.ToValidUTF8(m, "\ufffd")
	return m
}
