//go:build unix

package command_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/colonyq/colony/internal/redistest"
)

// While two workers work, at the very instant when one is killed (kill -9), while
// its jobs lie with nobody, when they were put back, and at the end, fsck finds
// nothing.
func TestFsckBesideKilledWorker(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		p := newPlace(t, redisEnv(target)...)
		clean := func(when string) {
			t.Helper()
			if out := p.run("worker", "fsck"); !strings.Contains(out, "is clean") {
				t.Errorf("%s:\n%s", when, out)
			}
		}
		ids := p.enqueue(250)
		clean("before anybody works")
		first := p.start("worker", "run", "--lease", "2s", "--concurrency", "8", "--handler", noting("first", "sleep 0.1"))
		second := p.start("worker", "run", "--lease", "2s", "--concurrency", "8", "--handler", noting("second", "sleep 0.1"))
		p.until("both work", func() bool { return len(p.ran("first")) > 10 && len(p.ran("second")) > 10 })
		clean("while both work")
		first.signal(syscall.SIGKILL)
		p.until("its jobs are put back", func() bool {
			clean("after the kill")
			return p.stats().Recovered > 0
		})
		clean("when the jobs were put back")
		p.until("all jobs are done", func() bool { c := p.stats(); return c.Ready+c.Active+c.Retry+c.Suspect == 0 })
		second.signal(syscall.SIGTERM)
		second.exits(0)
		clean("at the end")
		if c := p.stats(); c.Processed != int64(len(ids)) || c.Failed+c.Dead > 0 {
			t.Errorf("got %+v, want %d processed", c, len(ids))
		}
	})
}
