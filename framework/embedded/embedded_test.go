package embedded

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server that ends with the test.
func start(t *testing.T) *Server {
	t.Helper()
	s, err := Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// dial connects a client that ends with the test.
func dial(t *testing.T, s *Server) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	opt.DisableIdentity = true
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until ok holds, and fails the test after ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for limit := time.After(10 * time.Second); !ok(); {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("%s did not happen within 10 s", what)
		}
	}
}

// A key with a time to live goes away by itself, about when it should, and one
// without stays.
func TestTimesToLiveRun(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), dial(t, start(t))
	began := time.Now()
	if err := c.Set(ctx, "short", "x", time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, "kept", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "expiry", func() bool { return c.Exists(ctx, "short").Val() == 0 })
	if d := time.Since(began); d < time.Second-2*tick {
		t.Errorf("a key of 1 s was gone after %v", d)
	}
	if c.Exists(ctx, "kept").Val() != 1 {
		t.Error("a key without a time to live is gone")
	}
}

// What one client writes another reads, over TCP, through the address that the
// server names: that is how `enqueue` reaches `worker run --embedded`.
func TestSecondClientReachesIt(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), start(t)
	if err := dial(t, s).RPush(ctx, "list", "a").Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := dial(t, s).LPop(ctx, "list").Result(); err != nil || got != "a" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// A push inside a script wakes a client that already sleeps: the moves rely on it.
// Not parallel: it looks for the one blocked client of the process.
func TestScriptWakesBlockedClient(t *testing.T) {
	ctx, s := t.Context(), start(t)
	c, waiter := dial(t, s), dial(t, s)
	woken := make(chan error, 1)
	go func() { woken <- waiter.Do(ctx, "BLMOVE", "ready", "arrivals", "LEFT", "RIGHT", "0").Err() }()
	eventually(t, "a blocked client", clientBlocks)
	push := redis.NewScript(`return redis.call('RPUSH', KEYS[1], 'job')`)
	if err := push.Run(ctx, c, []string{"ready"}).Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-woken:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the waiter still sleeps")
	}
}

// clientBlocks reports whether a server of this process holds a blocked client.
// miniredis has no command that tells, but its goroutine does.
func clientBlocks() bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Contains(stacks, []byte("miniredis/v2.blocking("))
}

// A taken address is an error that keeps its cause and says both ways out.
func TestAddressTaken(t *testing.T) {
	t.Parallel()
	first := start(t)
	second, err := Start(first.Addr())
	if err == nil {
		second.Close()
		t.Fatal("two servers on one address")
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("cause lost: %v", err)
	}
	for _, want := range []string{first.Addr(), "leave --embedded out", "--redis redis://"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}

// The server has no password, so no other machine may reach it; nonsense is
// told apart from a bad address.
func TestRefusesOtherAddresses(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"0.0.0.0:0":         "not a loopback",
		":0":                "not a loopback",
		"[::]:0":            "not a loopback",
		"192.0.2.7:6379":    "not a loopback",
		"redis.example:0":   "not a loopback",
		"127.0.0.1":         "not host:port",
		"127.0.0.1:1:2":     "not host:port",
		"127.0.0.1:notport": "listen on",
	} {
		s, err := Start(addr)
		if err == nil {
			s.Close()
			t.Errorf("%s was accepted", addr)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q in: %v", addr, want, err)
		}
	}
}

// localhost, which stands in the default redis.url, is loopback.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	s, err := Start("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := dial(t, s).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

// Close frees the address and ends even a client that blocks for ever; twice is
// harmless. That no goroutine is left is TestMain's word. Not parallel: as above.
func TestCloseEndsEverything(t *testing.T) {
	s, err := Start("")
	if err != nil {
		t.Fatal(err)
	}
	waiter := dial(t, s)
	ended := make(chan error, 1)
	go func() { ended <- waiter.Do(t.Context(), "BLMOVE", "a", "b", "LEFT", "RIGHT", "0").Err() }()
	eventually(t, "a blocked client", clientBlocks)
	within(t, s.Close)
	within(t, s.Close)
	within(t, func() { err = <-ended })
	if err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("the blocked client got an answer: %v", err)
	}
	again, err := Start(s.Addr())
	if err != nil {
		t.Fatalf("the address is still taken: %v", err)
	}
	again.Close()
}

// within fails the test when f takes ten seconds.
func within(t *testing.T, f func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	go func() { f(); cancel() }()
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatal("still not closed after 10 s")
	}
}
