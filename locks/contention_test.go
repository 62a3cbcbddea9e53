package locks_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

const contenders = 64

// contend lets 64 contenders, spread over 8 processes' worth of managers, each take
// the lock once, and returns the time from each release to the next acquisition.
func contend(t testing.TB, w world, o locks.Options) []time.Duration {
	ctx, m := within(t), w.manager(t)
	gate := acquired(t, m.Mutex("a", o), ctx)
	var mu sync.Mutex
	var gaps []time.Duration
	var released time.Time
	var all sync.WaitGroup
	managers := make([]*locks.Manager, 8)
	for i := range managers {
		managers[i] = w.manager(t)
	}
	for i := range contenders {
		l := managers[i%len(managers)].Mutex("a", o)
		all.Go(func() {
			err := l.Do(ctx, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				gaps = append(gaps, time.Since(released))
				released = time.Now()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	waiting(t, m, "a", contenders)
	mu.Lock()
	released = time.Now()
	mu.Unlock()
	if err := m.Mutex("a", o).Release(gate); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	slices.Sort(gaps)
	return gaps
}

// Every hand-over among many contenders is a wake-up: with RetryEvery at an hour,
// one that got lost would hang the test.
func TestContention(t *testing.T) {
	redistest.Each(t, func(t *testing.T, x redistest.Target) {
		w := world{x.Name, []redis.UniversalClient{x.Client}, redistest.Namespace(t)}
		gaps := contend(t, w, locks.Options{TTL: time.Hour, RetryEvery: time.Hour})
		if len(gaps) != contenders {
			t.Fatalf("%d acquisitions", len(gaps))
		}
		t.Logf("hand-over: median %v, worst %v", gaps[len(gaps)/2], gaps[len(gaps)-1])
	})
}

// BenchmarkHandOver measures a hand-over with 64 contenders: from the release to
// the next one's acquisition.
func BenchmarkHandOver(b *testing.B) {
	w := standalone(b)
	var gaps []time.Duration
	for b.Loop() {
		gaps = append(gaps, contend(b, w, locks.Options{})...)
	}
	slices.Sort(gaps)
	b.ReportMetric(float64(gaps[len(gaps)/2].Microseconds()), "µs/median")
	b.ReportMetric(float64(gaps[len(gaps)*99/100].Microseconds()), "µs/p99")
}

// counter counts the commands of a client.
type counter struct{ n atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}
func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A waiter that idles sends less than a command per second, also where the holder
// renews a short TTL all the time.
func TestIdleWaiters(t *testing.T) {
	redistest.Each(t, func(t *testing.T, x redistest.Target) {
		ns, count := redistest.Namespace(t), &counter{}
		holder := world{x.Name, []redis.UniversalClient{x.Client}, ns}
		client := x.NewClient(t)
		client.AddHook(count)
		waiters := world{x.Name, []redis.UniversalClient{client}, ns}.manager(t)

		ctx, m := within(t), holder.manager(t)
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		held := acquired(t, m.Mutex("a", locks.Options{TTL: 4 * time.Second, AutoRenew: true}), ctx)
		var all sync.WaitGroup
		for range contenders {
			all.Go(func() { _, _ = waiters.Mutex("a", locks.Options{}).Acquire(limited) })
		}
		waiting(t, m, "a", contenders)
		start, before := time.Now(), count.n.Load()
		eventually(t, "four seconds", func() bool { return time.Since(start) >= 4*time.Second })
		sent, passed := count.n.Load()-before, time.Since(start)
		if rate := float64(sent) / contenders / passed.Seconds(); rate >= 1 {
			t.Errorf("each waiter sent %.2f commands per second", rate)
		}
		cancel()
		all.Wait()
		if err := m.Mutex("a", locks.Options{}).Release(held); err != nil {
			t.Fatal(err)
		}
		nothingLeft(t, holder)
	})
}
