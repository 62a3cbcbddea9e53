package redisclient

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// SentinelConfig is the redis.sentinel: block of the config file: where to ask
// for the master. The zero value means that there are no sentinels.
type SentinelConfig struct {
	Master    string   `yaml:"master"`    // as the sentinels name it
	Addresses []string `yaml:"addresses"` // host:port of sentinels; any one that answers is enough
}

func (s SentinelConfig) given() bool { return s.Master != "" || len(s.Addresses) > 0 }

func (s SentinelConfig) validate() error {
	var errs []error
	if s.Master == "" && len(s.Addresses) > 0 {
		errs = append(errs, errors.New("redis.sentinel.master: missing: the name under which the sentinels know the master"))
	}
	if s.Master != "" && len(s.Addresses) == 0 {
		errs = append(errs, errors.New("redis.sentinel.addresses: missing: host:port of the sentinels, whose port is usually 26379"))
	}
	for i, a := range s.Addresses {
		errs = append(errs, checkNode("redis.sentinel.addresses", i, a))
	}
	return errors.Join(errs...)
}

// clashes are what cannot stand beside sentinels.
func (c Config) clashes(opt *redis.Options) error {
	var errs []error
	if c.cluster() {
		errs = append(errs, errors.New("redis.sentinel: given, but redis.is_colony or redis.startup_nodes name a cluster: remove one of the two"))
	}
	if opt.Network == "unix" {
		errs = append(errs, errors.New("redis.url: sentinels name a master's host and port, not a socket: write redis://[USER:PASSWORD@]HOST, whose host is not used"))
	}
	return errors.Join(errs...)
}

// failoverOptions are for the master that the sentinels name, and for them.
func (t target) failoverOptions() *redis.FailoverOptions {
	o := t.options()
	return &redis.FailoverOptions{
		MasterName: t.master, SentinelAddrs: t.addrs,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		Protocol: o.Protocol, ClientName: o.ClientName,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, PoolFIFO: o.PoolFIFO,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		DialerRetries:         o.DialerRetries,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DisableIdentity:       o.DisableIdentity,
	}
}
