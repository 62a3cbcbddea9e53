package redisclient_test

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/colonyq/colony/framework/redisclient"
)

// Validate reports everything that is wrong, by field, and never a password.
func TestConfigValidate(t *testing.T) {
	t.Parallel()
	form := "not a redis URL: write redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss://… for TLS, or unix:///PATH/TO/SOCKET[?db=N]; special characters in a password are written as %XX"
	for name, x := range map[string]struct {
		config redisclient.Config
		want   string
	}{
		"zero":                  {redisclient.Config{}, ""},
		"tls":                   {redisclient.Config{URL: "rediss://ada:pw@example.org"}, ""},
		"parameters":            {redisclient.Config{URL: "redis://example.org/1?pool_size=5&read_timeout=3s"}, ""},
		"nodes":                 {redisclient.Config{StartupNodes: []string{"a:1", "[::1]:2"}}, ""},
		"nodes, cluster":        {redisclient.Config{StartupNodes: []string{"a:1"}, IsColony: yes()}, ""},
		"nodes, no cluster":     {redisclient.Config{StartupNodes: []string{"a:1"}, IsColony: no()}, "redis.startup_nodes: given, but redis.is_colony is false: remove one of the two"},
		"cluster with db":       {redisclient.Config{URL: "redis://a/2", IsColony: yes()}, "redis.url: a cluster has only database 0, got 2"},
		"cluster at a socket":   {redisclient.Config{URL: "unix:///a", IsColony: yes()}, "redis.url: a cluster is reached over TCP, not over a socket: write redis://HOST:PORT"},
		"sentinel":              {redisclient.Config{URL: "redis://:pw@x/2", Sentinel: redisclient.SentinelConfig{Master: "m", Addresses: []string{"a:1"}}}, ""},
		"sentinel, cluster":     {redisclient.Config{IsColony: yes(), Sentinel: redisclient.SentinelConfig{Master: "m", Addresses: []string{"a:1"}}}, "redis.sentinel: given, but redis.is_colony or redis.startup_nodes name a cluster: remove one of the two"},
		"sentinel at a socket":  {redisclient.Config{URL: "unix:///a", Sentinel: redisclient.SentinelConfig{Master: "m", Addresses: []string{"a:1"}}}, "redis.url: sentinels name a master's host and port, not a socket: write redis://[USER:PASSWORD@]HOST, whose host is not used"},
		"no master":             {redisclient.Config{Sentinel: redisclient.SentinelConfig{Addresses: []string{"a"}}}, "redis.sentinel.master: missing: the name under which the sentinels know the master\nredis.sentinel.addresses[0]: must be host:port, got \"a\""},
		"no addresses":          {redisclient.Config{Sentinel: redisclient.SentinelConfig{Master: "m"}}, "redis.sentinel.addresses: missing: host:port of the sentinels, whose port is usually 26379"},
		"tls without rediss":    {redisclient.Config{TLS: redisclient.TLSConfig{CAFile: "ca"}}, "redis.tls: given, but redis.url is not a rediss:// one: write rediss://, also for a cluster and with sentinels"},
		"certificate, no key":   {redisclient.Config{URL: "rediss://a", TLS: redisclient.TLSConfig{CertFile: "c"}}, "redis.tls: cert_file and key_file belong together: give both or none"},
		"no scheme":             {redisclient.Config{URL: "localhost:6379"}, "redis.url: " + form},
		"no scheme, password":   {redisclient.Config{URL: "ada:" + secret + "@localhost:6379"}, "redis.url: " + form},
		"hash in the password":  {redisclient.Config{URL: "redis://ada:" + secret + "#x@localhost"}, "redis.url: " + form},
		"slash in the password": {redisclient.Config{URL: "redis://ada:" + secret + "/x@localhost"}, "redis.url: " + form},
		"bad db": {redisclient.Config{URL: "redis://:" + secret + "@localhost/x"},
			`redis.url: invalid database number: "x": write redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss://… for TLS, or unix:///PATH/TO/SOCKET[?db=N]`},
		"several": {redisclient.Config{URL: "redis://a/2", IsColony: yes(), StartupNodes: []string{"b", "c:x", ":1", "redis://:" + secret + "@d:1"}}, `redis.startup_nodes[0]: must be host:port, got "b"
redis.startup_nodes[1]: must be host:port, got "c:x"
redis.startup_nodes[2]: must be host:port, got ":1"
redis.startup_nodes[3]: must be host:port alone; scheme, user and password go into redis.url
redis.url: a cluster has only database 0, got 2`},
	} {
		got := ""
		if err := x.config.Validate(); err != nil {
			got = err.Error()
		}
		if got != x.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, x.want)
		}
		if strings.Contains(got, secret) {
			t.Errorf("%s: %s shows the password", name, got)
		}
	}
}

// The options of a command line become a config by the rules of the file.
func TestFromURLs(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		urls    []string
		cluster *bool
		want    redisclient.Config
		err     string
	}{
		"none":             {nil, nil, redisclient.Config{}, ""},
		"only --cluster":   {nil, yes(), redisclient.Config{IsColony: yes()}, ""},
		"one":              {[]string{"redis://a:1/2"}, nil, redisclient.Config{URL: "redis://a:1/2"}, ""},
		"one, cluster":     {[]string{"redis://a:1"}, yes(), redisclient.Config{URL: "redis://a:1", IsColony: yes()}, ""},
		"several":          {[]string{"redis://:p@a", "redis://:p@b:2"}, nil, redisclient.Config{URL: "redis://:p@a", StartupNodes: []string{"a:6379", "b:2"}}, ""},
		"no cluster":       {[]string{"redis://a", "redis://b"}, no(), redisclient.Config{}, "several redis URLs are the seeds of a cluster, but this is said not to be one: give one URL, or is_colony: true (--cluster)"},
		"other passwords":  {[]string{"redis://:p@a", "redis://:q@b"}, nil, redisclient.Config{}, "redis URLs of one cluster must agree in scheme, user, password and database"},
		"other schemes":    {[]string{"redis://a", "rediss://b"}, nil, redisclient.Config{}, "redis URLs of one cluster must agree in scheme, user, password and database"},
		"several with db":  {[]string{"redis://a/1", "redis://b/1"}, nil, redisclient.Config{}, "redis.url: a cluster has only database 0, got 1"},
		"cluster with db":  {[]string{"redis://a/1"}, yes(), redisclient.Config{}, "redis.url: a cluster has only database 0, got 1"},
		"second is no url": {[]string{"redis://a", "b:6379"}, nil, redisclient.Config{}, "redis.url: not a redis URL"},
	} {
		got, err := redisclient.FromURLs(x.urls, x.cluster)
		if x.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), x.err) {
				t.Errorf("%s: got %v, want %s", name, err, x.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, x.want)
		}
	}
}

// However a config is printed or logged, the password stays out of it.
func TestConfigHidesThePassword(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"redis://ada:" + secret + "@a:1/2", "ada:" + secret + "@a", "redis://" + secret + "@a", "redis://a:x" + secret + "/#@b", "redis://a?password=" + secret} {
		c := redisclient.Config{URL: u, IsColony: yes(), StartupNodes: []string{"n:1"}}
		outer := struct{ Redis redisclient.Config }{c}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "redis", c)
		for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v", outer, outer, outer), log.String()} {
			if strings.Contains(s, secret) || !strings.Contains(s, "is_colony=true") {
				t.Errorf("%s", s)
			}
		}
	}
}

// Server tells the address that a single server would have, and only that.
func TestServer(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{"": "tcp localhost:6379", "redis://:p@[::1]": "tcp [::1]:6379", "unix:///a/b": "unix /a/b"} {
		network, addr, err := redisclient.Config{URL: url}.Server()
		if got := network + " " + addr; err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", url, got, err, want)
		}
	}
	for _, c := range []redisclient.Config{{IsColony: yes()}, {StartupNodes: []string{"a:1"}}, {URL: "x"}} {
		if _, addr, err := c.Server(); err == nil {
			t.Errorf("%v: got %s, want an error", c, addr)
		}
	}
}

// A child process gets from Environ what it needs to reach the same Redis.
func TestEnviron(t *testing.T) {
	t.Parallel()
	got := redisclient.Config{}.Environ()
	if want := []string{"COLONY_REDIS_URL=redis://localhost:6379/0", "COLONY_REDIS_IS_COLONY=false"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = redisclient.Config{URL: "redis://:p@a", IsColony: yes(), StartupNodes: []string{"a:1", "b:2"}}.Environ()
	want := []string{"COLONY_REDIS_URL=redis://:p@a", "COLONY_REDIS_IS_COLONY=true", "COLONY_REDIS_STARTUP_NODES=a:1,b:2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
