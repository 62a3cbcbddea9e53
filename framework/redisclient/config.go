package redisclient

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// DefaultURL is where Redis is when nothing says otherwise.
const DefaultURL = "redis://localhost:6379/0"

// Config is the redis: block of the config file. The zero value is the server
// at DefaultURL.
//
// It names a cluster when IsColony is true, or when it is absent and
// StartupNodes are given; the master that Sentinel watches over when Sentinel is
// given; else a standalone server. A cluster takes user, password and TLS from
// URL, and its seeds from StartupNodes or, without any, from the host of URL.
// With Sentinel, user, password, database and TLS come from URL.
type Config struct {
	IsColony     *bool          `yaml:"is_colony"`     // true: cluster client; nil: a cluster if there are startup_nodes
	URL          string         `yaml:"url"`           // redis://, rediss:// or unix://; "" = DefaultURL
	StartupNodes []string       `yaml:"startup_nodes"` // host:port of cluster nodes
	Sentinel     SentinelConfig `yaml:"sentinel"`
	TLS          TLSConfig      `yaml:"tls"` // for a rediss:// URL alone
}

// FromURLs is the Config of a command line: what its --redis options and its
// --cluster option say (nil: not given). Several URLs are the seeds of one
// cluster and must agree in everything but the host. No URL is the default one.
//
// It replaces what other sources say about redis as a whole. Where --cluster was
// not given, pass the IsColony of those.
func FromURLs(urls []string, cluster *bool) (Config, error) {
	c := Config{IsColony: cluster}
	if len(urls) == 0 {
		return c, nil
	}
	c.URL = urls[0]
	if len(urls) == 1 {
		return c, c.Validate()
	}
	if cluster != nil && !*cluster {
		return c, errors.New("several redis URLs are the seeds of a cluster, but this is said not to be one: give one URL, or is_colony: true (--cluster)")
	}
	first, err := parseURL(urls[0])
	if err != nil {
		return c, err
	}
	for _, u := range urls {
		o, err := parseURL(u)
		if err != nil {
			return c, err
		}
		if !sameBut(o, first) {
			return c, errors.New("redis URLs of one cluster must agree in scheme, user, password and database")
		}
		c.StartupNodes = append(c.StartupNodes, o.Addr)
	}
	return c, c.Validate()
}

// sameBut says whether two servers are reached in the same way, but for the host.
func sameBut(a, b *redis.Options) bool {
	return a.Network == b.Network && a.Username == b.Username && a.Password == b.Password &&
		a.DB == b.DB && (a.TLSConfig == nil) == (b.TLSConfig == nil)
}

// Validate reports everything that is wrong with c, without connecting.
func (c Config) Validate() error {
	_, err := c.resolve()
	return err
}

// Server is where c expects a standalone server: the network, tcp or unix, and
// the address in it. A cluster and Sentinel are errors.
func (c Config) Server() (network, address string, err error) {
	t, err := c.resolve()
	if err != nil {
		return "", "", err
	}
	switch t.mode {
	case Cluster:
		return "", "", errors.New("redis: a cluster is configured, not a single server")
	case Sentinel:
		return "", "", errors.New("redis: sentinels are configured, not a single server")
	}
	return t.opt.Network, t.opt.Addr, nil
}

// Placed says whether c names any server, so that the default one is not meant.
func (c Config) Placed() bool {
	return c.URL != "" || len(c.StartupNodes) > 0 || c.Sentinel.given()
}

// Moved is c without what another source says of the server that its URL now
// stands for: startup nodes, sentinels and, without rediss://, TLS.
func (c Config) Moved() Config {
	c.StartupNodes, c.Sentinel = nil, SentinelConfig{}
	if !strings.HasPrefix(c.URL, "rediss:") {
		c.TLS = TLSConfig{}
	}
	return c
}

// String is c without user and password.
func (c Config) String() string {
	s := "url=" + redact(c.URL)
	if c.IsColony != nil {
		s += " is_colony=" + strconv.FormatBool(*c.IsColony)
	}
	if len(c.StartupNodes) > 0 {
		s += " startup_nodes=" + strings.Join(c.StartupNodes, ",")
	}
	if c.Sentinel.given() {
		s += " sentinel=" + c.Sentinel.Master + "@" + strings.Join(c.Sentinel.Addresses, ",")
	}
	for _, f := range c.TLS.fields() {
		if f.value != "" {
			s += " tls." + f.key + "=" + f.value
		}
	}
	return s
}

// GoString keeps the password out of %#v.
func (c Config) GoString() string { return "redisclient.Config{" + c.String() + "}" }

// LogValue keeps the password out of structured logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Environ is c as environment variables, for child processes that are to reach
// the same Redis whatever their config file says: COLONY_REDIS_URL,
// COLONY_REDIS_IS_COLONY and, where c has them, COLONY_REDIS_STARTUP_NODES,
// COLONY_REDIS_SENTINEL_… and COLONY_REDIS_TLS_…. The URL holds the password.
func (c Config) Environ() []string {
	env := []string{
		"COLONY_REDIS_URL=" + orElse(c.URL, DefaultURL),
		"COLONY_REDIS_IS_COLONY=" + strconv.FormatBool(c.cluster()),
	}
	if len(c.StartupNodes) > 0 {
		env = append(env, "COLONY_REDIS_STARTUP_NODES="+strings.Join(c.StartupNodes, ","))
	}
	if c.Sentinel.given() {
		env = append(env, "COLONY_REDIS_SENTINEL_MASTER="+c.Sentinel.Master,
			"COLONY_REDIS_SENTINEL_ADDRESSES="+strings.Join(c.Sentinel.Addresses, ","))
	}
	for _, f := range c.TLS.fields() {
		if f.value != "" {
			env = append(env, "COLONY_REDIS_TLS_"+strings.ToUpper(f.key)+"="+f.value)
		}
	}
	return env
}

// cluster says which kind of client c means.
func (c Config) cluster() bool {
	if c.IsColony != nil {
		return *c.IsColony
	}
	return len(c.StartupNodes) > 0
}

// target is a Config that was understood.
type target struct {
	mode   Mode
	opt    *redis.Options // as the url says; the others take all but the address from it
	addrs  []string       // the server, the seeds, or the sentinels
	master string         // as the sentinels know it
	tls    TLSConfig
}

func (c Config) resolve() (target, error) {
	opt, err := parseURL(c.URL)
	errs := []error{err}
	seeds := slices.Clone(c.StartupNodes)
	for i, n := range seeds {
		errs = append(errs, checkNode("redis.startup_nodes", i, n))
	}
	if c.IsColony != nil && !*c.IsColony && len(seeds) > 0 {
		errs = append(errs, errors.New("redis.startup_nodes: given, but redis.is_colony is false: remove one of the two"))
	}
	errs = append(errs, c.Sentinel.validate(), c.TLS.validate(opt))
	t := target{opt: opt, tls: c.TLS}
	switch {
	case opt == nil:
	case c.Sentinel.given():
		t.mode, t.addrs, t.master = Sentinel, slices.Clone(c.Sentinel.Addresses), c.Sentinel.Master
		errs = append(errs, c.clashes(opt))
	case c.cluster():
		t.mode, t.addrs = Cluster, seeds
		if len(seeds) == 0 {
			t.addrs = []string{opt.Addr}
		}
		errs = append(errs, checkCluster(opt))
	default:
		t.mode, t.addrs = Standalone, []string{opt.Addr}
	}
	return t, errors.Join(errs...)
}

func checkCluster(opt *redis.Options) error {
	var errs []error
	if opt.DB != 0 {
		errs = append(errs, fmt.Errorf("redis.url: a cluster has only database 0, got %d", opt.DB))
	}
	if opt.Network == "unix" {
		errs = append(errs, errors.New("redis.url: a cluster is reached over TCP, not over a socket: write redis://HOST:PORT"))
	}
	return errors.Join(errs...)
}

func checkNode(key string, i int, node string) error {
	host, port, err := net.SplitHostPort(node)
	if err == nil && host != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			return nil
		}
	}
	if strings.ContainsAny(node, "@/") { // may hold a password
		return fmt.Errorf("%s[%d]: must be host:port alone; scheme, user and password go into redis.url", key, i)
	}
	return fmt.Errorf("%s[%d]: must be host:port, got %q", key, i, node)
}

const urlForms = "redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss://… for TLS, or unix:///PATH/TO/SOCKET[?db=N]"

// parseURL reads a URL without ever showing its password: the part that may hold
// one is taken out before anything that could fail quotes the rest.
func parseURL(raw string) (*redis.Options, error) {
	u, err := url.Parse(orElse(raw, DefaultURL))
	if err != nil || u.Opaque != "" || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return nil, errors.New("redis.url: not a redis URL: write " + urlForms + "; special characters in a password are written as %XX")
	}
	user := u.User
	u.User = nil
	opt, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("redis.url: %s: write %s", strings.TrimPrefix(err.Error(), "redis: "), urlForms)
	}
	opt.Username = user.Username()
	opt.Password, _ = user.Password()
	return opt, nil
}

// redact is a URL without user, password and parameters.
func redact(raw string) string {
	if raw == "" {
		return DefaultURL
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Scheme == "" {
		return "(unreadable)"
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	u.RawQuery = ""
	return u.String()
}
