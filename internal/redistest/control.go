package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long the methods here wait for what they cause.
const patience = 30 * time.Second

// nodePatience is how long one of several nodes may take to answer.
const nodePatience = 2 * time.Second

// Kill ends the server with SIGKILL and returns when it is gone; dials to its
// proxy are refused from then on. Restart brings it back.
func (s *Server) Kill() {
	s.p.kill()
	if s.proxy != nil {
		s.proxy.Down()
	}
}

// Restart starts the server again, at the same port and in the same directory,
// and waits until it answers. One that runs is killed before that. What it held
// is gone without Options.AOF.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	err := s.p.start()
	if err == nil && s.proxy != nil {
		err = s.proxy.Up()
	}
	if err != nil {
		t.Fatalf("restart: %v", err)
	}
}

// Pause stops the server with SIGSTOP: its connections stand, nothing answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.p.signal(sig); err != nil {
		t.Fatalf("%v to the server at %s: %v", sig, s.Addr(), err)
	}
}

// ReplicaOf makes the server a replica of another, or of nobody (nil), and waits
// until it is in step.
func (s *Server) ReplicaOf(t testing.TB, master *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	host, port := "NO", "ONE"
	if master != nil {
		host, port = master.split()
	}
	client := s.client()
	defer client.Close()
	err := client.Do(ctx, "REPLICAOF", host, port).Err()
	if err == nil && master != nil {
		err = s.linked(ctx)
	}
	if err != nil {
		t.Fatalf("REPLICAOF %s %s: %v", host, port, err)
	}
}

// WaitLinked waits until the server is a replica in step with its master.
func (s *Server) WaitLinked(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.linked(ctx); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) linked(ctx context.Context) error {
	return s.says(ctx, "replication", "role:slave\r", "master_link_status:up\r", "master_sync_in_progress:0\r")
}

// says waits until INFO's section has all lines.
func (s *Server) says(ctx context.Context, section string, lines ...string) error {
	client := s.client()
	defer client.Close()
	return poll(ctx, s.p.now().exited, func() error {
		info, err := client.Info(ctx, section).Result()
		for _, l := range lines {
			if err == nil && !strings.Contains(info, l) {
				err = fmt.Errorf("no %q in INFO:\n%s", l, info)
			}
		}
		return err
	})
}

// runs says whether the server was not killed.
func (s *Server) runs() bool {
	select {
	case <-s.p.now().exited:
		return false
	default:
		return true
	}
}

// view is what a cluster node says about who serves and replicates what; an error while it does
// not say cluster_state:ok.
func (s *Server) view(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	client := s.client()
	defer client.Close()
	info, err := client.ClusterInfo(ctx).Result()
	if err == nil && !strings.Contains(info, "cluster_state:ok") {
		err = errors.New("not ok:\n" + info)
	}
	if err != nil {
		return "", err
	}
	ranges, err := clusterSlots(ctx, client)
	lines, replicas := make([]string, len(ranges)), []string{}
	for i, r := range ranges {
		lines[i] = fmt.Sprintf("%d-%d %s", r.Start, r.End, r.Nodes[0].ID)
		for _, n := range r.Nodes[1:] {
			replicas = append(replicas, n.ID)
		}
	}
	slices.Sort(lines)
	slices.Sort(replicas)
	return strings.Join(lines, ", ") + "; replicas " + strings.Join(replicas, ", "), err
}
