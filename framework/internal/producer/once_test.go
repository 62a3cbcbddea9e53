package producer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// A lost request or reply is sent again as the same batch, and accepted once.
func TestLostReply(t *testing.T) {
	for name, list := range map[string][]fault{
		"reply": {unheard}, "request": {swallowed}, "both, often": {swallowed, unheard, unheard, swallowed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				s.fault = faults(list...)
				p := open(s)
				r := one(t.Context(), p)
				if r.Err != nil || s.times(r.ID) != 1 {
					t.Errorf("got %+v, accepted %d times", r, s.times(r.ID))
				}
				got := s.sent()
				for _, b := range got {
					if b.Number != 1 || b.Producer != got[0].Producer || !b.NotAfter.Equal(got[0].NotAfter) || b.Jobs[0].Envelope.ID != r.ID {
						t.Errorf("resent as another batch: %+v", b)
					}
				}
				mustClose(t, p)
			})
		})
	}
}

// When no answer comes until NotAfter, the outcome is unknown, the id is told,
// and the next job goes under a fresh producer id.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.fault = func(backend.Batch) fault { return unheard }
		p := open(s)
		start := time.Now()
		r := one(t.Context(), p)
		if !errors.Is(r.Err, ErrUnknownOutcome) || !errors.Is(r.Err, errLost) || s.times(r.ID) != 1 {
			t.Errorf("got %+v, accepted %d times", r, s.times(r.ID))
		}
		if d := time.Since(start); d < 55*time.Second || d > time.Minute {
			t.Errorf("gave up after %v", d)
		}
		s.fault = nil
		if r := one(t.Context(), p); r.Err != nil {
			t.Error(r.Err)
		}
		got := s.sent()
		if a, b := got[0], got[len(got)-1]; a.Producer == b.Producer || b.Number != 1 {
			t.Errorf("went on as number %d of producer %s, before %s", b.Number, b.Producer, a.Producer)
		}
		mustClose(t, p)
	})
}

// A caller whose context ends gets its id and ErrUnknownOutcome if the job is in
// flight, and its context's error alone if the job still stood in line, which
// then is never sent.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.gate = make(chan struct{})
		p := open(s)
		ctx, cancel := context.WithCancel(t.Context())
		var flying, standing Result
		var wg sync.WaitGroup
		wg.Go(func() { flying = one(ctx, p) })
		synctest.Wait()
		wg.Go(func() { standing = one(ctx, p) })
		synctest.Wait()
		cancel()
		wg.Wait()
		close(s.gate)
		mustClose(t, p)
		if !errors.Is(flying.Err, ErrUnknownOutcome) || !errors.Is(flying.Err, context.Canceled) || s.times(flying.ID) != 1 {
			t.Errorf("in flight: %+v", flying)
		}
		if errors.Is(standing.Err, ErrUnknownOutcome) || !errors.Is(standing.Err, context.Canceled) || standing.ID != "" {
			t.Errorf("in line: %+v", standing)
		}
		if got := s.sent(); len(got) != 1 {
			t.Errorf("sent %d batches, want 1", len(got))
		}
	})
}

// Whatever is lost on the way, and whoever gives up waiting: no job is accepted
// twice, one that was answered with nil was accepted, and one that was refused
// plainly was not.
func TestExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.SampledFrom([]fault{none, swallowed, unheard, unheard}), 0, 60).Draw(rt, "faults")
		callers := rapid.IntRange(1, 8).Draw(rt, "callers")
		impatient := rapid.IntRange(0, 500).Draw(rt, "patience in ms")
		// rapid runs its check on the test's goroutine, so the bubble is in here.
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			s.fault = faults(plan...)
			p := open(s)
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() { caller(t, s, p, i, time.Duration(impatient)*time.Millisecond) })
			}
			wg.Wait()
			mustClose(t, p)
			for id, n := range s.accepted {
				if n != 1 {
					t.Errorf("job %s was accepted %d times", id, n)
				}
			}
			if s.overlap {
				t.Error("two batches in flight")
			}
		})
	})
}

func caller(t *testing.T, s *server, p *Producer, i int, patience time.Duration) {
	for n := range 5 {
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if i%2 == 1 {
			ctx, cancel = context.WithTimeout(ctx, patience)
		}
		list := jobs(1 + (i+n)%3)
		for k := range list {
			list[k].Envelope.ID = wire.NewID(time.Now())
		}
		for k, r := range p.Enqueue(ctx, "q", list) {
			got := s.times(list[k].Envelope.ID)
			switch {
			case r.Err == nil && got != 1:
				t.Errorf("answered nil, accepted %d times", got)
			case r.Err != nil && !errors.Is(r.Err, ErrUnknownOutcome) && got != 0:
				t.Errorf("answered %v, accepted %d times", r.Err, got)
			}
		}
		cancel()
	}
}
