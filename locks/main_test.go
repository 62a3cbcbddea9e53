package locks_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

func TestMain(m *testing.M) {
	if where := os.Getenv(holderEnv); where != "" {
		os.Exit(beHolder(where))
	}
	redis.SetLogger(silent{}) // tests kill servers, of which go-redis would tell at length
	// go-redis goes on trying to reach a dead server for up to a second after its client was closed.
	os.Exit(redistest.Main(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")))
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// generous is a deadline that only a broken test or a stuck machine meets.
const generous = 30 * time.Second

// short is the TTL of locks that a test lets expire. The embedded server ages keys
// in steps of 100 ms, so it must not be much shorter.
const short = 600 * time.Millisecond

// world is where a test runs: a way to make managers that see the same locks.
type world struct {
	name    string
	clients []redis.UniversalClient
	ns      string
}

// manager is one process, as far as locks are concerned.
func (w world) manager(t testing.TB) *locks.Manager {
	t.Helper()
	cfg := locks.Config{Namespace: w.ns}
	m := locks.New(w.clients[0], cfg)
	if len(w.clients) > 1 {
		m = locks.NewQuorum(w.clients, cfg)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), generous)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return m
}

// everywhere runs a test on every kind of Redis, and on a quorum of three.
func everywhere(t *testing.T, test func(t *testing.T, w world)) {
	t.Helper()
	on := func(t *testing.T, x redistest.Target) {
		test(t, world{x.Name, []redis.UniversalClient{x.Client}, redistest.Namespace(t)})
	}
	redistest.Each(t, on)
	redistest.EachSentinel(t, on)
	t.Run("quorum", func(t *testing.T) {
		t.Parallel()
		w, _ := quorumOf(t, 3)
		test(t, w)
	})
}

// standalone is the shared server.
func standalone(t testing.TB) world {
	t.Helper()
	return world{"standalone", []redis.UniversalClient{redistest.Shared(t).Client(t)}, redistest.Namespace(t)}
}

// quorumOf starts n servers that know nothing of each other.
func quorumOf(t testing.TB, n int) (world, []*redistest.Server) {
	t.Helper()
	w := world{name: "quorum", ns: redistest.Namespace(t)}
	servers := make([]*redistest.Server, n)
	for i := range servers {
		servers[i] = redistest.Standalone(t)
		w.clients = append(w.clients, servers[i].Client(t))
	}
	return w, servers
}

// within is a context that ends a test that hangs.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	t.Cleanup(cancel)
	return ctx
}

// acquired fails the test unless the lock is got.
func acquired(t testing.TB, l *locks.Lock, ctx context.Context) context.Context {
	t.Helper()
	held, err := l.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// eventually waits for a condition that Redis is asked about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(generous); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// ended waits for the end of a held context and returns the cause.
func ended(t testing.TB, held context.Context) error {
	t.Helper()
	select {
	case <-held.Done():
		return context.Cause(held)
	case <-time.After(generous):
		t.Fatal("the held context did not end")
		return nil
	}
}

// waiting waits until n waiters stand in line.
func waiting(t testing.TB, m *locks.Manager, name string, n int) {
	t.Helper()
	eventually(t, "waiters in line", func() bool {
		infos, err := m.Inspect(within(t), name)
		return err == nil && len(infos) == 1 && infos[0].Waiters == n
	})
}

// async acquires in the background.
func async(ctx context.Context, l *locks.Lock) <-chan result {
	done := make(chan result, 1)
	go func() {
		held, err := l.Acquire(ctx)
		done <- result{held, err}
	}()
	return done
}

type result struct {
	held context.Context
	err  error
}

// nothingLeft waits until no key of the test is left but fences, which have a TTL.
func nothingLeft(t testing.TB, w world) {
	t.Helper()
	eventually(t, "nothing left behind", func() bool {
		keys, err := w.clients[0].Keys(context.Background(), w.ns+":*").Result()
		if err != nil {
			return false
		}
		for _, key := range keys {
			ttl, err := w.clients[0].PTTL(context.Background(), key).Result()
			if err != nil || !strings.HasSuffix(key, ":fence") || ttl <= 0 {
				return false
			}
		}
		return true
	})
}
