package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// sending is one batch on its way.
type sending struct {
	*line
	batch    backend.Batch
	began    time.Time
	unknown  bool // an earlier sending got no answer: it may have been accepted
	renewals int
	delay    time.Duration
}

// verdict is what one attempt says about the batch.
type verdict uint8

const (
	over  verdict = iota // answered, one way or the other
	again                // send again at once
	later                // send again after a pause
)

// deliver sends one batch until it is answered or nobody can tell any more.
func (l *line) deliver(ctx context.Context, items []*item) error {
	if time.Since(l.spoke) >= maxSilence {
		l.fresh()
	}
	s := &sending{line: l, began: time.Now(), delay: minBackOff}
	s.batch = backend.Batch{Producer: l.id, Number: l.number + 1, Jobs: make([]backend.Job, len(items))}
	for i, it := range items {
		s.batch.Jobs[i] = it.job
	}
	for {
		v, err := s.attempt(ctx)
		if v == later {
			v, err = s.pause(ctx, err)
		}
		if v == over {
			return s.conclude(err)
		}
	}
}

// fresh makes the line another producer in the server's eyes.
func (l *line) fresh() { l.id, l.number = wire.NewID(time.Now()), 0 }

func (s *sending) attempt(ctx context.Context) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if s.batch.NotAfter.IsZero() {
		now, err := s.clock.now(ctx)
		if err != nil {
			return s.failed(fmt.Errorf("ask the server's time: %w", err), false)
		}
		s.batch.NotAfter, s.began = now.Add(batchLife), time.Now()
	}
	_, err := s.to.Enqueue(ctx, s.batch)
	switch {
	case err == nil:
		s.number, s.spoke = s.batch.Number, s.began
		return over, nil
	case errors.Is(err, backend.ErrGap):
		return s.gap(err)
	case errors.Is(err, backend.ErrStale):
		return s.stale(err)
	default:
		return s.failed(err, !refused(err) && !s.cfg.Refused(err))
	}
}

// refused: the contract says that nothing was accepted by this call.
func refused(err error) bool {
	return errors.Is(err, backend.ErrFull) || errors.Is(err, backend.ErrWrongType) || errors.Is(err, backend.ErrWrongBackend)
}

// gap goes on under a fresh id. What this batch's earlier sendings did is lost
// with the batches before it: all of it stood in the same key, and a copy that
// still arrives meets the same gap.
func (s *sending) gap(err error) (verdict, error) {
	s.gaps.Add(1)
	s.cfg.Logger.Error("redis has lost jobs that it had acknowledged: it does not know this producer's last batch",
		slog.String("queue", s.queue), slog.String("producer", s.batch.Producer), slog.Int64("batch", s.batch.Number))
	if s.renewals++; s.renewals > maxRenewals {
		return over, err
	}
	s.fresh()
	s.batch.Producer, s.batch.Number, s.unknown = s.id, 1, false
	return again, nil
}

// stale renews a batch that was surely not accepted; of one that may have been,
// nobody can tell any more.
func (s *sending) stale(err error) (verdict, error) {
	if s.renewals++; s.unknown || s.renewals > maxRenewals {
		return over, err
	}
	s.clock.forget()
	s.batch.NotAfter = time.Time{}
	return again, nil
}

func (s *sending) failed(err error, sent bool) (verdict, error) {
	if refused(err) || s.cfg.Permanent(err) {
		return over, err
	}
	s.unknown = s.unknown || sent
	return later, err
}

// pause waits before the next attempt, unless it would come too late.
func (s *sending) pause(ctx context.Context, err error) (verdict, error) {
	d := time.Duration(float64(s.delay) * (0.8 + 0.4*rand.Float64()))
	s.delay = min(2*s.delay, maxBackOff)
	if time.Since(s.began)+d >= batchLife {
		return over, err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return again, nil
	case <-ctx.Done():
		return over, errors.Join(context.Cause(ctx), err)
	}
}

// conclude turns the last error into the callers'. After an unknown outcome the
// line goes on under a fresh id, because it cannot tell what number comes next.
func (s *sending) conclude(err error) error {
	if err == nil {
		return nil
	}
	if !s.unknown {
		return fmt.Errorf("queue %s: %w", s.queue, err)
	}
	s.fresh()
	return fmt.Errorf("queue %s: %w: %w", s.queue, ErrUnknownOutcome, err)
}
