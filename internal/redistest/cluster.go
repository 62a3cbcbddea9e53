package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"
)

const (
	masters = 3
	slots   = 16384
)

// Cluster is a Redis Cluster of three masters without replicas.
type Cluster struct{ Nodes []*Server }

// NewCluster starts a cluster that lives as long as the test. It returns when
// every node says cluster_state:ok and knows the others.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := launchCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func launchCluster() (*Cluster, error) {
	c := &Cluster{Nodes: make([]*Server, masters)}
	var g errgroup.Group
	for i := range c.Nodes {
		g.Go(func() error {
			p, err := launch("", []string{"--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1",
				"--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "15000"})
			if err == nil {
				c.Nodes[i] = &Server{p}
			}
			return err
		})
	}
	err := g.Wait()
	if err == nil {
		err = c.form()
	}
	if err != nil {
		c.Stop()
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	return c, nil
}

// form gives each node its share of the slots, introduces them to each other
// and waits until all of them have heard of all.
func (c *Cluster) form() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var g errgroup.Group
	for i, s := range c.Nodes {
		g.Go(func() error {
			client := redis.NewClient(clientOptions(s.Socket(), ""))
			defer client.Close()
			if err := c.introduce(ctx, client, i); err != nil {
				return err
			}
			return poll(ctx, s.p.exited, func() error { return agreed(ctx, client) })
		})
	}
	return g.Wait()
}

func (c *Cluster) introduce(ctx context.Context, client *redis.Client, i int) error {
	first, last := i*slots/masters, (i+1)*slots/masters-1
	// Epochs that differ from the start spare the nodes a round of votes.
	err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()
	if err == nil {
		err = client.ClusterAddSlotsRange(ctx, first, last).Err()
	}
	for _, other := range c.Nodes {
		if err == nil && other != c.Nodes[i] {
			err = client.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(other.p.port)).Err()
		}
	}
	return err
}

// agreed is nil once the node counts all slots as served and names an owner for
// each range with the address that clients are to use.
func agreed(ctx context.Context, client *redis.Client) error {
	info, err := client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	for _, want := range []string{"cluster_state:ok", "cluster_known_nodes:3\r", "cluster_size:3\r"} {
		if !strings.Contains(info, want) {
			return fmt.Errorf("no %q in CLUSTER INFO:\n%s", want, info)
		}
	}
	ranges, err := client.ClusterSlots(ctx).Result()
	if err == nil && len(ranges) != masters {
		err = fmt.Errorf("%d ranges in CLUSTER SLOTS, want %d", len(ranges), masters)
	}
	return err
}

// Addrs are the host:port of every node.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, s := range c.Nodes {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Client returns a cluster client that is closed after the test.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                    c.Addrs(),
		DisableIdentity:          true,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Stop kills all nodes and returns when they are gone. Safe twice.
func (c *Cluster) Stop() {
	for _, s := range c.Nodes {
		if s != nil {
			s.Stop()
		}
	}
}

// errStopped is the answer of shared servers after Main stopped them.
var errStopped = errors.New("redistest: the shared servers are stopped already: Main has returned")
