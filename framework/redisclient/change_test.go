package redisclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

// later runs something that ends a change of servers, after what was started
// before has met the change.
func later(t *testing.T, f func()) {
	done := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { defer close(done); f() })
	t.Cleanup(func() { <-done })
}

// A command that meets a server in the middle of a change is sent again until
// the change is over: it succeeds, and runs once.
func TestCommandsRideOutAChange(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		options redistest.Options
		begin   func(t *testing.T, s *redistest.Server) (end func())
		read    bool // the command reads only
	}{
		"READONLY": {redistest.Options{}, func(t *testing.T, s *redistest.Server) func() {
			s.ReplicaOf(t, redistest.Standalone(t))
			return func() { s.ReplicaOf(t, nil) }
		}, false},
		"MASTERDOWN": {redistest.Options{Args: []string{"--replica-serve-stale-data", "no"}}, func(t *testing.T, s *redistest.Server) func() {
			master := redistest.Standalone(t)
			s.ReplicaOf(t, master)
			master.Kill()
			admin := s.Client(t)
			eventually(t, "MASTERDOWN", func() bool { return redis.IsMasterDownError(admin.Get(t.Context(), "n").Err()) })
			return func() { s.ReplicaOf(t, nil) }
		}, true},
		"NOREPLICAS": {redistest.Options{}, func(t *testing.T, s *redistest.Server) func() {
			admin := s.Client(t)
			set := func(n string) {
				if err := admin.ConfigSet(context.WithoutCancel(t.Context()), "min-replicas-to-write", n).Err(); err != nil {
					t.Error(err)
				}
			}
			set("1")
			return func() { set("0") }
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StandaloneWith(t, x.options)
			c := open(t, redisclient.Config{URL: s.URL()})
			end := x.begin(t, s)
			do, want := redis.UniversalClient.Incr, int64(1)
			if x.read {
				do, want = func(c redis.UniversalClient, ctx context.Context, key string) *redis.IntCmd {
					return c.Exists(ctx, key)
				}, 0
			}
			// Without patience go-redis passes on the answer.
			if err := do(s.Client(t), t.Context(), "n").Err(); !redis.HasErrorPrefix(err, name) || !redisclient.Refused(err) {
				t.Fatalf("got %v, want %s", err, name)
			}
			later(t, end)
			if n, err := do(c, t.Context(), "n").Result(); n != want || err != nil {
				t.Errorf("got %d, %v, want %d", n, err, want)
			}
		})
	}
}

// A server that loads its data is waited for, by Open too.
func TestLoading(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{AOF: true, Args: []string{"--key-load-delay", "400"}})
	ctx, admin := t.Context(), s.Client(t)
	if err := admin.Eval(ctx, `for i = 1, 4000 do redis.call('SET', 'k' .. i, i) end return 1`, nil).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is written", func() bool {
		return contains(admin.Info(ctx, "persistence").Val(), "aof_pending_bio_fsync:0\r")
	})
	c := open(t, redisclient.Config{URL: s.URL()})
	s.Kill()
	later(t, func() { s.Restart(t) })
	impatient := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DisableIdentity: true})
	defer impatient.Close()
	eventually(t, "LOADING", func() bool { return redis.IsLoadingError(impatient.Get(ctx, "k1").Err()) })
	if got, err := c.Get(ctx, "k4000").Result(); got != "4000" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	later(t, func() { s.Restart(t) })
	s.Kill()
	eventually(t, "LOADING", func() bool { return redis.IsLoadingError(impatient.Get(ctx, "k1").Err()) })
	if got, err := open(t, redisclient.Config{URL: s.URL()}).Get(ctx, "k4000").Result(); got != "4000" || err != nil {
		t.Errorf("a new client got %q, %v", got, err)
	}
}

// Between two owners a command for several keys waits until the slot has moved.
func TestMigratingSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.NewCluster(t)
	c := open(t, redisclient.Config{StartupNodes: cluster.Addrs()})
	if err := c.MSet(t.Context(), "{x}1", "1", "{x}2", "2").Err(); err != nil {
		t.Fatal(err)
	}
	m := cluster.Migrate(t, "{x}1")
	m.MoveKeys(t, "{x}1")
	later(t, func() { m.Finish(t) })
	if got, err := c.MGet(t.Context(), "{x}1", "{x}2").Result(); err != nil || fmt.Sprint(got) != "[1 2]" {
		t.Errorf("got %v, %v", got, err)
	}
}

// When a master dies, the client reaches the one that took over within five
// seconds, with commands and with a Waiter; before that, errors say that nothing
// was done.
func TestClusterMasterDies(t *testing.T) {
	t.Parallel()
	cluster := redistest.ClusterWith(t, redistest.ClusterOptions{Replicas: 1, NodeTimeout: time.Second})
	c := open(t, redisclient.Config{StartupNodes: cluster.Addrs()})
	key, build := blmove("q")
	old := cluster.Master(t, key)
	followsTheMaster(t, c, key, build, func() {
		next := cluster.Replicas(t, old)[0]
		old.Kill()
		cluster.WaitOwner(t, key, next)
	})
	old.Restart(t)
	followsTheMaster(t, c, key, build, func() { cluster.Failover(t, key) })
}

// followsTheMaster has a Waiter wait while change makes another server the
// master; both it and commands are to find the new one within five seconds.
func followsTheMaster(t *testing.T, c *redisclient.Client, key string, build func(time.Duration) []any, change func()) {
	t.Helper()
	ctx := t.Context()
	w := c.NewWaiter(key)
	defer w.Close()
	waiting := start(ctx, w, 10*time.Second, build)
	if err := c.Set(ctx, key+":before", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	change()
	begin := time.Now()
	eventually(t, "a write at the new master", func() bool {
		err := c.RPush(ctx, key, "job").Err()
		if err != nil && !redisclient.Refused(err) && !errors.Is(err, io.EOF) && !isNet(err) {
			t.Fatalf("a strange error: %v", err)
		}
		return err == nil
	})
	o := <-waiting
	for o.reply != "job" && time.Since(begin) < 10*time.Second {
		o = <-start(ctx, w, time.Second, build)
	}
	if took := time.Since(begin); o.reply != "job" || took > 5*time.Second {
		t.Errorf("after %v: %+v", took, o)
	}
}

func isNet(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}
