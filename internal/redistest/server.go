package redistest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Options of a server. The zero value is a server without persistence, password
// or limit.
type Options struct {
	Binary    string        // path of the server; "" = REDIS_SERVER, else redis-server
	Password  string        // requirepass, and what it tells its own master; "" = none
	Users     []string      // ACL rules of users beside the default one: "ada on >pw ~* +@all"
	MaxMemory string        // as in redis.conf, "4mb"; "" = no limit. The policy is noeviction
	AOF       bool          // an append-only file, fsync every second: Restart finds what Kill left
	TLS       *Certificates // the TCP port speaks TLS alone; nil = plain TCP
	Master    *Server       // what it replicates from its start; nil = nothing
	Proxy     bool          // clients over TCP go through a Proxy. Not with TLS
	Args      []string      // further arguments of redis-server, e.g. "--hz", "100"
}

// spec is what to run. Where a proxy stands before the server, its port is the
// one to tell others.
func (o Options) spec(proxy *Proxy) spec {
	return spec{binary: o.Binary, password: o.Password, args: func(dir string, port int) ([]string, error) {
		args := []string{"--bind", "127.0.0.1", "--unixsocket", dir + "/redis.sock", "--dir", dir, "--save", "",
			// A replica is in step, and a cluster counts on it, after 5 and 10 s otherwise.
			"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
		args = append(args, o.ports(port)...)
		if proxy != nil {
			args = append(args, "--replica-announce-ip", "127.0.0.1", "--replica-announce-port", proxy.port(),
				"--cluster-announce-port", proxy.port())
		}
		return append(append(args, o.features()...), o.Args...), nil
	}}
}

func (o Options) ports(port int) []string {
	if o.TLS == nil {
		return []string{"--port", strconv.Itoa(port)}
	}
	return []string{
		"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-replication", "yes",
		"--tls-auth-clients", "optional",
		"--tls-ca-cert-file", o.TLS.CA, "--tls-cert-file", o.TLS.Cert, "--tls-key-file", o.TLS.Key,
	}
}

func (o Options) features() []string {
	var args []string
	if o.AOF {
		args = append(args, "--appendonly", "yes", "--appendfsync", "everysec")
	} else {
		args = append(args, "--appendonly", "no")
	}
	if o.Password != "" {
		args = append(args, "--requirepass", o.Password, "--masterauth", o.Password)
	}
	if o.MaxMemory != "" {
		args = append(args, "--maxmemory", o.MaxMemory, "--maxmemory-policy", "noeviction")
	}
	if o.Master != nil {
		host, port := o.Master.split()
		args = append(args, "--replicaof", host, port)
	}
	for _, u := range o.Users {
		args = append(append(args, "--user"), strings.Fields(u)...)
	}
	return args
}

// Server is one redis-server, or one Sentinel.
type Server struct {
	p     *process
	o     Options
	proxy *Proxy
}

// Standalone starts a server that lives as long as the test.
func Standalone(t testing.TB) *Server {
	t.Helper()
	return StandaloneWith(t, Options{})
}

// StandaloneWith starts a server with options that lives as long as the test.
func StandaloneWith(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := newServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// newServer starts a server; args come before those of o.
func newServer(o Options, args ...string) (*Server, error) {
	if o.Proxy && o.TLS != nil {
		return nil, errors.New("a proxy cannot read TLS: leave out Options.Proxy or Options.TLS")
	}
	s := &Server{o: o}
	o.Args = slices.Concat(args, o.Args)
	var err error
	if o.Proxy {
		if s.proxy, err = newProxy(""); err != nil {
			return nil, err
		}
	}
	if s.p, err = launch(o.spec(s.proxy)); err != nil {
		s.closeProxy()
		return nil, err
	}
	if s.proxy != nil {
		s.proxy.lead(s.p.addr())
	}
	return s, nil
}

// URL is redis://… or rediss://… over TCP, with the password if there is one.
func (s *Server) URL() string {
	scheme, user := "redis://", ""
	if s.o.TLS != nil {
		scheme = "rediss://"
	}
	if s.o.Password != "" {
		user = ":" + s.o.Password + "@"
	}
	return scheme + user + s.Addr() + "/0"
}

// SocketURL is unix://… of its Unix socket, with the password if there is one.
func (s *Server) SocketURL() string {
	if s.o.Password == "" {
		return "unix://" + s.p.socket()
	}
	return "unix://:" + s.o.Password + "@" + s.p.socket()
}

// Addr is the host:port at which clients reach it: that of its proxy if it has
// one.
func (s *Server) Addr() string {
	if s.proxy != nil {
		return s.proxy.Addr()
	}
	return s.p.addr()
}

// Proxy stands before the TCP port; nil without Options.Proxy.
func (s *Server) Proxy() *Proxy { return s.proxy }

// Socket is the path of its Unix socket, which no proxy stands before.
func (s *Server) Socket() string { return s.p.socket() }

// PID is the process id of redis-server itself, since its last start.
func (s *Server) PID() int { return s.p.now().pid }

// Dir is its working directory; it is removed when the server stops.
func (s *Server) Dir() string { return s.p.dir }

// Client returns a client over the Unix socket that is closed after the test.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	client := s.client()
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *Server) client() *redis.Client {
	return redis.NewClient(clientOptions(s.p.socket(), s.o.Password))
}

// Stop kills the server for good and returns when it is gone. Safe twice; a test
// needs it only to take the server away while it runs.
func (s *Server) Stop() {
	s.p.end()
	s.closeProxy()
}

func (s *Server) closeProxy() {
	if s.proxy != nil {
		s.proxy.Close()
	}
}

func (s *Server) split() (host, port string) {
	host, port, _ = strings.Cut(s.Addr(), ":") // always 127.0.0.1:PORT
	return host, port
}
