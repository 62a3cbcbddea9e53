package scheduler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server holds times of due jobs and notes every call.
type server struct {
	mu    sync.Mutex
	start time.Time
	due   []time.Time
	ready map[time.Time]time.Time // due → when it became ready
	calls int
	fail  error
}

func newServer() *server {
	return &server{start: time.Now(), ready: make(map[time.Time]time.Time)}
}

func (s *server) add(in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = append(s.due, time.Now().Add(in))
	slices.SortFunc(s.due, time.Time.Compare)
}

func (s *server) promote(_ context.Context, max int) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fail != nil {
		return 0, s.fail
	}
	for ; max > 0 && len(s.due) > 0 && !s.due[0].After(time.Now()); max-- {
		s.ready[s.due[0]] = time.Now()
		s.due = s.due[1:]
	}
	return s.next(), nil
}

func (s *server) next() time.Duration {
	if len(s.due) == 0 {
		return -1
	}
	return max(0, time.Until(s.due[0]))
}

func (s *server) pulse(p *Promoter, promoter bool) {
	s.mu.Lock()
	next := s.next()
	s.mu.Unlock()
	p.Update(promoter, next)
}

// run starts p and returns what ends it.
func run(t *testing.T, p *Promoter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- p.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func (s *server) check(t *testing.T, ready, maxCalls int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) != ready {
		t.Errorf("%d jobs are ready, want %d", len(s.ready), ready)
	}
	for due, at := range s.ready {
		if late := at.Sub(due); late < 0 || late > 10*time.Millisecond {
			t.Errorf("the job due after %s became ready %s late", due.Sub(s.start), late)
		}
	}
	if s.calls > maxCalls {
		t.Errorf("%d calls, want at most %d", s.calls, maxCalls)
	}
}

// Guarantee: a due job is ready within 10 ms of its time, for one command and
// no poll before it.
func TestPromotesOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := NewPromoter("q", s.promote, Options{})
		defer run(t, p)()
		for _, in := range []time.Duration{300 * time.Millisecond, 1700 * time.Millisecond, 8 * time.Second} {
			s.add(in)
		}
		s.pulse(p, true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s.check(t, 3, 3)
	})
}

// Guarantee: nothing is sent while nothing is due, and nothing by a process
// that is not the promoter.
func TestIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := NewPromoter("q", s.promote, Options{})
		defer run(t, p)()
		for range 60 {
			s.pulse(p, true)
			time.Sleep(time.Second)
		}
		s.add(time.Second)
		s.pulse(p, false)
		p.Wake()
		time.Sleep(time.Minute)
		synctest.Wait()
		s.check(t, 0, 0)
	})
}

// Guarantee: a hint wakes a promoter that sleeps for a later job or for none,
// and a pulse from before the hint does not put it back to sleep.
func TestHintBringsForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := NewPromoter("q", s.promote, Options{})
		defer run(t, p)()
		p.Update(true, -1)
		s.add(time.Hour)
		p.Wake()
		synctest.Wait()
		s.add(200 * time.Millisecond)
		p.Wake()
		synctest.Wait()
		p.Update(true, time.Hour)
		p.Update(true, -1)
		time.Sleep(time.Second)
		synctest.Wait()
		s.check(t, 1, 3)
	})
}

// Guarantee: many due jobs are promoted in batches without a pause between.
func TestPromotesRepeatedly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		for i := range 2500 {
			s.add(time.Second + time.Duration(i)*time.Nanosecond)
		}
		p := NewPromoter("q", s.promote, Options{})
		defer run(t, p)()
		s.pulse(p, true)
		time.Sleep(time.Second + 10*time.Millisecond)
		synctest.Wait()
		s.check(t, 2500, 5)
	})
}

// Guarantee: a job is promoted as soon as the server answers again; an outage
// is logged once and its end once.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newServer()
		s.fail = errors.New("connection refused")
		p := NewPromoter("q", s.promote, Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		stop := run(t, p)
		s.add(0)
		s.pulse(p, true)
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.fail = nil
		if s.calls < 50 || s.calls > 120 {
			t.Errorf("%d tries in a minute, want about one a second", s.calls)
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Second)
		stop()
		if len(s.ready) != 1 {
			t.Error("the job was not promoted after the outage")
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d log lines, want 2:\n%s", n, out.String())
		}
	})
}

// Guarantee: a promoter that hangs in a call is freed by the call's timeout, and
// one that is no longer wanted stops.
func TestHungCallAndStepDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		p := NewPromoter("q", func(ctx context.Context, _ int) (time.Duration, error) {
			calls++
			<-ctx.Done()
			return 0, ctx.Err()
		}, Options{Logger: slog.New(slog.DiscardHandler)})
		stop := run(t, p)
		p.Update(true, 0)
		time.Sleep(14 * time.Second)
		p.Update(false, -1)
		time.Sleep(time.Minute)
		stop()
		if calls != 3 {
			t.Errorf("%d calls, want 3: each ends after 5 s, none after stepping down", calls)
		}
	})
}

// Guarantee: wrong options are named, all at once.
func TestValidate(t *testing.T) {
	err := NewPromoter("q", nil, Options{Batch: 1001, CallTimeout: -1}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "batch") || !strings.Contains(err.Error(), "call_timeout") {
		t.Errorf("got %v", err)
	}
}
