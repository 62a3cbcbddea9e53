package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/colonyq/colony/framework/backend"
)

// shares counts the runs of each queue among the first n, with jobs of a length
// and calls of a latency.
func shares(t *testing.T, c Config, n int, run, latency time.Duration, queues ...*server) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	started := make(chan string)
	c.Run = func(ctx context.Context, d *backend.Delivery) backend.Settlement {
		select {
		case started <- d.Queue:
		case <-ctx.Done():
			return backend.Settlement{Verdict: backend.Release}
		}
		return lasting(run)(ctx, d)
	}
	for _, s := range queues {
		s.before["take"] = func(ctx context.Context) error { rest(ctx, nil, latency); return nil }
		s.before["settle"] = s.before["take"]
	}
	r := drive(t, c, queues...)
	for range n {
		counts[<-started]++
	}
	r.Abort()
	r.stop()
	return counts
}

// Guarantee: two queues of weights 5 and 1 with 6,000 jobs waiting start 5:1
// within 10 %, whether jobs are prefetched or not, and whatever a Take costs.
func TestWeights(t *testing.T) {
	for _, c := range []struct {
		slots        int
		run, latency time.Duration
	}{
		{1, 10 * time.Millisecond, time.Millisecond},
		{20, 10 * time.Millisecond, time.Millisecond},
		{20, 100 * time.Microsecond, time.Millisecond},
		{100, 7 * time.Millisecond, 3 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%d slots, %s a job, %s a call", c.slots, c.run, c.latency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newServer("a"), newServer("b")
				a.pushN(3000)
				b.pushN(3000)
				conf := Config{Concurrency: c.slots, ShutdownTimeout: time.Second, Queues: []Queue{{Name: "a", Weight: 5}, {Name: "b", Weight: 1}}}
				n := shares(t, conf, 2400, c.run, c.latency, a, b)
				if n["b"] < 360 || n["b"] > 440 {
					t.Errorf("%d of a to %d of b, want 2000 to 400 within 10 %%", n["a"], n["b"])
				}
			})
		})
	}
}

// Guarantee (property): over any weights and slots, every queue that has jobs
// gets its share of the starts, to within one round.
func TestSharesFollowWeights(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 50), 2, 6).Draw(rt, "weights")
		slots := rapid.IntRange(1, 200).Draw(rt, "slots")
		e := New(Config{Concurrency: slots})
		sum := 0
		for _, w := range weights {
			l := &lane{e: e, weight: w}
			l.inc = &incarnation{e: e, l: l}
			e.lanes = append(e.lanes, l)
			sum += w
		}
		got := make(map[*lane]int)
		flying := []*lane{}
		total := 0
		for range 400 {
			if len(flying) > 0 && rapid.Bool().Draw(rt, "back") {
				i := rapid.IntRange(0, len(flying)-1).Draw(rt, "which")
				flying[i].inc.state = idle
				flying = append(flying[:i], flying[i+1:]...)
				continue
			}
			l, n := e.choose(rapid.IntRange(1, slots).Draw(rt, "room"))
			if l == nil {
				if len(flying) == 0 {
					rt.Fatal("nobody is chosen though all are ready")
				}
				flying[0].inc.state, flying = idle, flying[1:]
				continue
			}
			got[l] += n
			total += n
			l.inc.state = taking
			flying = append(flying, l)
		}
		round := max(sum, slots+sum) // credited in one turn of all, at most
		for _, l := range e.lanes {
			want := total * l.weight / sum
			if d := got[l] - want; d > round || d < -round {
				rt.Fatalf("weight %d of %d got %d of %d, want %d within %d", l.weight, sum, got[l], total, want, round)
			}
		}
	})
}

// Guarantee: an empty queue, whatever its weight, costs the others nothing.
func TestEmptyQueueCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty, full := newServer("empty"), newServer("full")
		full.pushN(1000)
		began := time.Now()
		c := Config{Concurrency: 10, ShutdownTimeout: time.Second, Queues: []Queue{{Name: "empty", Weight: 1000}, {Name: "full", Weight: 1}}}
		shares(t, c, 1000, 10*time.Millisecond, 0, empty, full)
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("1000 jobs of 10 ms on 10 slots took %s, want 1 s", took)
		}
		if n := empty.calls["take"]; n > 50 {
			t.Errorf("%d takes of the empty queue", n)
		}
	})
}

// Guarantee: with Strict the lower queue starts only what the higher one leaves.
func TestStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newServer("a"), newServer("b")
		a.pushN(500)
		b.pushN(500)
		c := Config{Concurrency: 10, Strict: true, ShutdownTimeout: time.Second, Queues: []Queue{{Name: "b", Weight: 1}, {Name: "a", Weight: 2}}}
		n := shares(t, c, 500, 10*time.Millisecond, time.Millisecond, a, b)
		// The first beat of either may come first; a slot's worth is forgiven.
		if n["b"] > 10 {
			t.Errorf("%d of b were started before all of a", n["b"])
		}
	})
}

// Guarantee: a queue whose Takes hang holds neither slots nor turn of the others.
func TestHungQueueDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := newServer("bad"), newServer("good")
		bad.pushN(10)
		good.pushN(1000)
		bad.before["take"] = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		var runs atomic.Int64
		c := Config{Concurrency: 10, Queues: []Queue{{Name: "bad", Weight: 5}, {Name: "good", Weight: 1}}, Run: func(ctx context.Context, d *backend.Delivery) backend.Settlement {
			runs.Add(1)
			return lasting(10*time.Millisecond)(ctx, d)
		}}
		r := drive(t, c, bad, good)
		time.Sleep(3 * time.Second)
		if n := runs.Load(); n != 1000 {
			t.Errorf("%d of 1000 jobs ran in 3 s beside a hung queue, want all (they are 1 s of work)", n)
		}
		r.stop()
	})
}

// Guarantee: while all slots are taken, waits are ended, and what one has
// popped goes back at once, so that other workers can have it.
func TestFullWorkerDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newServer("a"), newServer("b")
		r := drive(t, Config{Concurrency: 2, Run: lasting(time.Minute)}, a, b)
		synctest.Wait()
		a.push("a1", "a2")
		synctest.Wait()
		b.push("b1") // popped by the Wait that is still there
		synctest.Wait()
		if n := get(b, func() int { return len(b.arrivals) }); n != 0 {
			t.Errorf("%d jobs lie in arrivals of a full worker", n)
		}
		b.set(func() { b.line = nil })
		time.Sleep(10 * time.Second)
		waits := get(b, func() int { return b.calls["wait"] + b.calls["take"] })
		time.Sleep(20 * time.Second)
		if n := get(b, func() int { return b.calls["wait"] + b.calls["take"] }); n != waits {
			t.Errorf("a full worker sent %d waits and takes", n-waits)
		}
		b.push("b2")
		synctest.Wait()
		if n := get(b, func() int { return len(b.line) }); n != 1 {
			t.Error("a full worker popped a job")
		}
		time.Sleep(time.Minute)
		if n := get(b, func() int { return len(b.hands[1]) }); n != 1 {
			t.Error("a worker that is free again did not take the job")
		}
		r.Abort()
		r.stop()
	})
}
