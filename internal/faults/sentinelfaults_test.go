package faults

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

// sentinel is a master with a replica and three sentinels.
func sentinel(t *testing.T, binary string) site {
	s := redistest.SentinelWith(t, redistest.SentinelOptions{
		Node: redistest.Options{Binary: binary, Args: ownRules},
	})
	admin := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: s.Name, SentinelAddrs: s.Addrs(), ClientName: ownName, Username: ownUser, Password: ownPassword,
		DisableIdentity: true, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = admin.Close() })
	return site{
		name:   "Sentinel",
		config: redisclient.Config{Sentinel: redisclient.SentinelConfig{Master: s.Name, Addresses: s.Addrs()}},
		admin:  admin, servers: s.Nodes, sentinel: s,
		masters: func(ctx context.Context, f func(context.Context, *redis.Client) error) error { return f(ctx, admin) },
	}
}

// sentinelFaults strike the master that sentinels watch. Both kinds of failover
// may lose what the new master had not yet been sent: unlike that of a cluster,
// the one by order does not wait for it, and the old master takes writes, which
// are lost, until it hears that it is one no longer.
func sentinelFaults() []fault {
	on := []opener{sentinel}
	const slack = 4 * time.Second // until the sentinels agree
	return []fault{
		{name: "Sentinel failover, the master is killed", sites: on, noStalls: true, slack: slack, loses: "the last moment", do: func(r *rig) {
			s := r.site.sentinel
			old := s.Master(r)
			r.failover(old.Kill, func() { s.WaitOther(r, old) })
			old.Restart(r)
			s.WaitReplicas(r)
		}},
		{name: "Sentinel failover by order", sites: on, noStalls: true, slack: slack, loses: "the last moment", do: func(r *rig) {
			r.failover(func() { r.site.sentinel.Failover(r) }, func() { r.site.sentinel.WaitReplicas(r) })
		}},
	}
}

// failover is one that may lose the last moment. Its recovery is the longest time
// without a run, because it is over for each worker when that worker knows.
func (r *rig) failover(begin, await func()) {
	began := time.Now()
	begin()
	await()
	from := began.Add(-time.Second).UnixMicro()
	r.lost(from)
	r.hit(0, from)
	r.Logf("the replica took over after %v", time.Since(began))
	r.last(r.lease)
	r.tell(Event{Type: Gap, Job: int(time.Since(began).Milliseconds())})
}
