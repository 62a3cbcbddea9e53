package redistest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// shared are the servers that all tests of one binary use, started by the first
// test that asks. They would end with the binary anyway; Main sees to it that
// they are gone before it exits.
var shared struct {
	sync.Mutex
	server  *Server
	cluster *Cluster
	closed  bool
}

// Shared returns the one server that all tests of this binary share. Keep to a
// Namespace, and never flush, stop or configure it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.closed {
		t.Fatal(errStopped)
	}
	if shared.server == nil {
		s, err := newServer(Options{})
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// SharedCluster returns the one cluster that all tests of this binary share.
func SharedCluster(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.closed {
		t.Fatal(errStopped)
	}
	if shared.cluster == nil {
		c, err := launchCluster(ClusterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shared.cluster = c
	}
	return shared.cluster
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
	if shared.server != nil {
		shared.server.Stop()
	}
	if shared.cluster != nil {
		shared.cluster.Stop()
	}
}
