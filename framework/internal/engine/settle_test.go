package engine

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// Guarantee: a settlement whose reply was lost is sent again until it is
// answered, and applies once.
func TestLostSettleReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		var lost atomic.Int64
		s.after["settle"] = func(context.Context) error {
			if lost.Add(1) <= 3 {
				return errDown
			}
			return nil
		}
		r := drive(t, Config{Run: done}, s)
		s.push("a", "b", "c")
		time.Sleep(5 * time.Second)
		for _, id := range []string{"a", "b", "c"} {
			if v := s.settled(id); len(v) != 1 {
				t.Errorf("%s: settled %v", id, v)
			}
		}
		if n := r.Stats(); n.Held != 0 || n.Lost != 0 {
			t.Errorf("left over: %+v", n)
		}
		r.stop()
	})
}

// Guarantee: what ends while a flush is in flight goes out together in the
// next; a lone result goes out at once.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.before["settle"] = func(ctx context.Context) error { rest(ctx, nil, 100*time.Millisecond); return nil }
		r := drive(t, Config{Concurrency: 51, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			if d.ID != "first" {
				rest(ctx, nil, 50*time.Millisecond)
			}
			return backend.Settlement{Verdict: backend.Done}
		}}, s)
		s.push("first")
		s.pushN(50)
		time.Sleep(250 * time.Millisecond)
		if n := get(s, func() int { return len(s.ended) }); n != 51 {
			t.Errorf("%d of 51 settled", n)
		}
		if n := get(s, func() int { return s.calls["settle"] }); n != 2 {
			t.Errorf("%d flushes, want 2", n)
		}
		r.stop()
	})
}

// Guarantee: when nothing can be settled, only a bounded number of jobs runs;
// afterwards all of them are settled, each once.
func TestUnsettledIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.before["settle"] = func(context.Context) error { return errDown }
		s.pushN(5000)
		var runs atomic.Int64
		r := drive(t, Config{Concurrency: 10, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			runs.Add(1)
			return lasting(time.Millisecond)(ctx, d)
		}}, s)
		time.Sleep(10 * time.Second)
		if n := runs.Load(); n < 256 || n > 256+40 {
			t.Errorf("%d jobs ran unsettled, want 256 and what was in hand", n)
		}
		s.set(func() { delete(s.before, "settle") })
		time.Sleep(20 * time.Second)
		if n := get(s, func() int { return len(s.ended) }); n != 5000 || runs.Load() != 5000 {
			t.Errorf("%d settled after %d runs, want 5000 each", n, runs.Load())
		}
		r.stop()
	})
}

// Guarantee: a settlement that the backend refuses is said again later, holds
// up no other, and is told with its job.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newServer("q")
		r := drive(t, Config{Run: done, Logger: slog.New(slog.NewTextHandler(&out, nil))}, s)
		s.push("refused", "fine")
		synctest.Wait()
		if v := s.settled("fine"); len(v) != 1 {
			t.Errorf("fine: settled %v", v)
		}
		if n := r.Stats().Held; n != 1 {
			t.Errorf("%d held, want the refused one", n)
		}
		time.Sleep(2 * time.Second)
		if v := s.settled("refused"); len(v) != 1 {
			t.Errorf("refused: settled %v", v)
		}
		r.stop()
		if n := strings.Count(out.String(), "job=refused"); n != 3 {
			t.Errorf("%d lines about 3 refusals:\n%s", n, out.String())
		}
	})
}

// Guarantee: a Lost outcome frees the slot and the hand and is counted.
func TestLostOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("q")
		s.wrap = func(q backend.Queue) backend.Queue { return loser{q} }
		r := drive(t, Config{Concurrency: 1, Run: done}, s)
		s.push("a", "b")
		synctest.Wait()
		if n := r.Stats(); n.Lost != 2 || n.Held != 0 {
			t.Errorf("%+v, want 2 lost and none held", n)
		}
		r.stop()
	})
}

// loser answers every settlement with Lost.
type loser struct{ backend.Queue }

func (l loser) Settle(_ context.Context, said []backend.Settlement) ([]backend.Outcome, error) {
	return slices.Repeat([]backend.Outcome{{State: backend.Lost}}, len(said)), nil
}

// Guarantee: a worker of short jobs holds some more than its slots, at most
// four times as many in all; one of long jobs holds no more than its slots.
func TestPrefetchIsBounded(t *testing.T) {
	for _, c := range []struct {
		run    time.Duration
		lo, hi int
	}{{100 * time.Microsecond, 50, 80}, {20 * time.Millisecond, 20, 20}} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer("q")
			s.pushN(20000)
			most := 0
			var r *rig
			s.before["take"] = func(ctx context.Context) error { rest(ctx, nil, 200*time.Microsecond); return nil }
			ready := make(chan struct{})
			r = drive(t, Config{Concurrency: 20, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
				<-ready
				n := r.Stats()
				s.set(func() { most = max(most, n.Buffered+n.Running) })
				return lasting(c.run)(ctx, d)
			}}, s)
			close(ready)
			time.Sleep(2 * time.Second)
			r.stop()
			if most < c.lo || most > c.hi {
				t.Errorf("jobs of %s on 20 slots: %d in hand, want %d to %d", c.run, most, c.lo, c.hi)
			}
			s.nothingHeld(t)
		})
	}
}

// Guarantee: what was prefetched goes back uncharged when its queue is paused,
// and when the jobs before it turn out long and another worker could have it.
func TestPrefetchedGoesBack(t *testing.T) {
	for _, paused := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer("q")
			s.others = 1
			s.pushN(2000)
			block := make(chan struct{})
			var runs atomic.Int64
			r := drive(t, Config{Concurrency: 10, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
				if runs.Add(1) > 1000 {
					<-block
				}
				return lasting(10*time.Microsecond)(ctx, d)
			}}, s)
			synctest.Wait()
			time.Sleep(500 * time.Millisecond)
			before := r.Stats()
			if before.Running != 10 || before.Buffered < 10 {
				t.Fatalf("nothing was prefetched: %+v", before)
			}
			if paused {
				s.set(func() { s.paused = true })
				r.Wake("q")
				synctest.Wait()
			} else {
				time.Sleep(3 * time.Second)
			}
			if n := r.Stats(); n.Buffered != 0 || n.Held != 10 {
				t.Errorf("paused %v: after it %+v, want the 10 that run", paused, n)
			}
			released := 0
			s.set(func() {
				for _, said := range s.ended {
					if said[0].Verdict == backend.Release {
						released++
					}
				}
			})
			if released != before.Buffered {
				t.Errorf("%d released, want the %d that were buffered", released, before.Buffered)
			}
			close(block)
			r.stop()
		})
	}
}
