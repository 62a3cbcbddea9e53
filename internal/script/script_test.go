package script

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/colonyq/colony/internal/redistest"
)

var files = fstest.MapFS{
	"add.lua":  {Data: []byte("-- include: lib.lua\n-- include: lib.lua\nreturn add(KEYS[1], ARGV[1])")},
	"lib.lua":  {Data: []byte("local function add(k, n) return redis.call('INCRBY', k, n) end")},
	"lost.lua": {Data: []byte("-- include: missing.lua\n")},
}

// A server that forgot its scripts is taught again, and the script runs once.
func TestForgottenScriptIsLoaded(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		ctx, key := context.Background(), redistest.Namespace(t)
		s := New("add.lua", files)
		for want := int64(1); want <= 3; want++ {
			got, err := s.Run(ctx, target.Client, []string{key}, 1)
			if err != nil || got != want {
				t.Fatalf("run %d: got %v, %v", want, got, err)
			}
			if err := target.Client.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A script whose reply was lost is not sent again behind the caller's back: only
// the caller knows whether a second run is harmless.
func TestLostReplyIsNotRetried(t *testing.T) {
	server := redistest.Standalone(t)
	var deaf atomic.Bool
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: server.Socket(), DisableIdentity: true, MaxRetries: 3,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return &deafConn{Conn: c, deaf: &deaf}, err
		}})
	defer func() { _ = client.Close() }()
	ctx := context.Background()
	s := New("add.lua", files)
	if _, err := s.Run(ctx, client, []string{"n"}, 1); err != nil {
		t.Fatal(err)
	}
	deaf.Store(true)
	if _, err := s.Run(ctx, client, []string{"n"}, 1); err == nil {
		t.Fatal("a lost reply was reported as success")
	}
	if got := server.Client(t).Get(ctx, "n").Val(); got != "2" {
		t.Fatalf("the script ran until %s, want 2", got)
	}
}

// deafConn loses the reply to the next command and is cut with it.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() && err == nil {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// A script that is not embedded is a programming error, and names the file.
func TestMissingFile(t *testing.T) {
	defer func() {
		if got, _ := recover().(string); !strings.Contains(got, "missing.lua") {
			t.Fatalf("got %q", got)
		}
	}()
	_, _ = New("lost.lua", files).Run(context.Background(), nil, nil)
}
