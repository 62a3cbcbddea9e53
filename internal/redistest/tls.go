package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are those of a certificate authority of the test's own, as paths
// of PEM files: for servers at 127.0.0.1 and localhost, and for clients. They
// are gone after the test.
type Certificates struct {
	CA                    string
	Cert, Key             string // of servers
	ClientCert, ClientKey string
	pool                  *x509.CertPool
}

// NewCertificates makes an authority and what it signs.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	c, err := makeCertificates(t.TempDir())
	if err != nil {
		t.Fatalf("make certificates: %v", err)
	}
	return c
}

// Config is that of a client which trusts the authority alone.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{RootCAs: c.pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

func makeCertificates(dir string) (*Certificates, error) {
	c := &Certificates{
		CA:   filepath.Join(dir, "ca.crt"),
		Cert: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key"),
		ClientCert: filepath.Join(dir, "client.crt"), ClientKey: filepath.Join(dir, "client.key"),
		pool: x509.NewCertPool(),
	}
	ca, err := newPair(1, "redistest authority", nil)
	if err != nil {
		return nil, err
	}
	c.pool.AddCert(ca.cert)
	if err := ca.write(c.CA, filepath.Join(dir, "ca.key")); err != nil {
		return nil, err
	}
	server, err := newPair(2, "redistest server", ca)
	if err == nil {
		err = server.write(c.Cert, c.Key)
	}
	if err != nil {
		return nil, err
	}
	client, err := newPair(3, "redistest client", ca)
	if err != nil {
		return nil, err
	}
	return c, client.write(c.ClientCert, c.ClientKey)
}

type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newPair is signed by ca; an authority signs itself.
func newPair(serial int64, name string, ca *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	p := &pair{key: key}
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		template.ExtKeyUsage, template.DNSNames, template.IPAddresses = nil, nil, nil
		ca = &pair{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	p.cert, err = x509.ParseCertificate(der)
	return p, err
}

func (p *pair) write(cert, key string) error {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
	if err := os.WriteFile(cert, block, 0o600); err != nil {
		return err
	}
	return os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
