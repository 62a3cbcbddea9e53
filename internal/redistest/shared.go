package redistest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// shared are the servers that all tests of one binary use, started by the first
// test that asks, by path of the server program. They would end with the binary
// anyway; Main sees to it that they are gone before it exits.
var shared struct {
	sync.Mutex
	servers   map[string]*Server
	clusters  map[string]*Cluster
	sentinels map[string]*Sentinel
	closed    bool
}

// Shared returns the one server that all tests of this binary share. Keep to a
// Namespace, and never flush, stop or configure it.
func Shared(t testing.TB) *Server {
	t.Helper()
	return sharedServer(t, "")
}

// SharedCluster returns the one cluster that all tests of this binary share.
func SharedCluster(t testing.TB) *Cluster {
	t.Helper()
	return sharedCluster(t, "")
}

// SharedSentinel returns the one Sentinel deployment that all tests of this
// binary share.
func SharedSentinel(t testing.TB) *Sentinel {
	t.Helper()
	return sharedSentinel(t, "")
}

func sharedServer(t testing.TB, path string) *Server {
	t.Helper()
	return sharedOf(t, &shared.servers, path, func() (*Server, error) { return newServer(Options{Binary: path}) })
}

func sharedCluster(t testing.TB, path string) *Cluster {
	t.Helper()
	return sharedOf(t, &shared.clusters, path, func() (*Cluster, error) {
		return launchCluster(ClusterOptions{Node: Options{Binary: path}})
	})
}

func sharedSentinel(t testing.TB, path string) *Sentinel {
	t.Helper()
	return sharedOf(t, &shared.sentinels, path, func() (*Sentinel, error) {
		return launchSentinel(SentinelOptions{Node: Options{Binary: path}}.withDefaults())
	})
}

// sharedOf returns what is there, or launches it.
func sharedOf[S any](t testing.TB, all *map[string]S, path string, launch func() (S, error)) S {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.closed {
		t.Fatal(errStopped)
	}
	if s, ok := (*all)[path]; ok {
		return s
	}
	s, err := launch()
	if err != nil {
		t.Fatal(err)
	}
	if *all == nil {
		*all = map[string]S{}
	}
	(*all)[path] = s
	return s
}

// Main runs the tests of a package, stops the shared servers and then looks for
// goroutines that were left behind; it returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
func Main(m *testing.M, ignore ...goleak.Option) int {
	code := m.Run()
	stopShared()
	if code != 0 {
		return code
	}
	if err := goleak.Find(ignore...); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines left after the tests:", err)
		return 1
	}
	return 0
}

func stopShared() {
	shared.Lock()
	defer shared.Unlock()
	shared.closed = true
	for _, s := range shared.servers {
		s.Stop()
	}
	for _, c := range shared.clusters {
		c.Stop()
	}
	for _, s := range shared.sentinels {
		s.Stop()
	}
}
