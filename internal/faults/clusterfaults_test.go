package faults

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

const nodeTimeout = 2 * time.Second

// cluster is three masters with a replica each.
func cluster(t *testing.T, binary string) site {
	c := redistest.ClusterWith(t, redistest.ClusterOptions{
		Replicas: 1, NodeTimeout: nodeTimeout, Node: redistest.Options{Binary: binary, Args: ownRules},
	})
	admin := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(), ClientName: ownName, Username: ownUser, Password: ownPassword,
		DisableIdentity: true, ContextTimeoutEnabled: true, ClusterStateReloadInterval: time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = admin.Close() })
	yes := true
	return site{
		name: "cluster", config: redisclient.Config{IsColony: &yes, URL: "redis://" + c.Addrs()[0], StartupNodes: c.Addrs()},
		admin: admin, servers: c.Nodes, cluster: c,
		masters: func(ctx context.Context, f func(context.Context, *redis.Client) error) error {
			return admin.ForEachMaster(ctx, f)
		},
	}
}

// clusterFaults strike the nodes of a cluster.
func clusterFaults() []fault {
	on := []opener{cluster}
	return []fault{
		{name: "cluster master killed, a replica takes over", sites: on, noStalls: true, slack: nodeTimeout + 2*time.Second, loses: "the last moment", do: killMaster},
		{name: "manual failover", sites: on, noStalls: true, do: func(r *rig) {
			r.site.cluster.Failover(r, r.keys.Ready)
			r.tell(Event{Type: Healed})
		}},
		{name: "slot migrated under load", sites: on, noStalls: true, do: func(r *rig) { r.migrate(300 * time.Millisecond) }},
		{name: "slot left half-way for longer than the lease", sites: on, noStalls: true, do: func(r *rig) {
			from := Now()
			r.migrate(2 * r.lease)
			r.hit(0, from)
		}},
	}
}

func killMaster(r *rig) {
	c := r.site.cluster
	master := c.Master(r, r.keys.Ready)
	heir := c.Replicas(r, master)[0]
	r.failover(master.Kill, func() { c.WaitOwner(r, r.keys.Ready, heir) })
	master.Restart(r)
	c.WaitOK(r)
}

// migrate moves half of the slot's keys, waits, and moves the rest.
func (r *rig) migrate(halfway time.Duration) {
	m := r.site.cluster.Migrate(r, r.keys.Ready)
	r.Logf("moved %v", m.Move(r, 3))
	r.last(halfway)
	m.Finish(r)
	r.tell(Event{Type: Healed})
}
