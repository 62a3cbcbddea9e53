//go:build unix

package command_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// A master dies. enqueue, started while nobody has taken its place, waits for
// that and succeeds; the worker that ran all the while runs the job.
func TestFailover(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T) (env []string, kill func()){
		"sentinel": func(t *testing.T) ([]string, func()) {
			s := redistest.NewSentinel(t)
			return []string{
				"COLONY_REDIS_SENTINEL_MASTER=" + s.Name,
				"COLONY_REDIS_SENTINEL_ADDRESSES=" + strings.Join(s.Addrs(), ","),
			}, s.Nodes[0].Kill
		},
		"cluster": func(t *testing.T) ([]string, func()) {
			c := redistest.ClusterWith(t, redistest.ClusterOptions{Replicas: 1, NodeTimeout: time.Second})
			return []string{"COLONY_REDIS_STARTUP_NODES=" + strings.Join(c.Addrs(), ",")}, c.Master(t, "{default}").Kill
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, kill := begin(t)
			p := newPlace(t, env...)
			w := p.start("worker", "run", "--handler", noting("ran", "true"))
			first := p.enqueue(3)
			p.until("the first jobs have run", func() bool { return len(p.ran("ran")) == len(first) })
			kill()
			killed := time.Now()
			id := strings.TrimSpace(p.run("enqueue", "k"))
			t.Logf("enqueued %s after the kill", time.Since(killed).Round(time.Millisecond))
			p.until("the job has run", func() bool { return slices.Contains(p.ran("ran"), id+" 1") })
			t.Logf("run %s after the kill", time.Since(killed).Round(time.Millisecond))
			w.signal(syscall.SIGTERM)
			w.exits(0)
		})
	}
}
