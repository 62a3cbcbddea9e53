package producer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Close sends what stands in line, is safe twice, and later jobs are refused.
func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.gate = make(chan struct{})
		p := open(s)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if r := one(t.Context(), p); r.Err != nil || s.times(r.ID) != 1 {
					t.Errorf("got %+v", r)
				}
			})
			synctest.Wait()
		}
		wg.Go(func() { mustClose(t, p) })
		synctest.Wait()
		if r := one(t.Context(), p); !errors.Is(r.Err, ErrClosed) {
			t.Errorf("after Close: %+v", r)
		}
		close(s.gate)
		wg.Wait()
		mustClose(t, p)
		if r := p.Enqueue(t.Context(), "another", jobs(1))[0]; !errors.Is(r.Err, ErrClosed) {
			t.Errorf("another queue after Close: %+v", r)
		}
	})
}

// A Close whose context ends gives up what is in flight and in line, and says
// which is which.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.gate = make(chan struct{})
		p := open(s)
		var flying, standing Result
		var wg sync.WaitGroup
		wg.Go(func() { flying = one(t.Context(), p) })
		synctest.Wait()
		wg.Go(func() { standing = one(t.Context(), p) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		wg.Wait()
		if !errors.Is(flying.Err, ErrUnknownOutcome) || flying.ID == "" {
			t.Errorf("in flight: %+v", flying)
		}
		if !errors.Is(standing.Err, ErrClosed) || errors.Is(standing.Err, ErrUnknownOutcome) || standing.ID != "" {
			t.Errorf("in line: %+v", standing)
		}
	})
}
