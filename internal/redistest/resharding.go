package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Master is the node that serves a key now, as the nodes that answer agree.
func (c *Cluster) Master(t testing.TB, key string) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var owner *Server
	err := poll(ctx, nil, func() (err error) {
		owner, err = c.owner(ctx, key)
		return err
	})
	if err != nil {
		t.Fatalf("find the master of %s: %v", key, err)
	}
	return owner
}

// owner asks each node whether it serves the key.
func (c *Cluster) owner(ctx context.Context, key string) (*Server, error) {
	var errs []error
	for _, s := range c.Nodes {
		err := owns(ctx, s, key)
		if err == nil {
			return s, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.Addr(), err))
	}
	return nil, errors.Join(errs...)
}

// owns is nil if the node takes itself for the master of the key's slot. A
// paused or dead one is not waited for.
func owns(ctx context.Context, s *Server, key string) error {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	client := s.client()
	defer client.Close()
	pipe := client.Pipeline()
	id, slot, ranges := pipe.ClusterMyID(ctx), pipe.ClusterKeySlot(ctx, key), pipe.ClusterSlots(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for _, r := range ranges.Val() {
		if int64(r.Start) <= slot.Val() && slot.Val() <= int64(r.End) && r.Nodes[0].ID == id.Val() {
			return nil
		}
	}
	return errors.New("not its master")
}

// Replicas are the nodes that replicate a master now.
func (c *Cluster) Replicas(t testing.TB, master *Server) []*Server {
	t.Helper()
	client := master.Client(t)
	id, err := client.ClusterMyID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := clusterSlots(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	var all []*Server
	for _, r := range ranges {
		if len(r.Nodes) == 0 || r.Nodes[0].ID != id {
			continue
		}
		for _, n := range r.Nodes[1:] {
			all = append(all, c.at(n.Addr))
		}
		break
	}
	return all
}

// at is the node of an address that clients are told.
func (c *Cluster) at(addr string) *Server {
	for _, s := range c.Nodes {
		if s.Addr() == addr {
			return s
		}
	}
	return nil
}

// Failover hands the slots of a key's master to a replica of it, in agreement
// with the master, and returns the new one when it serves.
func (c *Cluster) Failover(t testing.TB, key string) *Server {
	t.Helper()
	c.WaitOK(t)
	replicas := c.Replicas(t, c.Master(t, key))
	if len(replicas) == 0 {
		t.Fatalf("fail over the master of %s: it has no replica", key)
	}
	next := replicas[0]
	next.WaitLinked(t)
	if err := next.Client(t).ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	c.WaitOwner(t, key, next)
	return next
}

// WaitOwner waits until a node serves a key.
func (c *Cluster) WaitOwner(t testing.TB, key string, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, nil, func() error { return owns(ctx, s, key) }); err != nil {
		t.Fatalf("wait until %s serves %s: %v", s.Addr(), key, err)
	}
}

// WaitOK waits until every node that runs says cluster_state:ok, and they agree
// on who serves and replicates what.
func (c *Cluster) WaitOK(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, nil, func() error { return c.ok(ctx) }); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) ok(ctx context.Context) error {
	var first string
	for _, s := range c.Nodes {
		if !s.runs() {
			continue
		}
		view, err := s.view(ctx)
		if err != nil {
			return fmt.Errorf("node %s: %w", s.Addr(), err)
		}
		if first == "" {
			first = view
		}
		if view != first {
			return fmt.Errorf("nodes disagree: %s and %s", first, view)
		}
	}
	return nil
}

// Migration is a slot on its way from one master to another.
type Migration struct {
	From, To *Server
	slot     int64
	c        *Cluster
}

// Migrate begins to move a key's slot to another master. From then on the old
// owner answers ASK for keys that it no longer has, and TRYAGAIN for several of
// which it has some. Nothing moves before Move.
func (c *Cluster) Migrate(t testing.TB, key string) *Migration {
	t.Helper()
	m := &Migration{c: c, From: c.Master(t, key)}
	for _, other := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // of all three thirds
		if m.To = c.Master(t, other); m.To != m.From {
			break
		}
	}
	from, to := m.From.Client(t), m.To.Client(t)
	m.slot = from.ClusterKeySlot(t.Context(), key).Val()
	m.set(t, to, "IMPORTING", from.ClusterMyID(t.Context()).Val())
	m.set(t, from, "MIGRATING", to.ClusterMyID(t.Context()).Val())
	return m
}

func (m *Migration) set(t testing.TB, node *redis.Client, how ...any) {
	t.Helper()
	if err := node.Do(t.Context(), append([]any{"CLUSTER", "SETSLOT", m.slot}, how...)...).Err(); err != nil {
		t.Fatalf("move slot %d: %v", m.slot, err)
	}
}

// Move moves up to n keys of the slot, all of them if n is negative, and returns
// their names.
func (m *Migration) Move(t testing.TB, n int) []string {
	t.Helper()
	if n < 0 {
		n = 1 << 20
	}
	from := m.From.Client(t)
	keys, err := from.ClusterGetKeysInSlot(t.Context(), int(m.slot), n).Result()
	if err != nil {
		t.Fatal(err)
	}
	m.MoveKeys(t, keys...)
	return keys
}

// MoveKeys moves these keys of the slot. One that is not there is left out.
func (m *Migration) MoveKeys(t testing.TB, keys ...string) {
	t.Helper()
	host, port := "127.0.0.1", strconv.Itoa(m.To.p.port)
	from := m.From.Client(t)
	for _, key := range keys {
		args := []any{"MIGRATE", host, port, key, 0, 5000}
		if pw := m.To.o.Password; pw != "" {
			args = append(args, "AUTH", pw)
		}
		if err := from.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("MIGRATE %s to %s: %v", key, net.JoinHostPort(host, port), err)
		}
	}
}

// Finish moves the rest and gives the slot to its new owner. Keys that are
// written meanwhile go to the new owner already.
func (m *Migration) Finish(t testing.TB) {
	t.Helper()
	m.Move(t, -1)
	id := m.To.Client(t).ClusterMyID(t.Context()).Val()
	m.set(t, m.To.Client(t), "NODE", id)
	m.set(t, m.From.Client(t), "NODE", id)
	m.c.WaitOK(t)
}
