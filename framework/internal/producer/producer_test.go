package producer

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(s *server) *Producer {
	return New(Config{Open: func(string) backend.Enqueuer { return s }, Logger: slog.New(slog.DiscardHandler)})
}

func jobs(n int) []backend.Job {
	j := make([]backend.Job, n)
	for i := range j {
		j[i].Envelope = wire.Envelope{Kind: "k", Payload: []byte("1")}
	}
	return j
}

func one(ctx context.Context, p *Producer) Result { return p.Enqueue(ctx, "q", jobs(1))[0] }

func mustClose(t *testing.T, p *Producer) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A job that meets an idle line goes at once; those that come meanwhile share
// the next batch, and a producer never has two batches in flight.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.gate = make(chan struct{})
		p := open(s)
		var wg sync.WaitGroup
		enqueue := func() {
			if r := one(t.Context(), p); r.Err != nil || s.times(r.ID) != 1 {
				t.Errorf("got %+v, accepted %d times", r, s.times(r.ID))
			}
		}
		wg.Go(enqueue)
		synctest.Wait()
		for range 50 {
			wg.Go(enqueue)
		}
		synctest.Wait()
		close(s.gate)
		wg.Wait()
		got := s.sent()
		if len(got) != 2 || len(got[0].Jobs) != 1 || len(got[1].Jobs) != 50 || s.overlap {
			t.Errorf("got %d batches, overlap %v; want one of 1 job and one of 50", len(got), s.overlap)
		}
		if got[0].Number != 1 || got[1].Number != 2 || got[0].Producer != got[1].Producer {
			t.Errorf("numbers %d, %d of producers %s, %s", got[0].Number, got[1].Number, got[0].Producer, got[1].Producer)
		}
		mustClose(t, p)
	})
}

// A batch keeps the limits of one call in jobs and in bytes; a job that is
// larger than the limit goes alone.
func TestBatchLimits(t *testing.T) {
	s := newServer()
	p := open(s)
	defer mustClose(t, p)
	list := jobs(2500)
	for i := range 6 {
		list[i].Envelope.Payload = []byte(`"` + strings.Repeat("x", 400<<10) + `"`)
	}
	list[6].Envelope.Payload = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	for i, r := range p.Enqueue(t.Context(), "q", list) {
		if r.Err != nil || s.times(r.ID) != 1 {
			t.Fatalf("job %d: %+v", i, r)
		}
	}
	for _, b := range s.sent() {
		var bytes int
		for _, j := range b.Jobs {
			bytes += len(j.Envelope.Append(nil))
		}
		if len(b.Jobs) > backend.MaxBatchJobs || len(b.Jobs) > 1 && bytes > backend.MaxBatchBytes {
			t.Errorf("a batch of %d jobs and %d bytes", len(b.Jobs), bytes)
		}
	}
}

// size is an upper bound of what the writer makes of an envelope.
func TestSizeIsAnUpperBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := wire.Envelope{
			ID: wire.NewID(time.Now()), N: 1 << 40, S: 3, Kind: "kind", Attempt: 1 << 20, MaxAttempts: 1 << 30,
			At: time.UnixMilli(1 << 43), Timeout: 1 << 60,
			Headers:     rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "headers"),
			ContentType: rapid.SampledFrom([]string{"", "text/plain"}).Draw(t, "type"),
			Payload:     []byte(`"payload"`),
		}
		if n := len(e.Append(nil)); n > size(&e) {
			t.Errorf("size says %d, the entry has %d: %s", size(&e), n, e.Append(nil))
		}
	})
}

// A gap is counted, and the batch, of which nothing was accepted, goes anew
// under a fresh id.
func TestGap(t *testing.T) {
	s := newServer()
	s.fault = faults(none, forgotten)
	p := open(s)
	defer mustClose(t, p)
	for range 2 {
		if r := one(t.Context(), p); r.Err != nil || s.times(r.ID) != 1 {
			t.Errorf("got %+v, accepted %d times", r, s.times(r.ID))
		}
	}
	got := s.sent()
	if len(got) != 3 || got[1].Number != 2 || got[2].Number != 1 || got[2].Producer == got[1].Producer || p.Gaps() != 1 {
		t.Errorf("%d gaps, batches %+v", p.Gaps(), got)
	}
}

// A server that answers gap to everything gets no endless loop.
func TestGapForEver(t *testing.T) {
	s := newServer()
	s.refuse = func(backend.Batch) error { return backend.ErrGap }
	p := open(s)
	defer mustClose(t, p)
	if r := one(t.Context(), p); !errors.Is(r.Err, backend.ErrGap) || r.ID != "" {
		t.Errorf("got %+v", r)
	}
}

// A batch that came too late and was never sent before is renewed by a fresh
// look at the server's clock; one that was sent before has an unknown outcome.
func TestStale(t *testing.T) {
	for name, c := range map[string]struct {
		faults []fault
		want   error
	}{
		"first sending": {[]fault{none}, nil},
		"resend":        {[]fault{swallowed, none}, ErrUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				asked := 0
				p := New(Config{
					Open: func(string) backend.Enqueuer { return s },
					Clock: func(context.Context) (time.Time, error) {
						asked++
						now := time.Now().Add(s.offset)
						s.offset = time.Hour // jumps right after the first answer
						return now, nil
					},
				})
				s.fault = faults(c.faults...)
				r := one(t.Context(), p)
				if !errors.Is(r.Err, c.want) {
					t.Errorf("got %+v, want %v", r, c.want)
				}
				if c.want == nil && (s.times(r.ID) != 1 || asked != 2) {
					t.Errorf("accepted %d times, asked %d times", s.times(r.ID), asked)
				}
				mustClose(t, p)
			})
		})
	}
}

// A server whose clock is far from ours accepts batches all the same, and is
// asked for its time about once a minute only.
func TestServerClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.offset = 24 * time.Hour
		asked := 0
		p := New(Config{
			Open: func(string) backend.Enqueuer { return s },
			Clock: func(context.Context) (time.Time, error) {
				asked++
				return time.Now().Add(s.offset), nil
			},
		})
		for range 90 {
			if r := one(t.Context(), p); r.Err != nil {
				t.Fatal(r.Err)
			}
			time.Sleep(time.Second)
		}
		if asked != 2 {
			t.Errorf("asked for the time %d times in 90 s, want 2", asked)
		}
		mustClose(t, p)
	})
}

// Errors by which the server says that nothing was accepted come back at once,
// without an id, and the next job goes through under the same number.
func TestRefused(t *testing.T) {
	permanent := errors.New("NOPERM")
	for _, want := range []error{backend.ErrFull, backend.ErrWrongType, backend.ErrWrongBackend, permanent} {
		t.Run(want.Error(), func(t *testing.T) {
			s := newServer()
			p := New(Config{
				Open:      func(string) backend.Enqueuer { return s },
				Permanent: func(err error) bool { return errors.Is(err, permanent) },
			})
			defer mustClose(t, p)
			if r := one(t.Context(), p); r.Err != nil {
				t.Error(r.Err)
			}
			s.refuse = func(backend.Batch) error { return want }
			if r := one(t.Context(), p); !errors.Is(r.Err, want) || errors.Is(r.Err, ErrUnknownOutcome) || r.ID != "" {
				t.Errorf("got %+v", r)
			}
			s.refuse = nil
			if r := one(t.Context(), p); r.Err != nil {
				t.Error(r.Err)
			}
			if got := s.sent(); len(got) != 3 || got[2].Number != 2 || got[2].Producer != got[0].Producer {
				t.Errorf("batches %+v", got)
			}
		})
	}
}

// While the server answers that it cannot serve anybody now, a batch is sent
// again until it can; and if it never can, the outcome is known: not accepted.
func TestServerInTheMiddleOfAChange(t *testing.T) {
	loading := errors.New("LOADING")
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := New(Config{
			Open:    func(string) backend.Enqueuer { return s },
			Refused: func(err error) bool { return errors.Is(err, loading) },
		})
		begin := time.Now()
		s.refuse = func(backend.Batch) error {
			if time.Since(begin) < 20*time.Second {
				return loading
			}
			return nil
		}
		if r := one(t.Context(), p); r.Err != nil || time.Since(begin) < 20*time.Second {
			t.Errorf("a change of 20 s: got %+v after %v", r, time.Since(begin))
		}
		s.refuse = func(backend.Batch) error { return loading }
		if r := one(t.Context(), p); !errors.Is(r.Err, loading) || errors.Is(r.Err, ErrUnknownOutcome) || r.ID != "" {
			t.Errorf("a change without end: got %+v", r)
		}
		mustClose(t, p)
	})
}

// A refusal of a resend says nothing about the first sending, which may still
// be accepted: the outcome is unknown.
func TestRefusedAfterLostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.fault = faults(swallowed)
		s.refuse = func(backend.Batch) error { return backend.ErrFull }
		p := open(s)
		if r := one(t.Context(), p); !errors.Is(r.Err, ErrUnknownOutcome) || !errors.Is(r.Err, backend.ErrFull) || r.ID == "" {
			t.Errorf("got %+v", r)
		}
		mustClose(t, p)
	})
}

// A producer that was silent for a minute takes a fresh id, so that the server
// may forget the old one.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := open(s)
		for _, pause := range []time.Duration{59 * time.Second, time.Minute, 0} {
			if r := one(t.Context(), p); r.Err != nil {
				t.Fatal(r.Err)
			}
			time.Sleep(pause)
		}
		got := s.sent()
		if got[1].Producer != got[0].Producer || got[2].Producer == got[1].Producer || got[2].Number != 1 {
			t.Errorf("batches %+v", got)
		}
		mustClose(t, p)
	})
}
