package redisclient_test

import (
	"strings"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

func sentinelConfig(s *redistest.Sentinel) redisclient.Config {
	return redisclient.Config{Sentinel: redisclient.SentinelConfig{Master: s.Name, Addresses: s.Addrs()}}
}

// Behind sentinels the client works at the master, and follows it: when it dies,
// and when they promote another one while it lives. A Waiter does so, too.
func TestSentinelFollowsTheMaster(t *testing.T) {
	t.Parallel()
	s := redistest.NewSentinel(t)
	c := open(t, sentinelConfig(s))
	if c.Mode() != redisclient.Sentinel || c.IsCluster() || !strings.Contains(c.Address(), s.Name) {
		t.Errorf("mode %s, address %s", c.Mode(), c.Address())
	}
	key, build := blmove("q")
	old := s.Master(t)
	followsTheMaster(t, c, key, build, func() {
		old.Kill()
		s.WaitOther(t, old)
	})
	old.Restart(t)
	s.WaitReplicas(t)
	followsTheMaster(t, c, key, build, func() { s.Failover(t) })
}

// Open rides out a failover: begun while the master is dead, it succeeds when
// another one is there.
func TestOpenDuringAFailover(t *testing.T) {
	t.Parallel()
	s := redistest.NewSentinel(t)
	s.Master(t).Kill()
	c := open(t, sentinelConfig(s))
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
}

// Open says what is wrong with what the config says of sentinels.
func TestSentinelMistakes(t *testing.T) {
	t.Parallel()
	s := redistest.SharedSentinel(t)
	unknown, server := sentinelConfig(s), sentinelConfig(s)
	unknown.Sentinel.Master = "elsewhere"
	server.Sentinel.Addresses = []string{s.Nodes[0].Addr()}
	gone := redisclient.Config{Sentinel: redisclient.SentinelConfig{Master: "m", Addresses: []string{freeAddr(t)}}}
	for want, c := range map[string]redisclient.Config{
		"correct redis.sentinel.master": unknown,
		"must be those of sentinels":    server,
		"does not answer":               gone,
	} {
		begin := time.Now()
		client, err := redisclient.Open(t.Context(), c)
		if err == nil {
			_ = client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want … %s …", err, want)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%s: took %v", want, took)
		}
	}
}
