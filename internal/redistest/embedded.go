package redistest

import (
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// EmbeddedServer is a miniredis whose clock runs.
type EmbeddedServer struct{ m *miniredis.Miniredis }

// Embedded starts an in-process server that lives as long as the test. Expiry
// times run in steps of 100 ms, as in the server that users embed.
func Embedded(t testing.TB) *EmbeddedServer {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() { runClock(m, stop) })
	t.Cleanup(func() {
		close(stop)
		clock.Wait()
		m.Close()
	})
	return &EmbeddedServer{m}
}

func runClock(m *miniredis.Miniredis, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			now := time.Now()
			m.FastForward(now.Sub(last))
			last = now
		}
	}
}

// URL is redis://… of the server.
func (e *EmbeddedServer) URL() string { return "redis://" + e.Addr() + "/0" }

// Addr is the host:port it listens at.
func (e *EmbeddedServer) Addr() string { return e.m.Addr() }

// Client returns a client that is closed after the test.
func (e *EmbeddedServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	o := clientOptions(e.Addr(), "")
	o.ReadTimeout = 30 * time.Second // it runs one script at a time, slowly, on a machine that may be busy
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
