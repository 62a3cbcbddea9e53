//go:build unix

package command_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// A worker that is killed in mid-run loses nothing: another one has all its jobs
// running again once the lease is over, and no attempt is counted.
func TestKilledWorkersJobsRunAgain(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		p := newPlace(t, redisEnv(target)...)
		t.Cleanup(p.sayGo) // what a killed worker left behind ends as well
		ids := p.enqueue(10)
		first := p.start("worker", "run", "--lease", "2s", "--concurrency", "10", "--handler", noting("first", untilGo))
		p.until("the first worker runs all jobs", func() bool { return len(p.ran("first")) == len(ids) })
		second := p.start("worker", "run", "--lease", "2s", "--concurrency", "10", "--handler", noting("second", untilGo))
		p.until("the second worker runs", func() bool { return strings.Contains(second.stderr.String(), "worker runs") })
		first.signal(syscall.SIGKILL)
		killed := time.Now()
		p.until("the second worker runs all jobs", func() bool { return len(p.ran("second")) == len(ids) })
		t.Logf("all running again %s after the kill", time.Since(killed).Round(time.Millisecond))
		if got := p.ran("second"); !slices.Equal(got, firstAttempts(ids)) {
			t.Errorf("second worker ran %v, want %v", got, firstAttempts(ids))
		}
		p.sayGo()
		p.until("all jobs are done", func() bool { return p.stats().Processed == int64(len(ids)) })
		second.signal(syscall.SIGTERM)
		second.exits(0)
		if c := p.stats(); c.Recovered != int64(len(ids)) || c.Failed+c.Dead+c.Active+c.Ready+c.Suspect != 0 {
			t.Errorf("got %+v, want %d recovered and nothing left", c, len(ids))
		}
	})
}

// A worker that is stopped (SIGSTOP) while it waits in an idle queue loses no
// job that arrives meanwhile: another one runs them all.
func TestStoppedWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t)
	client := server.Client(t)
	p := newPlace(t, "COLONY_REDIS_URL="+server.URL())
	waiting := func(n int) func() bool {
		return func() bool {
			info, err := client.Info(t.Context(), "clients").Result()
			return err == nil && strings.Contains(info, fmt.Sprintf("blocked_clients:%d\r", n))
		}
	}
	stopped := p.start("worker", "run", "--lease", "2s", "--handler", noting("stopped", "true"))
	p.until("the first worker waits", waiting(1))
	stopped.signal(syscall.SIGSTOP)
	awake := p.start("worker", "run", "--lease", "2s", "--handler", noting("awake", "true"))
	p.until("the second worker waits", waiting(2))
	ids := p.enqueue(20)
	p.until("all jobs have run", func() bool { return p.stats().Processed == int64(len(ids)) })
	stopped.signal(syscall.SIGCONT)
	stopped.signal(syscall.SIGTERM)
	stopped.exits(0)
	awake.signal(syscall.SIGTERM)
	awake.exits(0)
	if got := p.ran("awake"); !slices.Equal(got, firstAttempts(ids)) {
		t.Errorf("the worker that was awake ran %v, want %v", got, firstAttempts(ids))
	}
	if c := p.stats(); c.Ready+c.Active+c.Suspect+c.Retry+c.Dead+c.Failed != 0 {
		t.Errorf("got %+v, want nothing left", c)
	}
}

// SIGTERM under load: the worker exits 0, what it ran is done, what it did not
// run is still there, and no attempt is counted.
func TestSIGTERMUnderLoad(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		const jobs = 500
		p := newPlace(t, redisEnv(target)...)
		ids := p.enqueue(jobs)
		w := p.start("worker", "run", "--concurrency", "8", "--handler", noting("ran", "sleep 0.05"))
		p.until("some jobs have run", func() bool { return len(p.ran("ran")) > 20 })
		w.signal(syscall.SIGTERM)
		w.exits(0)
		c := p.stats()
		if c.Ready+c.Processed != jobs || c.Ready == 0 || c.Active+c.Failed+c.Retry+c.Dead+c.Recovered != 0 {
			t.Errorf("got %+v, want %d jobs done or ready", c, jobs)
		}
		if n := len(p.ran("ran")); int64(n) != c.Processed {
			t.Errorf("%d runs, %d processed", n, c.Processed)
		}
		p.run("worker", "run", "--drain", "-q", "--handler", noting("ran", "true"))
		if got := p.ran("ran"); !slices.Equal(got, firstAttempts(ids)) {
			t.Errorf("%d runs, want each of %d jobs once with attempt 1", len(got), jobs)
		}
	})
}

// What does not finish within the shutdown timeout is ended and given back, at
// no charge.
func TestShutdownTimeoutGivesBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "COLONY_REDIS_URL="+redistest.Shared(t).URL())
	ids := p.enqueue(3)
	w := p.start("worker", "run", "--shutdown-timeout", "200ms", "--handler", noting("first", "exec sleep 1000"))
	p.until("all jobs run", func() bool { return len(p.ran("first")) == len(ids) })
	w.signal(syscall.SIGTERM)
	w.exits(0)
	if c := p.stats(); c.Ready != 3 || c.Failed+c.Retry+c.Recovered != 0 {
		t.Errorf("got %+v, want 3 ready", c)
	}
	p.run("worker", "run", "--drain", "-q", "--handler", noting("second", "true"))
	if got := p.ran("second"); !slices.Equal(got, firstAttempts(ids)) {
		t.Errorf("then ran %v, want %v", got, firstAttempts(ids))
	}
}

// A second Ctrl-C ends the worker at once, however long its jobs may take, and
// its processes are asked to end.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "COLONY_REDIS_URL="+redistest.Shared(t).URL())
	p.enqueue(1)
	w := p.start("worker", "run", "--shutdown-timeout", "1h", "--handler", noting("ran", `trap "echo >\"$DIR\"/asked; exit 1" TERM; sleep 1000 & wait`))
	p.until("the job runs", func() bool { return len(p.ran("ran")) == 1 })
	w.signal(syscall.SIGINT)
	p.until("the worker stops", func() bool { return strings.Contains(w.stderr.String(), "stopping") })
	p.until("it ends", func() bool { // the first of these may be an echo
		_ = w.cmd.Process.Signal(syscall.SIGINT) // an error once it has ended
		select {
		case <-w.done:
			return true
		default:
			return false
		}
	})
	w.exits(130)
	p.until("the process was asked to end", func() bool { _, err := os.Stat(filepath.Join(p.dir, "asked")); return err == nil })
}

// A signal that arrives twice, as timeout(1) sends it, is one: jobs may finish.
func TestEchoOfASignal(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "COLONY_REDIS_URL="+redistest.Shared(t).URL())
	ids := p.enqueue(1)
	w := p.start("worker", "run", "--shutdown-timeout", "1h", "--handler", noting("ran", untilGo+`; echo >"$DIR"/finished`))
	p.until("the job runs", func() bool { return len(p.ran("ran")) == len(ids) })
	w.signal(syscall.SIGTERM)
	w.signal(syscall.SIGINT)
	p.until("the worker stops", func() bool { return strings.Contains(w.stderr.String(), "stopping") })
	if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.exits(0)
	if _, err := os.Stat(filepath.Join(p.dir, "finished")); err != nil {
		t.Error("the job was not let finish")
	}
}

// Work that has an end and was interrupted before it says so: exit code 130. A
// worker without an end that stopped cleanly on Ctrl-C is fine: 0.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "COLONY_REDIS_URL="+redistest.Shared(t).URL())

	e := p.start("enqueue", "--file", "-")
	if _, err := e.stdin.Write(bytes.Repeat([]byte("{\"kind\": \"k\"}\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	p.until("a first chunk is enqueued", func() bool { return strings.Count(e.stdout.String(), "\n") == 1000 })
	e.signal(os.Interrupt)
	e.exits(130)
	if !strings.Contains(e.stderr.String(), "1000 jobs were enqueued, up to line 1000") {
		t.Errorf("does not say how far it came: %s", e.stderr.String())
	}

	d := p.start("worker", "run", "--drain", "--handler", noting("drained", "sleep 0.2"))
	p.until("the drain has begun", func() bool { return len(p.ran("drained")) > 0 })
	d.signal(os.Interrupt)
	d.exits(130)

	w := p.start("worker", "run", "--handler", noting("ran", "sleep 0.2"))
	p.until("the worker works", func() bool { return len(p.ran("ran")) > 0 })
	w.signal(os.Interrupt)
	w.exits(0)
}

// Junk in a list becomes dead jobs and a key of the wrong type a clear error;
// nothing else suffers.
func TestJunkAndWrongTypes(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		p := newPlace(t, redisEnv(target)...)
		client, ctx := target.Client, t.Context()
		key := func(queue, name string) string { return p.namespace() + ":{" + queue + "}:" + name }
		if err := client.RPush(ctx, key("default", "ready"), "junk", `{"id":1}`, "").Err(); err != nil {
			t.Fatal(err)
		}
		ids := p.enqueue(3)
		if err := client.Set(ctx, key("broken", "ready"), "not a list", 0).Err(); err != nil {
			t.Fatal(err)
		}
		e := p.start("enqueue", "k", "--queue", "broken")
		e.exits(1)
		if said := e.stderr.String(); !strings.Contains(said, key("broken", "ready")) || !strings.Contains(said, "wrong type") {
			t.Errorf("enqueue does not name the key and what is wrong: %s", said)
		}
		w := p.start("worker", "run", "--queue", "default", "--queue", "broken", "--handler", noting("ran", "true"))
		p.until("the good jobs have run", func() bool { return len(p.ran("ran")) == len(ids) })
		p.until("the worker names the broken key", func() bool { return strings.Contains(w.stderr.String(), key("broken", "ready")) })
		if err := client.Del(ctx, key("broken", "ready")).Err(); err != nil {
			t.Fatal(err)
		}
		w.signal(syscall.SIGTERM)
		w.exits(0)
		if c := p.stats(); c.Dead != 3 || c.Ready+c.Active+c.Retry != 0 {
			t.Errorf("got %+v, want the 3 entries of junk dead and nothing left", c)
		}
	})
}

// A full Redis refuses jobs with a clear error, and drains.
func TestFullRedisDrains(t *testing.T) {
	t.Parallel()
	server := redistest.StandaloneWith(t, redistest.Options{MaxMemory: "8mb"})
	p := newPlace(t, "COLONY_REDIS_URL="+server.URL())
	line := fmt.Sprintf("{\"kind\": \"k\", \"payload\": %q}\n", strings.Repeat("x", 10<<10))
	file := filepath.Join(p.dir, "large.ndjson")
	if err := os.WriteFile(file, []byte(strings.Repeat(line, 2000)), 0o644); err != nil {
		t.Fatal(err)
	}
	e := p.start("enqueue", "--file", file)
	e.exits(1)
	if said := e.stderr.String(); !strings.Contains(said, "full") {
		t.Errorf("enqueue does not say that Redis is full: %s", said)
	}
	ids := strings.Fields(e.stdout.String())
	if len(ids) == 0 {
		t.Fatal("no job was enqueued")
	}
	p.run("worker", "run", "--drain", "-q", "--handler", noting("ran", "true"))
	slices.Sort(ids)
	if got := p.ran("ran"); !slices.Equal(got, firstAttempts(ids)) {
		t.Errorf("%d runs of %d jobs", len(got), len(ids))
	}
	p.run("enqueue", "k")
}
