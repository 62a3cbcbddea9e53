package redistest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
)

func proxied(t *testing.T) (*redistest.Server, *redistest.Proxy, *redis.Client) {
	s := redistest.StandaloneWith(t, redistest.Options{Proxy: true})
	client := over(t, s.Addr())
	if err := client.Set(t.Context(), "n", 0, 0).Err(); err != nil {
		t.Fatal(err)
	}
	return s, s.Proxy(), client
}

// What passes an idle proxy is what was sent, pushes, big values and pipelines
// included.
func TestProxyPasses(t *testing.T) {
	t.Parallel()
	_, _, client := proxied(t)
	ctx, big := t.Context(), string(make([]byte, 1<<20))
	sub := client.Subscribe(ctx, "c")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	pipe := client.Pipeline()
	for range 1000 {
		pipe.Incr(ctx, "n")
	}
	pipe.HSet(ctx, "h", "a", big, "b", "")
	all := pipe.HGetAll(ctx, "h")
	pipe.Publish(ctx, "c", "hello")
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	if h := all.Val(); h["a"] != big || len(h) != 2 {
		t.Errorf("%d fields, the first of %d bytes", len(h), len(h["a"]))
	}
	if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != "hello" {
		t.Errorf("message %v, %v", m, err)
	}
	if got := client.Get(ctx, "n").Val(); got != "1000" {
		t.Errorf("n is %s, want 1000", got)
	}
}

// The reply to one command is lost, and no other: it ran, those before it were
// answered, and its sender sees a broken connection.
func TestProxySwallowsOneReply(t *testing.T) {
	t.Parallel()
	s, p, client := proxied(t)
	ctx := t.Context()
	lost := p.SwallowReply(2, redistest.Command("incr"))
	pipe := client.Pipeline()
	first, get, second := pipe.Incr(ctx, "n"), pipe.Get(ctx, "n"), pipe.Incr(ctx, "n")
	if _, err := pipe.Exec(ctx); err == nil {
		t.Error("the pipeline was answered whole")
	}
	<-lost
	if first.Val() != 1 || get.Val() != "1" || second.Err() == nil {
		t.Errorf("got %v, %v, %v", first, get, second)
	}
	if got := s.Client(t).Get(ctx, "n").Val(); got != "2" {
		t.Errorf("n is %s, want 2: the command was to run", got)
	}
	if got, err := client.Incr(ctx, "n").Result(); got != 3 || err != nil {
		t.Errorf("afterwards: %d, %v", got, err)
	}
}

// All replies are lost until it is over; all commands run.
func TestProxySwallowsReplies(t *testing.T) {
	t.Parallel()
	s, p, client := proxied(t)
	ctx := t.Context()
	p.SwallowReplies(true)
	if err := client.Incr(ctx, "n").Err(); err == nil {
		t.Error("a reply came through")
	}
	if got := s.Client(t).Get(ctx, "n").Val(); got != "1" {
		t.Errorf("n is %s, want 1", got)
	}
	p.Heal()
	if err := client.Incr(ctx, "n").Err(); err != nil {
		t.Error(err)
	}
}

// In a black hole connections stand and nothing comes; afterwards it does.
func TestProxyBlackHole(t *testing.T) {
	t.Parallel()
	s, p, client := proxied(t)
	ctx := t.Context()
	p.BlackHole(true)
	if err := client.Ping(impatient(t)).Err(); !isTimeout(err) {
		t.Errorf("in the hole: %v, want a timeout", err)
	}
	answer := make(chan error, 1)
	go func() { answer <- client.Incr(ctx, "n").Err() }()
	if got := s.Client(t).Get(ctx, "n").Val(); got != "0" {
		t.Errorf("n is %s, want 0: nothing was to arrive", got)
	}
	select {
	case err := <-answer:
		t.Errorf("an answer in the hole: %v", err)
	default:
	}
	p.BlackHole(false)
	if err := <-answer; err != nil {
		t.Errorf("after the hole: %v", err)
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Latency adds up to a round trip, not per command of a pipeline.
func TestProxyDelay(t *testing.T) {
	t.Parallel()
	_, p, client := proxied(t)
	ctx := t.Context()
	p.Delay(100*time.Millisecond, 20*time.Millisecond)
	pipe := client.Pipeline()
	for range 50 {
		pipe.Incr(ctx, "n")
	}
	begin := time.Now()
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 160*time.Millisecond || took > 2*time.Second {
		t.Errorf("a round trip took %v, want 200 ms", took)
	}
}

// Cut ends connections and lets new ones in; Down does not let them in, as with
// a killed server.
func TestProxyCutAndDown(t *testing.T) {
	t.Parallel()
	s, p, client := proxied(t)
	ctx := t.Context()
	if n := p.Cut(); n != 1 {
		t.Errorf("%d connections cut, want 1", n)
	}
	eventually(t, "a new connection", func() error { return client.Ping(ctx).Err() })
	for _, gone := range []struct{ down, up func() }{
		{p.Down, func() {
			if err := p.Up(); err != nil {
				t.Fatal(err)
			}
		}},
		{s.Kill, func() { s.Restart(t) }},
	} {
		gone.down()
		if err := over(t, p.Addr()).Ping(ctx).Err(); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("while down: %v, want connection refused", err)
		}
		gone.up()
		eventually(t, "a connection after it is up", func() error { return client.Ping(ctx).Err() })
	}
}
