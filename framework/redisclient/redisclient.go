// Package redisclient opens the Redis client that the configuration names: one
// standalone server (TCP or Unix socket), the master that Sentinel watches over,
// or a Redis Cluster. The kind of client is chosen by the configuration alone and
// never guessed from how many addresses it lists.
//
// A Client does what the rest of Colony relies on: context deadlines hold, reads
// go to masters only, and nothing is sent on connect that a Redis 7.0 does not
// know. Commands that block run on connections of their own (Waiter), so that
// they never starve the shared pool, and end within milliseconds when their
// context does.
//
// While servers change (a start, a failover, a slot on its way), a command that
// they answer with LOADING, READONLY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN or
// NOREPLICAS was not run, and is sent again for up to five seconds. A cluster is
// looked at anew when a node cannot be dialled.
//
// Passwords never appear in an error, in Address or when a Config is printed.
package redisclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Mode is the kind of deployment a Client talks to.
type Mode string

// The modes.
const (
	Standalone Mode = "standalone"
	Cluster    Mode = "cluster"
	Sentinel   Mode = "sentinel"
)

// Client is a client of a standalone server, of a cluster, or of the master that
// sentinels name. It is safe for concurrent use.
type Client struct {
	redis.UniversalClient

	mode    Mode
	address string
	owned   bool // by Open: Close closes UniversalClient too

	mu      sync.Mutex
	closed  bool
	waiters map[*Waiter]struct{}
}

// Open connects to the server that c names and checks that it answers and is
// what c says it is (see Check). Close the client when done with it.
//
// A server that does not answer is an error that matches ErrUnreachable, after
// two seconds at most (or when ctx ends, if that is earlier). Servers that are in
// the middle of a change, such as a failover, are waited for: for ten seconds.
func Open(ctx context.Context, c Config) (*Client, error) {
	t, err := c.resolve()
	if err != nil {
		return nil, err
	}
	if err := t.secure(); err != nil {
		return nil, err
	}
	if err := t.probe(ctx); err != nil {
		return nil, err
	}
	client := t.client()
	if err := client.checkPatiently(ctx, t.patience()); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// Wrap makes a Client of a client that the caller opened and goes on owning:
// Close leaves it open. It accepts a *redis.Client, a *redis.ClusterClient that
// reads from masters only, and a *Client, which it returns as it is. It does no
// I/O; Check tells whether the server is what the client takes it for.
//
// Set ContextTimeoutEnabled on a client that you pass, or calls to a server that
// hangs end by its ReadTimeout instead of by their context.
func Wrap(u redis.UniversalClient) (*Client, error) {
	switch c := u.(type) {
	case *Client:
		if c != nil {
			return c, nil
		}
	case *redis.Client:
		if c != nil {
			return &Client{UniversalClient: c, mode: Standalone, address: c.Options().Addr}, nil
		}
	case *redis.ClusterClient:
		if c != nil {
			return wrapCluster(c)
		}
	default:
		return nil, fmt.Errorf("cannot use a %T: pass a *redis.Client, a *redis.ClusterClient or a *redisclient.Client", u)
	}
	return nil, fmt.Errorf("cannot use a nil %T", u)
}

func wrapCluster(c *redis.ClusterClient) (*Client, error) {
	o := c.Options()
	if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
		return nil, errors.New("cannot use a cluster client that reads from replicas: leave ReadOnly, RouteByLatency and RouteRandomly off")
	}
	return &Client{UniversalClient: c, mode: Cluster, address: strings.Join(o.Addrs, ", ")}, nil
}

// Mode says what the client talks to.
func (c *Client) Mode() Mode { return c.mode }

// IsCluster says whether the client talks to a cluster, where all keys of one
// command must share a slot.
func (c *Client) IsCluster() bool { return c.mode == Cluster }

// Address is where the server is, for messages: host:port, the path of a
// socket, the seeds of a cluster, or a master and its sentinels. It holds no
// password.
func (c *Client) Address() string { return c.address }

// Close closes the connections of every Waiter and, if Open made the client,
// all others. It is safe to call twice.
func (c *Client) Close() error {
	c.mu.Lock()
	again, waiters := c.closed, c.waiters
	c.closed, c.waiters = true, nil
	c.mu.Unlock()
	if again {
		return nil
	}
	for w := range waiters {
		w.shut()
	}
	if !c.owned {
		return nil
	}
	return c.UniversalClient.Close()
}

// master is the client of the node that serves key.
func (c *Client) master(ctx context.Context, key string) (*redis.Client, error) {
	switch u := c.UniversalClient.(type) {
	case *redis.Client:
		return u, nil
	case *redis.ClusterClient:
		return u.MasterForKey(ctx, key)
	default:
		return nil, fmt.Errorf("a %T has no nodes: make the client with Open or Wrap", u)
	}
}

// reload makes a cluster client look at the cluster again, soon and without
// waiting for it.
func (c *Client) reload(ctx context.Context) {
	if u, ok := c.UniversalClient.(*redis.ClusterClient); ok {
		u.ReloadState(ctx)
	}
}
