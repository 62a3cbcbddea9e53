// Package locks_test compares acquire + release of Colony's locks with bare redsync
// and bsm/redislock, in one run: the systems take turns pair by pair, so that what
// else the machine does hits all of them alike.
//
//	go test -run '^$' -bench . ./locks
package locks_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

const ttl = 30 * time.Second

// system takes a lock and gives it back.
type system struct {
	name string
	pair func(ctx context.Context) error
}

func systems(b *testing.B, c *redis.Client) []system {
	m := locks.New(c, locks.Config{})
	b.Cleanup(func() { _ = m.Close(context.Background()) })
	mutex := m.Mutex("bench", locks.Options{TTL: ttl})
	rs := redsync.New(goredis.NewPool(c))
	rl := redislock.New(c)
	return []system{
		{"colony", func(ctx context.Context) error {
			held, err := mutex.Acquire(ctx)
			if err != nil {
				return err
			}
			return mutex.Release(held)
		}},
		{"redsync", func(ctx context.Context) error {
			l := rs.NewMutex("bench:redsync", redsync.WithExpiry(ttl))
			if err := l.LockContext(ctx); err != nil {
				return err
			}
			_, err := l.UnlockContext(ctx)
			return err
		}},
		{"redislock", func(ctx context.Context) error {
			l, err := rl.Obtain(ctx, "bench:redislock", ttl, nil)
			if err != nil {
				return err
			}
			return l.Release(ctx)
		}},
	}
}

// BenchmarkAcquireRelease reports the median of each system, in microseconds.
func BenchmarkAcquireRelease(b *testing.B) {
	for name, cancellable := range map[string]bool{"background": false, "cancellable": true} {
		b.Run(name, func(b *testing.B) {
			c := redis.NewClient(&redis.Options{Addr: redistest.Standalone(b).Addr(), DisableIdentity: true})
			b.Cleanup(func() { _ = c.Close() })
			ctx := context.Background()
			if cancellable {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
			}
			all := systems(b, c)
			took := make([][]time.Duration, len(all))
			for b.Loop() {
				for i, s := range all {
					start := time.Now()
					if err := s.pair(ctx); err != nil {
						b.Fatal(s.name, err)
					}
					took[i] = append(took[i], time.Since(start))
				}
			}
			for i, s := range all {
				slices.Sort(took[i])
				b.ReportMetric(float64(took[i][len(took[i])/2].Nanoseconds())/1000, "µs/"+s.name)
			}
		})
	}
}
