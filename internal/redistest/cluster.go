package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"
)

const (
	masters = 3
	slots   = 16384
)

// ClusterOptions are those of a cluster. The zero value is three masters
// without replicas that never suspect each other within a test.
type ClusterOptions struct {
	Replicas    int           // of each master
	NodeTimeout time.Duration // after which a node is taken for dead; 0 = 15 s
	Node        Options       // of every node. With Proxy, clients are told the proxies' ports
}

func (o ClusterOptions) withDefaults() ClusterOptions {
	if o.NodeTimeout == 0 {
		o.NodeTimeout = 15 * time.Second
	}
	return o
}

// Cluster is a Redis Cluster of three masters, each with the same number of
// replicas.
type Cluster struct {
	Nodes []*Server // the masters as it began, then replicas: Nodes[i+3] of Nodes[i]
	o     ClusterOptions
}

// NewCluster starts a cluster without replicas that lives as long as the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	return ClusterWith(t, ClusterOptions{})
}

// ClusterWith starts a cluster that lives as long as the test. It returns when
// every node says cluster_state:ok, knows the others, and replicas are in step.
func ClusterWith(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	c, err := launchCluster(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// launchCluster tries twice: a node that a stranger's last words reached, an
// earlier cluster's of another test binary, refuses to join.
func launchCluster(o ClusterOptions) (*Cluster, error) {
	c, err := launchClusterOnce(o.withDefaults())
	if err != nil && strings.Contains(err.Error(), "does not know any other node") {
		return launchClusterOnce(o.withDefaults())
	}
	return c, err
}

func launchClusterOnce(o ClusterOptions) (*Cluster, error) {
	args := []string{"--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1",
		"--cluster-config-file", "nodes.conf", "--cluster-replica-validity-factor", "0",
		"--cluster-allow-replica-migration", "no",
		"--cluster-node-timeout", strconv.FormatInt(o.NodeTimeout.Milliseconds(), 10)}
	if o.Node.TLS != nil {
		args = append(args, "--tls-cluster", "yes")
	}
	c := &Cluster{Nodes: make([]*Server, masters*(1+o.Replicas)), o: o}
	var g errgroup.Group
	for i := range c.Nodes {
		g.Go(func() (err error) {
			c.Nodes[i], err = newServer(o.Node, args...)
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

// form gives each master its share of the slots and each replica its master,
// introduces them to each other and waits until all of them have heard of all.
func (c *Cluster) form() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var g errgroup.Group
	for i := range c.Nodes {
		g.Go(func() error {
			if err := c.introduce(ctx, i); err != nil {
				return err
			}
			return c.agreed(ctx, i)
		})
	}
	return g.Wait()
}

func (c *Cluster) introduce(ctx context.Context, i int) error {
	client := c.Nodes[i].client()
	defer client.Close()
	// Epochs that differ from the start spare the nodes a round of votes.
	err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()
	if err == nil && i < masters {
		err = client.ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err()
	}
	for j, other := range c.Nodes {
		if err == nil && j != i {
			err = client.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(other.p.port)).Err()
		}
	}
	if err != nil || i < masters {
		return err
	}
	return c.follow(ctx, client, c.Nodes[i%masters])
}

// follow makes a node a replica as soon as it knows its master.
func (c *Cluster) follow(ctx context.Context, replica *redis.Client, master *Server) error {
	client := master.client()
	defer client.Close()
	id, err := client.ClusterMyID(ctx).Result()
	if err != nil {
		return err
	}
	return poll(ctx, master.p.now().exited, func() error { return replica.ClusterReplicate(ctx, id).Err() })
}

// agreed waits until node i counts all slots as served and names the owner of
// each, with its replicas, at the address that clients are to use.
func (c *Cluster) agreed(ctx context.Context, i int) error {
	s := c.Nodes[i]
	client := s.client()
	defer client.Close()
	err := poll(ctx, s.p.now().exited, func() error { return c.complete(ctx, client) })
	if err == nil && i >= masters {
		err = s.linked(ctx)
	}
	return err
}

func (c *Cluster) complete(ctx context.Context, client *redis.Client) error {
	info, err := client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	known := fmt.Sprintf("cluster_known_nodes:%d\r", len(c.Nodes))
	for _, want := range []string{"cluster_state:ok", known, "cluster_size:3\r"} {
		if !strings.Contains(info, want) {
			return fmt.Errorf("no %q in CLUSTER INFO:\n%s", want, info)
		}
	}
	ranges, err := clusterSlots(ctx, client)
	if err == nil && len(ranges) != masters {
		err = fmt.Errorf("%d ranges in CLUSTER SLOTS, want %d", len(ranges), masters)
	}
	for _, r := range ranges {
		if len(r.Nodes) != 1+c.o.Replicas {
			return fmt.Errorf("%d nodes for slots %d to %d, want %d", len(r.Nodes), r.Start, r.End, 1+c.o.Replicas)
		}
	}
	return err
}

// clusterSlots is what clients go by; CLUSTER SHARDS, which go-redis would have in
// its place, also lists nodes that they are not to use.
func clusterSlots(ctx context.Context, client *redis.Client) ([]redis.ClusterSlot, error) {
	cmd := redis.NewClusterSlotsCmd(ctx, "CLUSTER", "SLOTS")
	_ = client.Process(ctx, cmd) // the error is the command's
	return cmd.Result()
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
	o := &redis.ClusterOptions{
		Addrs:                    c.Addrs(),
		Password:                 c.o.Node.Password,
		DisableIdentity:          true,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.o.Node.TLS != nil {
		o.TLSConfig = c.o.Node.TLS.Config()
	}
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Stop kills all nodes and returns when they are gone. Safe twice.
func (c *Cluster) Stop() {
	var g errgroup.Group
	for _, s := range c.Nodes {
		if s != nil {
			g.Go(func() error { s.Stop(); return nil })
		}
	}
	_ = g.Wait()
}

// errStopped is the answer of shared servers after Main stopped them.
var errStopped = errors.New("redistest: the shared servers are stopped already: Main has returned")
