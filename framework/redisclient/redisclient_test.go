package redisclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

const secret = "s3cr3t"

func contains(s, part string) bool { return strings.Contains(s, part) }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// accepted is how many connections the server ever accepted.
func accepted(t *testing.T, s *redis.Client) string {
	t.Helper()
	for _, line := range strings.Split(s.Info(t.Context(), "stats").Val(), "\r\n") {
		if n, ok := strings.CutPrefix(line, "total_connections_received:"); ok {
			return n
		}
	}
	t.Fatal("the server does not count connections")
	return ""
}

func open(t *testing.T, c redisclient.Config) *redisclient.Client {
	t.Helper()
	client, err := redisclient.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// Open finds each kind of deployment by what the config says, and the client
// works there.
func TestOpenByMode(t *testing.T) {
	t.Parallel()
	s, cluster, embedded := redistest.Shared(t), redistest.SharedCluster(t), redistest.Embedded(t)
	seed := cluster.Addrs()[0]
	for name, x := range map[string]struct {
		config  redisclient.Config
		mode    redisclient.Mode
		address string
	}{
		"tcp":                {redisclient.Config{URL: s.URL()}, redisclient.Standalone, s.Addr()},
		"said not a cluster": {redisclient.Config{URL: s.URL(), IsColony: no()}, redisclient.Standalone, s.Addr()},
		"socket":             {redisclient.Config{URL: "unix://" + s.Socket()}, redisclient.Standalone, s.Socket()},
		"socket with db":     {redisclient.Config{URL: "unix://" + s.Socket() + "?db=3"}, redisclient.Standalone, s.Socket()},
		"embedded":           {redisclient.Config{URL: embedded.URL()}, redisclient.Standalone, embedded.Addr()},
		"seeds":              {redisclient.Config{StartupNodes: cluster.Addrs()}, redisclient.Cluster, strings.Join(cluster.Addrs(), ", ")},
		"url as the seed":    {redisclient.Config{URL: "redis://" + seed, IsColony: yes()}, redisclient.Cluster, seed},
		"a seed is gone":     {redisclient.Config{StartupNodes: []string{freeAddr(t), seed}}, redisclient.Cluster, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, x.config)
			if c.Mode() != x.mode || c.IsCluster() != (x.mode == redisclient.Cluster) {
				t.Errorf("mode %s, want %s", c.Mode(), x.mode)
			}
			if x.address != "" && c.Address() != x.address {
				t.Errorf("address %s, want %s", c.Address(), x.address)
			}
			for i := range 20 { // reaches every master
				if err := c.Set(t.Context(), fmt.Sprint(redistest.Namespace(t), i), "v", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// What is not as the config says is an error that says what to do, and no error
// shows the password.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, cluster := redistest.Shared(t), redistest.SharedCluster(t)
	locked := redistest.StandaloneWith(t, redistest.Options{Password: secret + "!"})
	for name, x := range map[string]struct {
		config redisclient.Config
		want   string
	}{
		"no password":      {redisclient.Config{URL: "redis://" + locked.Addr()}, "wants a password: write it into redis.url"},
		"wrong password":   {redisclient.Config{URL: "redis://:" + secret + "@" + locked.Addr()}, "refuses the user or the password"},
		"wrong user":       {redisclient.Config{URL: "redis://ada:" + secret + "@" + s.Addr()}, "refuses the user or the password"},
		"no such database": {redisclient.Config{URL: "redis://" + s.Addr() + "/99"}, "has no such database"},
		"not a cluster":    {redisclient.Config{URL: s.URL(), IsColony: yes()}, "is not a cluster: set redis.is_colony: false"},
		"a cluster":        {redisclient.Config{URL: "redis://" + cluster.Addrs()[0]}, "is a node of a cluster: set redis.is_colony: true, or pass --cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisclient.Open(t.Context(), x.config)
			if err == nil || !contains(err.Error(), x.want) || errors.Is(err, redisclient.ErrUnreachable) {
				t.Fatalf("got %v\nwant %s", err, x.want)
			}
			if contains(err.Error(), secret) {
				t.Errorf("%v shows the password", err)
			}
		})
	}
}

// A server that would throw jobs away is told from one that refuses to take more.
func TestEvicts(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{})
	c := open(t, redisclient.Config{URL: s.URL()})
	for _, x := range []struct{ limit, policy, want string }{
		{"0", "allkeys-lru", ""},
		{"100mb", "allkeys-lru", "allkeys-lru"},
		{"100mb", "volatile-ttl", "volatile-ttl"},
		{"100mb", "noeviction", ""},
	} {
		for key, value := range map[string]string{"maxmemory": x.limit, "maxmemory-policy": x.policy} {
			if err := c.ConfigSet(t.Context(), key, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Evicts(t.Context()); got != x.want {
			t.Errorf("maxmemory %s, policy %s: got %q, want %q", x.limit, x.policy, got, x.want)
		}
	}
}

// A server that does not answer, for whatever reason, is told within two seconds,
// with the address and the cause, and is recognizable.
func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, as kernels do, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	gone, also := freeAddr(t), freeAddr(t)
	for name, x := range map[string]struct {
		config    redisclient.Config
		at, cause string
	}{
		"refused":  {redisclient.Config{URL: "redis://:" + secret + "@" + gone}, gone, "connection refused"},
		"silent":   {redisclient.Config{URL: "redis://:" + secret + "@" + silent.Addr().String()}, silent.Addr().String(), "no reply within 1.9s"},
		"socket":   {redisclient.Config{URL: "unix://" + filepath.Join(t.TempDir(), "no.sock")}, "no.sock", "no such file"},
		"no route": {redisclient.Config{URL: "redis://192.0.2.1:6379"}, "192.0.2.1:6379", ""},
		"no host":  {redisclient.Config{URL: "redis://nosuchhost.invalid"}, "nosuchhost.invalid:6379", ""},
		"seeds":    {redisclient.Config{StartupNodes: []string{gone, also}}, gone + ", " + also, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := redisclient.Open(t.Context(), x.config)
			if took := time.Since(begin); took > 2200*time.Millisecond {
				t.Errorf("took %v", took)
			}
			var u *redisclient.UnreachableError
			if !errors.Is(err, redisclient.ErrUnreachable) || !errors.As(err, &u) {
				t.Fatalf("got %v, want ErrUnreachable", err)
			}
			if m := err.Error(); !contains(m, x.at+" does not answer: ") || !contains(m, x.cause) || contains(m, secret) {
				t.Errorf("got %q, want %s and %s in it", m, x.at, x.cause)
			}
		})
	}
}

// A caller who gives up gets the error of its context, not word of a bad server.
func TestOpenCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := redisclient.Open(ctx, redisclient.Config{URL: redistest.Shared(t).URL()})
	if !errors.Is(err, context.Canceled) || errors.Is(err, redisclient.ErrUnreachable) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// On connect nothing is sent that the server answers with an error, so that its
// error statistics show real errors only.
func TestOpenIsQuiet(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	c := open(t, redisclient.Config{URL: s.URL()})
	_, build := blmove("q")
	_, _ = c.NewWaiter("q").Do(t.Context(), time.Millisecond, build)
	if stats := c.Info(t.Context(), "errorstats").Val(); contains(stats, "errorstat_") {
		t.Errorf("the server counted errors:\n%s", stats)
	}
}

// A deadline holds against a server that hangs, with an opened client.
func TestDeadlinesHold(t *testing.T) {
	t.Parallel()
	c := open(t, redisclient.Config{URL: redistest.Standalone(t).URL()})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := c.BLPop(ctx, 30*time.Second, "nothing").Err(); err == nil || time.Since(begin) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

// Wrap takes the clients it can work with, returns a Client unchanged, and says
// of all others why not.
func TestWrap(t *testing.T) {
	t.Parallel()
	plain := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}})
	replicas := redis.NewClusterClient(&redis.ClusterOptions{ReadOnly: true})
	latency := redis.NewClusterClient(&redis.ClusterOptions{RouteByLatency: true})
	random := redis.NewClusterClient(&redis.ClusterOptions{RouteRandomly: true})
	ring := redis.NewRing(&redis.RingOptions{})
	for _, c := range []redis.UniversalClient{plain, cluster, replicas, latency, random, ring} {
		t.Cleanup(func() { _ = c.Close() })
	}
	wrapped, err := redisclient.Wrap(plain)
	if err != nil || wrapped.Mode() != redisclient.Standalone || wrapped.Address() != "127.0.0.1:1" {
		t.Errorf("plain: %v, %v", wrapped, err)
	}
	if again, err := redisclient.Wrap(wrapped); again != wrapped || err != nil {
		t.Errorf("wrapped twice: %v, %v", again, err)
	}
	if c, err := redisclient.Wrap(cluster); err != nil || !c.IsCluster() || c.Address() != "127.0.0.1:1, 127.0.0.1:2" {
		t.Errorf("cluster: %v, %v", c, err)
	}
	for want, bad := range map[string]redis.UniversalClient{
		"cannot use a *redis.Ring":             ring,
		"reads from replicas":                  replicas,
		"reads from replicas: ":                latency,
		"reads from replicas: leave":           random,
		"cannot use a <nil>":                   nil,
		"cannot use a nil *redis.Client":       (*redis.Client)(nil),
		"cannot use a nil *redisclient.Client": (*redisclient.Client)(nil),
	} {
		if _, err := redisclient.Wrap(bad); err == nil || !contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Close closes what Open opened and leaves alone what was wrapped; twice is fine.
func TestClose(t *testing.T) {
	t.Parallel()
	s := redistest.Shared(t)
	mine := s.Client(t)
	wrapped, err := redisclient.Wrap(mine)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wrapped.Close(), wrapped.Close()); err != nil {
		t.Error(err)
	}
	if err := mine.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the caller's client: %v", err)
	}
	opened := open(t, redisclient.Config{URL: s.URL()})
	if err := errors.Join(opened.Close(), opened.Close()); err != nil {
		t.Error(err)
	}
	if err := opened.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("the opened client: %v, want ErrClosed", err)
	}
}

// A master that dies does not keep the client from the others' slots, and once
// the cluster has given its slots away the client finds them within seconds.
func TestClusterClientLeavesADeadNode(t *testing.T) {
	t.Parallel()
	cluster := redistest.NewCluster(t)
	for _, n := range cluster.Nodes {
		n.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no")
	}
	c := open(t, redisclient.Config{StartupNodes: cluster.Addrs()})
	ctx := t.Context()
	slot := c.ClusterKeySlot(ctx, "key").Val()
	owner := 0
	for i, n := range cluster.Nodes {
		if n.Client(t).Exists(ctx, "key").Err() == nil {
			owner = i
		}
	}
	heir := cluster.Nodes[(owner+1)%3].Client(t)
	if err := c.Set(ctx, "key", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	cluster.Nodes[owner].Stop()
	if err := c.Get(ctx, "key").Err(); err == nil {
		t.Fatal("a dead node answered")
	}
	id := heir.ClusterMyID(ctx).Val()
	for i, n := range cluster.Nodes {
		if i != owner {
			if err := n.Client(t).Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", id).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin := time.Now()
	eventually(t, "the new owner", func() bool { return c.Set(ctx, "key", "v", 0).Err() == nil })
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("found after %v", took)
	}
}

// freeAddr is an address where nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
