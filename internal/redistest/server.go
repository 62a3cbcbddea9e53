package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// Options of a server. The zero value is a server without persistence, password
// or limit.
type Options struct {
	Password  string   // requirepass; "" = none
	MaxMemory string   // as in redis.conf, "4mb"; "" = no limit. The policy is noeviction
	Args      []string // further arguments of redis-server, e.g. "--hz", "100"
}

func (o Options) args() []string {
	var args []string
	if o.MaxMemory != "" {
		args = append(args, "--maxmemory", o.MaxMemory, "--maxmemory-policy", "noeviction")
	}
	return append(args, o.Args...)
}

// Server is one running redis-server.
type Server struct{ p *process }

// Standalone starts a server that lives as long as the test.
func Standalone(t testing.TB) *Server {
	t.Helper()
	return StandaloneWith(t, Options{})
}

// StandaloneWith starts a server with options that lives as long as the test.
func StandaloneWith(t testing.TB, o Options) *Server {
	t.Helper()
	p, err := launch(o.Password, o.args())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return &Server{p}
}

// URL is redis://… over TCP, with the password if there is one.
func (s *Server) URL() string {
	if s.p.password == "" {
		return "redis://" + s.p.addr() + "/0"
	}
	return "redis://:" + s.p.password + "@" + s.p.addr() + "/0"
}

// Addr is the host:port it listens at.
func (s *Server) Addr() string { return s.p.addr() }

// Socket is the path of its Unix socket.
func (s *Server) Socket() string { return s.p.socket() }

// PID is the process id of redis-server itself.
func (s *Server) PID() int { return s.p.pid }

// Dir is its working directory; it is removed when the server stops.
func (s *Server) Dir() string { return s.p.dir }

// Client returns a client over the Unix socket that is closed after the test.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewClient(clientOptions(s.p.socket(), s.p.password))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Stop kills the server and returns when it is gone. Safe twice; a test needs it
// only to take the server away while it runs.
func (s *Server) Stop() { s.p.end() }
