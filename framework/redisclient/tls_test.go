package redisclient_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

// With certificates from files every mode works over TLS, against servers that
// ask for the client's, Waiters included.
func TestTLSInEveryMode(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	files := redisclient.TLSConfig{CAFile: certs.CA, CertFile: certs.ClientCert, KeyFile: certs.ClientKey}
	node := redistest.Options{TLS: certs, Password: "hush", Args: []string{"--tls-auth-clients", "yes"}}
	for name, config := range map[string]func(t *testing.T) redisclient.Config{
		"standalone": func(t *testing.T) redisclient.Config {
			return redisclient.Config{URL: redistest.StandaloneWith(t, node).URL()}
		},
		"cluster": func(t *testing.T) redisclient.Config {
			c := redistest.ClusterWith(t, redistest.ClusterOptions{Node: node})
			return redisclient.Config{URL: "rediss://:hush@localhost", StartupNodes: c.Addrs()}
		},
		"cluster by url": func(t *testing.T) redisclient.Config {
			c := redistest.ClusterWith(t, redistest.ClusterOptions{Node: node})
			return redisclient.Config{URL: c.Nodes[0].URL(), IsColony: yes()}
		},
		"sentinel": func(t *testing.T) redisclient.Config {
			c := sentinelConfig(redistest.SentinelWith(t, redistest.SentinelOptions{Node: node}))
			c.URL = "rediss://:hush@localhost"
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.TLS = files
			c := open(t, cfg)
			key, build := blmove("q")
			got := start(t.Context(), c.NewWaiter(key), 1e10, build)
			if err := c.RPush(t.Context(), key, "job").Err(); err != nil {
				t.Error(err)
			}
			if o := <-got; o.reply != "job" {
				t.Errorf("got %+v", o)
			}
		})
	}
}

// What is wrong with certificates is said, and nobody is trusted by mistake.
func TestTLSMistakes(t *testing.T) {
	t.Parallel()
	certs, others := redistest.NewCertificates(t), redistest.NewCertificates(t)
	url := redistest.StandaloneWith(t, redistest.Options{TLS: certs}).URL()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		files redisclient.TLSConfig
		want  string
	}{
		"right":         {redisclient.TLSConfig{CAFile: certs.CA}, ""},
		"right name":    {redisclient.TLSConfig{CAFile: certs.CA, ServerName: "localhost"}, ""},
		"wrong name":    {redisclient.TLSConfig{CAFile: certs.CA, ServerName: "elsewhere"}, "not elsewhere"},
		"no authority":  {redisclient.TLSConfig{}, "unknown authority"},
		"other one":     {redisclient.TLSConfig{CAFile: others.CA}, "certificate"},
		"missing file":  {redisclient.TLSConfig{CAFile: empty + "x"}, "redis.tls.ca_file: open " + empty + "x"},
		"empty file":    {redisclient.TLSConfig{CAFile: empty}, "redis.tls.ca_file: " + empty + " holds no certificate"},
		"key of others": {redisclient.TLSConfig{CAFile: certs.CA, CertFile: certs.ClientCert, KeyFile: others.ClientKey}, "redis.tls.cert_file"},
	} {
		c, err := redisclient.Open(t.Context(), redisclient.Config{URL: url, TLS: x.files})
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", name, err, x.want)
		}
	}
}
