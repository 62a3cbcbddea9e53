package redistest_test

import (
	"cmp"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
)

func TestMain(m *testing.M) {
	os.Exit(redistest.Main(m))
}

// A server is reached over TCP, by URL and over its socket, and after Stop
// neither its process nor its directory is there.
func TestStandalone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.Standalone(t)
	if err := s.Client(t).Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	byURL := redis.NewClient(o)
	defer byURL.Close()
	if got := byURL.Get(ctx, "k").Val(); got != "v" || o.Addr != s.Addr() {
		t.Errorf("over %s: got %q, want v", s.URL(), got)
	}
	if info := byURL.Info(ctx, "persistence").Val(); !strings.Contains(info, "aof_enabled:0") {
		t.Errorf("the server keeps an append-only file:\n%s", info)
	}
	s.Stop()
	s.Stop()
	mustBeGone(t, s.PID(), s.Dir())
}

// A password is needed where one was set, and a full server refuses writes.
func TestOptions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := redistest.StandaloneWith(t, redistest.Options{Password: "hush", MaxMemory: "100kb", Args: []string{"--hz", "50"}})
	stranger := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer stranger.Close()
	if err := stranger.Ping(ctx).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v, want NOAUTH", err)
	}
	client := s.Client(t)
	if got := client.ConfigGet(ctx, "hz").Val()["hz"]; got != "50" {
		t.Errorf("hz is %q, want 50", got)
	}
	if err := client.Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Errorf("SET on a server of 100kb: %v, want OOM", err)
	}
}

// A cluster serves keys of every node, and refuses what spans two slots.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := redistest.NewCluster(t)
	client := c.Client(t)
	for _, key := range []string{"{a}1", "{b}1", "{c}1", "{d}1", "{e}1"} {
		if err := client.Set(ctx, key, "v", 0).Err(); err != nil {
			t.Errorf("SET %s: %v", key, err)
		}
	}
	var mu sync.Mutex
	used := 0
	err := client.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		if m.DBSize(ctx).Val() > 0 {
			used++
		}
		return nil
	})
	if err != nil || used != 3 {
		t.Errorf("%d masters hold keys, want 3 (%v)", used, err)
	}
	if err := client.MGet(ctx, "{a}1", "{b}1").Err(); err == nil || !strings.Contains(err.Error(), "CROSSSLOT") {
		t.Errorf("MGET over two slots: %v, want CROSSSLOT", err)
	}
	c.Stop()
	for _, s := range c.Nodes {
		mustBeGone(t, s.PID(), s.Dir())
	}
}

// Each reaches all three targets, a further client sees what the first wrote,
// and Need skips where a feature is missing, with the reason.
func TestEach(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	t.Run("targets", func(t *testing.T) {
		redistest.Each(t, func(t *testing.T, target redistest.Target) {
			key := redistest.Namespace(t) + ":k"
			if err := target.Client.Set(t.Context(), key, "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if got := target.NewClient(t).Get(t.Context(), key).Val(); got != "v" {
				t.Errorf("a second client reads %q, want v", got)
			}
			t.Run("unblock", func(t *testing.T) {
				target.Need(t, redistest.ClientUnblock)
				if target.Name == "embedded" {
					t.Error("Need let the embedded server through")
				}
			})
			mu.Lock()
			defer mu.Unlock()
			seen[target.Name] = true
		})
	})
	if len(seen) != 3 || !seen["standalone"] || !seen["cluster"] || !seen["embedded"] {
		t.Errorf("targets %v, want standalone, cluster and embedded", seen)
	}
}

// Each takes in the servers that REDIS_SERVERS names, in subtests named after
// them, and EachSentinel does so too.
func TestEachBinary(t *testing.T) {
	path, err := exec.LookPath(cmp.Or(os.Getenv("REDIS_SERVER"), "redis-server"))
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other-server")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexec '"+path+"' \"$@\" --hz 77\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_SERVERS", other)
	var mu sync.Mutex
	seen := map[string]string{}
	note := func(t *testing.T, target redistest.Target) {
		hz := "none"
		if _, lacks := target.Features[redistest.Config]; !lacks {
			hz = target.Client.ConfigGet(t.Context(), "hz").Val()["hz"]
		}
		mu.Lock()
		defer mu.Unlock()
		seen[filepath.Base(t.Name())] = hz
	}
	t.Run("each", func(t *testing.T) { redistest.Each(t, note) })
	t.Run("sentinel", func(t *testing.T) { redistest.EachSentinel(t, note) })
	want := map[string]string{
		"standalone": "10", "cluster": "10", "sentinel": "10", "embedded": "none",
		"standalone-other-server": "77", "cluster-other-server": "77", "sentinel-other-server": "77",
	}
	if !maps.Equal(seen, want) {
		t.Errorf("got %v\nwant %v", seen, want)
	}
}

// Expiry times run on the embedded server without anybody's help.
func TestEmbeddedClock(t *testing.T) {
	t.Parallel()
	client := redistest.Embedded(t).Client(t)
	if err := client.Set(t.Context(), "k", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); client.Exists(ctx, "k").Val() == 1; <-tick {
	}
	if err := ctx.Err(); err != nil {
		t.Error("the key outlived its TTL of 300ms by seconds")
	}
}

// Two namespaces never meet, not even of one test, and hold no character that
// means something in a key.
func TestNamespace(t *testing.T) {
	t.Run("odd {name}:*/ü", func(t *testing.T) {
		a, b := redistest.Namespace(t), redistest.Namespace(t)
		if a == b {
			t.Errorf("got %q twice", a)
		}
		if strings.ContainsAny(a, "{}:*/ ü") {
			t.Errorf("%q holds a character with a meaning", a)
		}
	})
}
