package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	sentinels  = 3
	quorum     = 2
	masterName = "colony"
)

// SentinelOptions are those of a Sentinel deployment. The zero value is a master
// with one replica, taken for dead after a second.
type SentinelOptions struct {
	Replicas  int           // 0 = 1
	DownAfter time.Duration // 0 = 1 s
	Node      Options       // of the master and its replicas. With Proxy, Sentinel tells clients the proxies' ports
}

func (o SentinelOptions) withDefaults() SentinelOptions {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.DownAfter == 0 {
		o.DownAfter = time.Second
	}
	return o
}

// Sentinel is a master, its replicas, and three sentinels that watch them.
type Sentinel struct {
	Name      string    // of the master, as sentinels know it
	Nodes     []*Server // the first one is the master at the beginning
	Sentinels []*Server
	o         SentinelOptions
}

// NewSentinel starts a deployment that lives as long as the test.
func NewSentinel(t testing.TB) *Sentinel {
	t.Helper()
	return SentinelWith(t, SentinelOptions{})
}

// SentinelWith starts a deployment that lives as long as the test. It returns
// when each sentinel knows the others and every replica.
func SentinelWith(t testing.TB, o SentinelOptions) *Sentinel {
	t.Helper()
	s, err := launchSentinel(o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func launchSentinel(o SentinelOptions) (*Sentinel, error) {
	s := &Sentinel{Name: masterName, o: o}
	err := s.startNodes()
	if err == nil {
		err = s.startSentinels()
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("start a sentinel deployment: %w", err)
	}
	return s, nil
}

func (s *Sentinel) startNodes() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	master, err := newServer(s.o.Node)
	if err != nil {
		return err
	}
	s.Nodes = append(s.Nodes, master)
	o := s.o.Node
	o.Master = master
	for range s.o.Replicas {
		replica, err := newServer(o)
		if err != nil {
			return err
		}
		s.Nodes = append(s.Nodes, replica)
		if err := replica.linked(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sentinel) startSentinels() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s.Sentinels = make([]*Server, sentinels)
	var g errgroup.Group
	for i := range s.Sentinels {
		g.Go(func() error {
			p, err := launch(spec{binary: s.o.Node.Binary, args: s.config})
			if err != nil {
				return err
			}
			s.Sentinels[i] = &Server{p: p, o: Options{TLS: s.o.Node.TLS}}
			if err := hurry(ctx, s.Sentinels[i]); err != nil {
				return err
			}
			return poll(ctx, p.now().exited, func() error { return s.complete(ctx, s.Sentinels[i]) })
		})
	}
	return g.Wait()
}

// config writes the file that a sentinel reads, and rewrites as things change.
func (s *Sentinel) config(dir string, port int) ([]string, error) {
	host, master := s.Nodes[0].split()
	lines := []string{
		"sentinel monitor " + s.Name + " " + host + " " + master + " " + strconv.Itoa(quorum),
		"sentinel down-after-milliseconds " + s.Name + " " + strconv.FormatInt(s.o.DownAfter.Milliseconds(), 10),
		"sentinel failover-timeout " + s.Name + " 5000",
		"unixsocket " + filepath.Join(dir, "redis.sock"),
		"dir " + dir,
		"bind 127.0.0.1",
	}
	if pw := s.o.Node.Password; pw != "" {
		lines = append(lines, "sentinel auth-pass "+s.Name+" "+pw)
	}
	ports := Options{TLS: s.o.Node.TLS}.ports(port)
	for i := 0; i < len(ports); i += 2 {
		lines = append(lines, strings.TrimPrefix(ports[i], "--")+" "+ports[i+1])
	}
	file := filepath.Join(dir, "sentinel.conf")
	return []string{file, "--sentinel"}, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// hurry makes a sentinel look around ten times as often as it would: an old
// master that came back would wait for half a minute to be made a replica.
func hurry(ctx context.Context, sentinel *Server) error {
	client := sentinel.client()
	defer client.Close()
	return client.Do(ctx, "SENTINEL", "DEBUG", "INFO-PERIOD", 1000, "PUBLISH-PERIOD", 200).Err()
}

func (s *Sentinel) complete(ctx context.Context, sentinel *Server) error {
	state, err := s.state(ctx, sentinel)
	if err != nil {
		return err
	}
	others, replicas := strconv.Itoa(sentinels-1), strconv.Itoa(s.o.Replicas)
	if state["num-other-sentinels"] != others || state["num-slaves"] != replicas || state["flags"] != "master" {
		return fmt.Errorf("the sentinel knows %v, want %s others and %s replicas", state, others, replicas)
	}
	return nil
}

// state is what a sentinel knows of the master.
func (s *Sentinel) state(ctx context.Context, sentinel *Server) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	client := sentinel.client()
	defer client.Close()
	cmd := redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", s.Name)
	_ = client.Process(ctx, cmd) // the error is the command's
	return cmd.Result()
}

// Addrs are the host:port of every sentinel.
func (s *Sentinel) Addrs() []string {
	addrs := make([]string, len(s.Sentinels))
	for i, x := range s.Sentinels {
		addrs[i] = x.Addr()
	}
	return addrs
}

// Master is the node that most sentinels name.
func (s *Sentinel) Master(t testing.TB) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var master *Server
	err := poll(ctx, nil, func() (err error) {
		master, err = s.named(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return master
}

func (s *Sentinel) named(ctx context.Context) (*Server, error) {
	votes := map[string]int{}
	for _, x := range s.Sentinels {
		if state, err := s.state(ctx, x); err == nil {
			votes[state["ip"]+":"+state["port"]]++
		}
	}
	for _, n := range s.Nodes {
		if votes[n.Addr()] >= quorum {
			return n, nil
		}
	}
	return nil, fmt.Errorf("sentinels do not agree on a master: %v", votes)
}

// Failover makes the sentinels promote a replica though the master is well, and
// returns the new master when it takes writes.
func (s *Sentinel) Failover(t testing.TB) *Server {
	t.Helper()
	old := s.Master(t)
	return s.wait(t, old, func(ctx context.Context) error { return s.push(ctx, s.Sentinels[0], old) })
}

// push asks a sentinel for a failover if it still names the old master: one that
// was begun may be given up, because no replica is good enough yet, and on a slow
// machine the sentinels may take a new master for dead and go back.
func (s *Sentinel) push(ctx context.Context, sentinel, old *Server) error {
	state, err := s.state(ctx, sentinel)
	if err != nil || state["ip"]+":"+state["port"] != old.Addr() {
		return err
	}
	client := sentinel.client()
	defer client.Close()
	return client.Do(ctx, "SENTINEL", "FAILOVER", s.Name).Err()
}

// WaitOther waits until most sentinels name another master than old and it
// takes writes, and returns it.
func (s *Sentinel) WaitOther(t testing.TB, old *Server) *Server {
	t.Helper()
	return s.wait(t, old, func(context.Context) error { return nil })
}

// wait calls push until there is another master.
func (s *Sentinel) wait(t testing.TB, old *Server, push func(context.Context) error) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var master *Server
	err := poll(ctx, nil, func() (err error) {
		if master, err = s.other(ctx, old); err != nil {
			err = errors.Join(err, push(ctx))
		}
		return err
	})
	if err != nil {
		t.Fatalf("wait for a failover: %v", err)
	}
	return master
}

// other is the master that most sentinels name, if it is not old and takes
// itself for one.
func (s *Sentinel) other(ctx context.Context, old *Server) (*Server, error) {
	master, err := s.named(ctx)
	if err != nil {
		return nil, err
	}
	if master == old {
		return nil, errors.New("sentinels still name the old master")
	}
	return master, master.saysNow(ctx, "replication", "role:master\r")
}

// WaitReplicas waits until every node but the master that runs is a replica in
// step, and the sentinels see nothing amiss.
func (s *Sentinel) WaitReplicas(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	master := s.Master(t)
	for _, n := range s.Nodes {
		if n == master || !n.runs() {
			continue
		}
		if err := n.linked(ctx); err != nil {
			t.Fatalf("wait for the replica at %s: %v", n.Addr(), err)
		}
	}
}

// Client returns a client of the master that is closed after the test.
func (s *Sentinel) Client(t testing.TB) *redis.Client {
	t.Helper()
	o := clientOptions("", s.o.Node.Password)
	f := &redis.FailoverOptions{
		MasterName: s.Name, SentinelAddrs: s.Addrs(), Password: o.Password,
		DisableIdentity: true, ContextTimeoutEnabled: true,
	}
	if s.o.Node.TLS != nil {
		f.TLSConfig = s.o.Node.TLS.Config()
	}
	client := redis.NewFailoverClient(f)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Stop kills everything and returns when it is gone. Safe twice.
func (s *Sentinel) Stop() {
	for _, x := range append(append([]*Server{}, s.Sentinels...), s.Nodes...) {
		if x != nil {
			x.Stop()
		}
	}
}
