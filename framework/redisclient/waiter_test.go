package redisclient_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

// blmove builds BLMOVE from ready to arrivals in one slot.
func blmove(ns string) (key string, build func(time.Duration) []any) {
	key = "{" + ns + "}:ready"
	return key, func(d time.Duration) []any {
		return []any{"BLMOVE", key, "{" + ns + "}:arrivals", "LEFT", "RIGHT", redisclient.Seconds(d)}
	}
}

func wrap(t *testing.T, target redistest.Target) *redisclient.Client {
	t.Helper()
	c, err := redisclient.Wrap(target.NewClient(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type outcome struct {
	reply any
	err   error
	took  time.Duration
}

// start runs Do in the background; the channel gets what came of it.
func start(ctx context.Context, w *redisclient.Waiter, d time.Duration, build func(time.Duration) []any) <-chan outcome {
	c, begin := make(chan outcome, 1), time.Now()
	go func() {
		reply, err := w.Do(ctx, d, build)
		c <- outcome{reply, err, time.Since(begin)}
	}()
	return c
}

// blocked waits until n clients of the server block.
func blocked(t *testing.T, s *redis.Client, n string) {
	t.Helper()
	eventually(t, "blocked_clients:"+n, func() bool {
		return contains(s.Info(t.Context(), "clients").Val(), "blocked_clients:"+n+"\r")
	})
}

// What is pushed while a Waiter waits is its reply, at once; the connection
// serves further waits.
func TestWaiterReturnsWhatComes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		c := wrap(t, target)
		key, build := blmove(redistest.Namespace(t))
		w := c.NewWaiter(key)
		for range 3 {
			got := start(t.Context(), w, 10*time.Second, build)
			if err := c.RPush(t.Context(), key, "job").Err(); err != nil {
				t.Fatal(err)
			}
			if o := <-got; o.reply != "job" || o.err != nil || o.took > 2*time.Second {
				t.Fatalf("got %+v, want job at once", o)
			}
		}
	})
}

// When nothing comes, Do answers redis.Nil after d: not at once, and not a whole
// second where d is a fraction of one.
func TestWaiterEndsAfterItsTime(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		key, build := blmove(redistest.Namespace(t))
		w := wrap(t, target).NewWaiter(key)
		for _, d := range []time.Duration{0, time.Microsecond, 250 * time.Millisecond} {
			o := <-start(t.Context(), w, d, build)
			if !errors.Is(o.err, redis.Nil) || o.took < d || o.took > d+600*time.Millisecond {
				t.Fatalf("waiting for %v: got %+v, want redis.Nil", d, o)
			}
		}
	})
}

// The end of a context ends a wait: within milliseconds where the server can
// unblock, within a slice where it cannot. The same connection then serves the
// next wait.
func TestWaiterEndsWithItsContext(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		c := wrap(t, target)
		key, build := blmove(redistest.Namespace(t))
		w := c.NewWaiter(key)
		_, _ = w.Do(t.Context(), time.Millisecond, build) // connects
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			got := start(ctx, w, 30*time.Second, build)
			cancel()
			if o := <-got; !errors.Is(o.err, context.Canceled) || o.took > time.Second {
				t.Fatalf("got %+v, want context.Canceled at once", o)
			}
		}
		if err := c.RPush(t.Context(), key, "job").Err(); err != nil {
			t.Fatal(err)
		}
		if o := <-start(t.Context(), w, 10*time.Second, build); o.reply != "job" {
			t.Fatalf("got %+v, want job", o)
		}
	})
}

// A wait is unblocked by the server, not by dropping the connection: the server
// counts no further connection afterwards.
func TestWaiterKeepsItsConnection(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	admin := s.Client(t)
	c := open(t, redisclient.Config{URL: s.URL()})
	key, build := blmove("q")
	w := c.NewWaiter(key)
	round := func() {
		ctx, cancel := context.WithCancel(t.Context())
		got := start(ctx, w, 30*time.Second, build)
		blocked(t, admin, "1")
		cancel()
		if o := <-got; !errors.Is(o.err, context.Canceled) {
			t.Fatalf("got %+v", o)
		}
	}
	round()
	before := accepted(t, admin)
	round()
	round()
	if after := accepted(t, admin); after != before {
		t.Errorf("connections accepted: %s, before: %s", after, before)
	}
}

// Waiting takes no connection from the shared pool, so that however many wait,
// other commands go on.
func TestWaitersLeaveThePoolAlone(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	c := open(t, redisclient.Config{URL: s.URL() + "?pool_size=1"})
	ctx, cancel := context.WithCancel(t.Context())
	var all []<-chan outcome
	for range 5 {
		key, build := blmove("q")
		all = append(all, start(ctx, c.NewWaiter(key), 30*time.Second, build))
	}
	blocked(t, s.Client(t), "5")
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	cancel()
	for _, got := range all {
		if o := <-got; !errors.Is(o.err, context.Canceled) {
			t.Errorf("got %+v", o)
		}
	}
}

// A server that hangs does not hold up a wait whose context ended.
func TestWaiterLeavesAHungServer(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	c := open(t, redisclient.Config{URL: s.URL()})
	key, build := blmove("q")
	w := c.NewWaiter(key)
	ctx, cancel := context.WithCancel(t.Context())
	got := start(ctx, w, 30*time.Second, build)
	blocked(t, s.Client(t), "1")

	if err := syscall.Kill(s.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cancel()
	o := <-got
	took := time.Since(begin)
	if err := syscall.Kill(s.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(o.err, context.Canceled) || took > 2*time.Second {
		t.Fatalf("got %+v after %v, want context.Canceled soon", o, took)
	}
	if err := c.RPush(t.Context(), key, "job").Err(); err != nil {
		t.Fatal(err)
	}
	if o := <-start(t.Context(), w, 10*time.Second, build); o.reply != "job" {
		t.Fatalf("after the server went on: got %+v, want job", o)
	}
}

// A connection that breaks is an error, and the next wait makes a new one.
func TestWaiterDialsAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	c := open(t, redisclient.Config{URL: s.URL()})
	admin := s.Client(t)
	key, build := blmove("q")
	w := c.NewWaiter(key)
	got := start(t.Context(), w, 30*time.Second, build)
	blocked(t, admin, "1")
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	if o := <-got; o.err == nil || errors.Is(o.err, redis.Nil) {
		t.Fatalf("got %+v, want an error", o)
	}
	admin.RPush(t.Context(), key, "job")
	if o := <-start(t.Context(), w, 10*time.Second, build); o.reply != "job" {
		t.Fatalf("got %+v, want job", o)
	}
}

// A server's error is returned as such, and leaves the connection usable.
func TestWaiterReturnsErrors(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		c := wrap(t, target)
		key, build := blmove(redistest.Namespace(t))
		w := c.NewWaiter(key)
		c.Set(t.Context(), key, "a string", 0)
		if _, err := w.Do(t.Context(), time.Second, build); !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Fatalf("got %v, want WRONGTYPE", err)
		}
		c.Del(t.Context(), key)
		c.RPush(t.Context(), key, "job")
		if reply, err := w.Do(t.Context(), time.Second, build); reply != "job" {
			t.Fatalf("got %v, %v", reply, err)
		}
	})
}

// In a cluster, a key whose slot moved while it was waited for counts as nothing
// came; the next waits find the new node.
func TestWaiterFollowsASlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.NewCluster(t)
	c := open(t, redisclient.Config{StartupNodes: cluster.Addrs()})
	key, build := blmove("q")
	w := c.NewWaiter(key)
	ctx := t.Context()
	slot := c.ClusterKeySlot(ctx, key).Val()
	from, to := 0, 1
	for i, n := range cluster.Nodes {
		if n.Client(t).Exists(ctx, key).Err() == nil {
			from, to = i, (i+1)%len(cluster.Nodes)
		}
	}
	got := start(ctx, w, 30*time.Second, build)
	blocked(t, cluster.Nodes[from].Client(t), "1")

	target := cluster.Nodes[to].Client(t)
	id := target.ClusterMyID(ctx).Val()
	for _, i := range []int{to, from, 3 - from - to} {
		if err := cluster.Nodes[i].Client(t).Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", id).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if o := <-got; !errors.Is(o.err, redis.Nil) || o.took > 10*time.Second {
		t.Fatalf("got %+v, want redis.Nil soon", o)
	}
	if err := target.RPush(ctx, key, "job").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a wait at the new node", func() bool {
		reply, err := w.Do(ctx, 100*time.Millisecond, build)
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		return reply == "job"
	})
}

// Close of the client or of the waiter ends a wait and refuses further ones; a
// second wait at the same time is refused as well.
func TestWaiterClose(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	for name, closing := range map[string]func(*redisclient.Client, *redisclient.Waiter) error{
		"client": func(c *redisclient.Client, _ *redisclient.Waiter) error { return c.Close() },
		"waiter": func(_ *redisclient.Client, w *redisclient.Waiter) error { return w.Close() },
	} {
		c := open(t, redisclient.Config{URL: s.URL()})
		key, build := blmove("q")
		w := c.NewWaiter(key)
		got := start(t.Context(), w, 30*time.Second, build)
		blocked(t, s.Client(t), "1")
		if _, err := w.Do(t.Context(), time.Second, build); !errors.Is(err, redisclient.ErrBusy) {
			t.Errorf("%s: second wait: got %v, want ErrBusy", name, err)
		}
		if err := errors.Join(closing(c, w), closing(c, w)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if o := <-got; !errors.Is(o.err, redis.ErrClosed) {
			t.Errorf("%s: got %+v, want ErrClosed", name, o)
		}
		if _, err := w.Do(t.Context(), time.Second, build); !errors.Is(err, redis.ErrClosed) {
			t.Errorf("%s: after close: got %v, want ErrClosed", name, err)
		}
		if _, err := c.NewWaiter(key).Do(t.Context(), time.Millisecond, build); name == "client" && !errors.Is(err, redis.ErrClosed) {
			t.Errorf("new waiter of a closed client: got %v, want ErrClosed", err)
		}
		blocked(t, s.Client(t), "0")
	}
}

// An ended context ends Do before it sends anything.
func TestWaiterWithAnEndedContext(t *testing.T) {
	t.Parallel()
	s := redistest.Shared(t)
	key, build := blmove(redistest.Namespace(t))
	w := open(t, redisclient.Config{URL: s.URL()}).NewWaiter(key)
	s.Client(t).RPush(t.Context(), key, "job")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if _, err := w.Do(ctx, time.Second, build); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		_, _ = w.Do(t.Context(), time.Millisecond, func(time.Duration) []any { return []any{"PING"} }) // connects
	}
	if n := s.Client(t).LLen(t.Context(), key).Val(); n != 1 {
		t.Errorf("%d jobs are left, want 1", n)
	}
}
