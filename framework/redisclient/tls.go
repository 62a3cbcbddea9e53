package redisclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
)

// TLSConfig is the redis.tls: block of the config file: what a rediss:// URL
// leaves open. The zero value trusts the system's authorities and shows no
// certificate. The files are PEM; Open reads them, and each new connection reads
// CertFile and KeyFile again, so that renewed ones need no restart.
type TLSConfig struct {
	CAFile     string `yaml:"ca_file"`     // authorities to trust instead of the system's
	CertFile   string `yaml:"cert_file"`   // to show to servers that ask who we are
	KeyFile    string `yaml:"key_file"`    // of CertFile
	ServerName string `yaml:"server_name"` // that certificates must bear; "" = the host that is dialled
}

type field struct{ key, value string }

func (t TLSConfig) fields() []field {
	return []field{{"ca_file", t.CAFile}, {"cert_file", t.CertFile}, {"key_file", t.KeyFile}, {"server_name", t.ServerName}}
}

// validate does not read the files: they may be on another machine.
func (t TLSConfig) validate(opt *redis.Options) error {
	var errs []error
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, errors.New("redis.tls: cert_file and key_file belong together: give both or none"))
	}
	if t != (TLSConfig{}) && opt != nil && opt.TLSConfig == nil {
		errs = append(errs, errors.New("redis.tls: given, but redis.url is not a rediss:// one: write rediss://, also for a cluster and with sentinels"))
	}
	return errors.Join(errs...)
}

// secure adds what the files say to what the URL says.
func (t *target) secure() error {
	if t.opt.TLSConfig == nil {
		return nil
	}
	c := t.opt.TLSConfig.Clone()
	if c.ServerName = t.tls.ServerName; c.ServerName == "" && t.mode == Cluster && t.addrs[0] == t.opt.Addr {
		// One name stands for the whole cluster; its nodes are known by their IPs.
		c.ServerName = t.opt.TLSConfig.ServerName
	}
	if err := t.tls.trust(c); err != nil {
		return err
	}
	if t.tls.CertFile != "" {
		if _, err := t.tls.certificate(nil); err != nil {
			return err
		}
		c.GetClientCertificate = t.tls.certificate
	}
	t.opt.TLSConfig = c
	return nil
}

func (t TLSConfig) trust(c *tls.Config) error {
	if t.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return fmt.Errorf("redis.tls.ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("redis.tls.ca_file: %s holds no certificate in PEM form", t.CAFile)
	}
	return nil
}

func (t TLSConfig) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("redis.tls.cert_file, redis.tls.key_file: %w", err)
	}
	return &c, nil
}
