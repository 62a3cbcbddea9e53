package redisclient

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 5 * time.Second // of one command; the longest script of ours takes well under one

	// A cluster client learns of a failover from a redirect or a failed dial; this
	// is for what neither tells. It costs one CLUSTER SLOTS per interval.
	topologyInterval = 5 * time.Second
)

// client makes the client; nothing is dialled yet.
func (t target) client() *Client {
	c := &Client{mode: t.mode, address: t.address(), owned: true}
	switch t.mode {
	case Cluster:
		c.UniversalClient = redis.NewClusterClient(t.clusterOptions(c))
	case Sentinel:
		c.UniversalClient = redis.NewFailoverClient(t.failoverOptions())
	default:
		c.UniversalClient = redis.NewClient(t.options())
	}
	c.AddHook(patientHook{cluster: c.IsCluster()})
	return c
}

// address is for messages.
func (t target) address() string {
	all := strings.Join(t.addrs, ", ")
	if t.mode == Sentinel {
		return fmt.Sprintf("the master %s of the sentinels at %s", t.master, all)
	}
	return all
}

// options are those of the url, with our defaults where it is silent.
func (t target) options() *redis.Options {
	o := *t.opt
	o.DialTimeout = orElse(o.DialTimeout, dialTimeout)
	o.ReadTimeout = orElse(o.ReadTimeout, ioTimeout)
	o.WriteTimeout = orElse(o.WriteTimeout, ioTimeout)
	o.DialerRetries = 1 // who calls retries with a back-off of its own
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true // Redis before 7.2 answers CLIENT SETINFO with an error
	o.MaintNotificationsConfig = noNotifications()
	return &o
}

func (t target) clusterOptions(c *Client) *redis.ClusterOptions {
	o := t.options()
	return &redis.ClusterOptions{
		Addrs:    t.addrs,
		Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		Protocol: o.Protocol, ClientName: o.ClientName,
		MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, PoolFIFO: o.PoolFIFO,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		DialerRetries:              o.DialerRetries,
		ContextTimeoutEnabled:      o.ContextTimeoutEnabled,
		DisableIdentity:            o.DisableIdentity,
		MaintNotificationsConfig:   o.MaintNotificationsConfig,
		Dialer:                     reloadingDialer(redis.NewDialer(o), c),
		ClusterStateReloadInterval: topologyInterval,
	}
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// reloadingDialer looks at the cluster again when a node cannot be dialled.
// Without it a client keeps dialling a dead master until the next interval.
func reloadingDialer(dial dialer, c *Client) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			c.reload(ctx)
		}
		return conn, err
	}
}

func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
