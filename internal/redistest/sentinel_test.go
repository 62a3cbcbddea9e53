package redistest_test

import (
	"testing"

	"github.com/colonyq/colony/internal/redistest"
)

// Sentinels promote a replica when the master dies and when they are asked to,
// behind proxies and over TLS too; a client follows, and the old master comes
// back as a replica.
func TestSentinel(t *testing.T) {
	t.Parallel()
	for name, node := range map[string]redistest.Options{
		"plain":   {AOF: true},
		"proxied": {Proxy: true, Password: "hush"},
		"tls":     {TLS: redistest.NewCertificates(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.SentinelWith(t, redistest.SentinelOptions{Node: node})
			client := s.Client(t)
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			old := s.Master(t)
			if old != s.Nodes[0] {
				t.Fatal("the first node is not the master")
			}
			old.Kill()
			next := s.WaitOther(t, old)
			if next != s.Nodes[1] {
				t.Error("somebody else than the replica was promoted")
			}
			eventually(t, "a write by a client", func() error { return client.Set(t.Context(), "k", "w", 0).Err() })
			old.Restart(t)
			s.WaitReplicas(t)
			if third := s.Failover(t); third != old {
				t.Errorf("the failover led to %s, want %s", third.Addr(), old.Addr())
			}
			s.WaitReplicas(t)
			eventually(t, "a read by a client", func() error { return client.Get(t.Context(), "k").Err() })
			sentinel := s.Sentinels[2]
			sentinel.Kill()
			sentinel.Restart(t)
			if s.Master(t) != old {
				t.Error("a sentinel that came back changed the master")
			}
			s.Stop()
			mustBeGone(t, sentinel.PID(), sentinel.Dir())
		})
	}
}
