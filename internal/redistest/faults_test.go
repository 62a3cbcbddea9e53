package redistest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
)

// impatient is a context in which a server that hangs is noticed soon.
func impatient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// over opens a client without retries to an address.
func over(t *testing.T, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// eventually waits until check is nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); ; <-tick {
		err := check()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// A killed server answers nobody and comes back at its address, with what it
// held if it has an append-only file, and without otherwise.
func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"aof": "v", "forgetful": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StandaloneWith(t, redistest.Options{AOF: name == "aof"})
			client, before := over(t, s.Addr()), s.PID()
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.Kill()
				s.Kill()
				if err := client.Ping(t.Context()).Err(); err == nil {
					t.Fatal("a killed server answered")
				}
				s.Restart(t)
			}
			if got := over(t, s.Addr()).Get(t.Context(), "k").Val(); got != want {
				t.Errorf("after the restart: %q, want %q", got, want)
			}
			if s.PID() == before {
				t.Error("the process id did not change")
			}
			s.Stop()
			mustBeGone(t, s.PID(), s.Dir())
		})
	}
}

// A paused server hangs and goes on where it was; pausing does not keep it from
// being stopped.
func TestPause(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	client := over(t, s.Addr())
	s.Pause(t)
	if err := client.Ping(impatient(t)).Err(); !isTimeout(err) {
		t.Errorf("a paused server: %v, want a timeout", err)
	}
	s.Resume(t)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	s.Pause(t)
	s.Stop()
	mustBeGone(t, s.PID(), s.Dir())
}

// Over TCP a TLS server speaks TLS alone, and its certificates hold.
func TestTLS(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	s := redistest.StandaloneWith(t, redistest.Options{TLS: certs, Password: "hush"})
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.TLSConfig = certs.Config()
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	if err := over(t, s.Addr()).Ping(impatient(t)).Err(); err == nil {
		t.Error("it answers without TLS")
	}
}

// A user may do what his rules say and no more.
func TestUsers(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{Users: []string{"ada on >pw ~a:* +get"}})
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "ada", Password: "pw", DisableIdentity: true})
	defer client.Close()
	if err := client.Get(t.Context(), "a:1").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET: %v, want nothing found", err)
	}
	if err := client.Set(t.Context(), "a:1", 1, 0).Err(); !redis.IsPermissionError(err) {
		t.Errorf("SET: %v, want NOPERM", err)
	}
}

// A replica has what its master has, stops when told to, and can change masters,
// also through proxies.
func TestReplica(t *testing.T) {
	t.Parallel()
	for _, proxied := range []bool{false, true} {
		master := redistest.StandaloneWith(t, redistest.Options{Password: "hush", Proxy: proxied})
		replica := redistest.StandaloneWith(t, redistest.Options{Password: "hush", Proxy: proxied, Master: master})
		replica.WaitLinked(t)
		ctx := t.Context()
		if err := master.Client(t).Set(ctx, "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		client := replica.Client(t)
		eventually(t, "the key at the replica", func() error { return client.Get(ctx, "k").Err() })
		if err := client.Set(ctx, "k", "w", 0).Err(); !redis.IsReadOnlyError(err) {
			t.Errorf("a replica takes a write: %v", err)
		}
		replica.ReplicaOf(t, nil)
		if err := client.Set(ctx, "k", "w", 0).Err(); err != nil {
			t.Error(err)
		}
		master.ReplicaOf(t, replica)
		if got := master.Client(t).Get(ctx, "k").Val(); got != "w" {
			t.Errorf("after the change of masters: %q, want w", got)
		}
	}
}

// A cluster whose master dies goes on with its replica, within a few node
// timeouts; the dead one comes back as a replica.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	for _, proxied := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "proxied"}[proxied], func(t *testing.T) {
			t.Parallel()
			c := redistest.ClusterWith(t, redistest.ClusterOptions{
				Replicas: 1, NodeTimeout: 2 * time.Second, Node: redistest.Options{Proxy: proxied, AOF: true},
			})
			client := c.Client(t)
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			old := c.Master(t, "k")
			next := c.Replicas(t, old)[0]
			old.Kill()
			c.WaitOwner(t, "k", next)
			old.Restart(t)
			old.WaitLinked(t)
			c.WaitOK(t)
			if third := c.Failover(t, "k"); third != old {
				t.Errorf("the manual failover led to %s, want %s", third.Addr(), old.Addr())
			}
			c.WaitOK(t)
			eventually(t, "the key by a client", func() error { return client.Get(t.Context(), "k").Err() })
		})
	}
}

// A slot that is half-way answers ASK for what has gone, and TRYAGAIN for keys of
// both sides; it can be finished.
func TestMigration(t *testing.T) {
	t.Parallel()
	c := redistest.NewCluster(t)
	ctx, client := t.Context(), c.Client(t)
	for _, k := range []string{"{x}1", "{x}2", "{x}3"} {
		if err := client.Set(ctx, k, k, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	m := c.Migrate(t, "{x}1")
	m.MoveKeys(t, "{x}2", "{x}absent")
	from := m.From.Client(t)
	if err := from.Get(ctx, "{x}2").Err(); err == nil || !strings.HasPrefix(err.Error(), "ASK ") {
		t.Errorf("a key that has gone: %v, want ASK", err)
	}
	if err := from.MGet(ctx, "{x}1", "{x}2").Err(); err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN") {
		t.Errorf("keys of both sides: %v, want TRYAGAIN", err)
	}
	m.Finish(t)
	if c.Master(t, "{x}1") != m.To || m.To == m.From {
		t.Error("the slot has not moved")
	}
	if got := m.To.Client(t).MGet(ctx, "{x}1", "{x}2", "{x}3").Val(); len(got) != 3 || got[0] != "{x}1" || got[2] != "{x}3" {
		t.Errorf("the new owner has %v", got)
	}
}
