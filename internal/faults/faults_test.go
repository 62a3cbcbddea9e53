package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// fault is one row of the table.
type fault struct {
	name  string
	sites []func(t *testing.T) site // what it is run on; none = a standalone server
	do    func(r *rig)              // injects it, lets it last, heals it
	loses string                    // what Redis may forget by it; "" = nothing

	lease     time.Duration // 0 = 2 s
	workers   int           // 0 = 3
	producers int           // 0 = 2
	quiet     bool          // no steady load: do enqueues what it needs
	noStalls  bool          // nobody may be charged a stall
	once      bool          // also the long form does it once
	longOnly  bool
	slack     time.Duration // recovery may take this much longer than lease + 2 s
}

func (f fault) withDefaults() fault {
	if f.lease == 0 {
		f.lease = 2 * time.Second
	}
	if f.workers == 0 {
		f.workers = 3
	}
	if f.producers == 0 {
		f.producers = 2
	}
	if len(f.sites) == 0 {
		f.sites = []func(*testing.T) site{standalone}
	}
	return f
}

// shape is how much of everything there is.
type shape struct {
	name     string
	pace     time.Duration // of each of a producer's callers
	warm     time.Duration // load before the fault
	patience time.Duration // for the end of all work afterwards
	times    int           // how often each fault is injected
	tail     time.Duration // load after the fault, beyond the lease
	parallel string
}

var (
	short = shape{name: "short", pace: 20 * time.Millisecond, warm: 500 * time.Millisecond, patience: time.Minute, times: 1, parallel: "5"}
	long  = shape{name: "long", pace: 10 * time.Millisecond, warm: 2 * time.Second, patience: 2 * time.Minute, times: 3, tail: 3 * time.Second, parallel: "2"}
	form  = short
)

func (s shape) rounds(f fault) int {
	if f.once {
		return 1
	}
	return s.times
}

func (s shape) after(lease time.Duration) time.Duration { return lease/2 + s.tail }

// quiet is the log of producers in this process: what they say is in the history.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// TestMain is also main of the worker processes. FAULTS=long chooses the long
// form, FAULTS_REPORT the file to write its table to.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	if os.Getenv("FAULTS") == long.name {
		form = long
	}
	os.Exit(redistest.Main(m))
}

// Whatever breaks, nothing that was acknowledged is lost, nothing runs again
// without need, no settlement counts twice, and nothing is left behind.
func TestFaults(t *testing.T) {
	var report reporter
	places := make(chan struct{}, number(form.parallel))
	t.Run("all", func(t *testing.T) {
		for _, f := range table() {
			f = f.withDefaults()
			if f.longOnly && form.name != long.name {
				continue
			}
			for n, open := range f.sites {
				t.Run(strings.ReplaceAll(f.name, " ", "-")+suffix(n), func(t *testing.T) {
					t.Parallel()
					places <- struct{}{}
					defer func() { <-places }()
					inject(t, f, open(t), &report)
				})
			}
		}
	})
	if path := os.Getenv("FAULTS_REPORT"); path != "" && !t.Failed() {
		if err := report.write(path); err != nil {
			t.Error(err)
		}
	}
}

func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("-%d", n+1)
}

func inject(t *testing.T, f fault, s site, report *reporter) {
	r := newRig(t, f, s)
	result := r.run()
	t.Logf("%+v", result)
	for _, v := range result.Violations[:min(20, len(result.Violations))] {
		t.Error(v)
	}
	if limit := 3 * (f.lease + 2*time.Second + f.slack); result.Recovery > limit {
		t.Errorf("recovered after %v; even a busy machine should not need %v", result.Recovery, limit)
	}
	report.add(Row{
		Fault: f.name, Site: s.name, Injected: form.rounds(f), Loses: f.loses, Result: result,
		Bound: f.lease + 2*time.Second + f.slack,
	})
}

// reporter collects rows from tests that run beside each other.
type reporter struct {
	mu   sync.Mutex
	rows []Row
}

func (r *reporter) add(row Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (r *reporter) write(path string) error {
	order := map[string]int{}
	for i, f := range table() {
		order[f.name] = i
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := WriteReport(f, order, r.rows); err != nil {
		return err
	}
	return f.Close()
}

// lasting injects, waits and heals.
func lasting(d time.Duration, inject, heal func(r *rig)) func(r *rig) {
	return func(r *rig) {
		inject(r)
		r.last(d)
		heal(r)
		r.tell(Event{Type: Healed})
	}
}

// outage is a fault that lasts longer than the lease: every worker may lose what
// it holds, and nobody is to be charged for it.
func outage(d time.Duration, inject, heal func(r *rig)) func(r *rig) {
	return func(r *rig) {
		from := Now()
		lasting(d, inject, heal)(r)
		r.hit(0, from)
	}
}

// again and again does something for d.
func again(d, every time.Duration, f func(r *rig)) func(r *rig) {
	return func(r *rig) {
		r.each(d, every, func() { f(r) })
		r.tell(Event{Type: Healed})
	}
}

func command(args ...any) func(r *rig) { return func(r *rig) { r.ctl(args...) } }

func nothing(*rig) {}

func table() []fault {
	var all []fault
	all = append(all, processFaults()...)
	all = append(all, serverFaults()...)
	return all
}

// processFaults strike workers.
func processFaults() []fault {
	deaths := func(do string) func(r *rig) {
		return func(r *rig) { r.submit(payload{MS: 20, Do: do}, payload{MS: 20, Do: do}) }
	}
	return []fault{
		{name: "kill -9 of a worker before the run", do: deaths(dieBefore)},
		{name: "kill -9 of a worker in the run", do: deaths(dieIn)},
		{name: "kill -9 of a worker after the run", do: deaths(dieAfter)},
		{name: "kill -9 of a worker between two batches", quiet: true, do: killBetweenBatches},
		{name: "kill -9 of every worker in turn", do: killEach},
		{name: "SIGSTOP past the lease, then SIGCONT", do: stopPastLease},
		{name: "SIGSTOP of an idle worker, then a job arrives", quiet: true, workers: 2, do: stopIdle},
		{name: "a poison job among innocents", do: func(r *rig) {
			r.submit(payload{Do: Poison}, payload{MS: 20}, payload{MS: 20})
		}},
		{name: "SIGTERM in a rolling restart of three workers", do: func(r *rig) {
			for _, p := range r.crew() {
				p.restart()
			}
		}},
	}
}

func killEach(r *rig) {
	for _, p := range r.crew() {
		p.kill()
		r.last(300 * time.Millisecond)
	}
}

func killBetweenBatches(r *rig) {
	batch := make([]payload, 30)
	for i := range batch {
		batch[i].MS = 5
	}
	for _, p := range r.crew() {
		r.submit(batch...)
		r.settled()
		p.signal(syscall.SIGKILL) // nothing is held, so no hit may explain a second run
		r.tell(Event{Type: Healed})
		r.submit(batch...)
		r.settled()
	}
}

func stopPastLease(r *rig) {
	p := r.crew()[0]
	from := Now()
	p.signal(syscall.SIGSTOP)
	r.last(2 * r.lease)
	p.signal(syscall.SIGCONT)
	r.last(100 * time.Millisecond)
	r.hit(p.pid(), from)
}

func stopIdle(r *rig) {
	for _, p := range r.crew() {
		r.settled()
		from := Now()
		p.signal(syscall.SIGSTOP)
		r.tell(Event{Type: Healed}) // the recovery is that of a job that comes now
		r.submit(payload{MS: 1})
		r.last(2 * r.lease)
		p.signal(syscall.SIGCONT)
		r.hit(p.pid(), from)
	}
}

// serverFaults strike Redis, or what lies in it.
func serverFaults() []fault {
	nowhere := command("REPLICAOF", "127.0.0.1", "1")
	return []fault{
		{name: "redis-server stopped with SIGSTOP past the lease", noStalls: true, do: outage(5*time.Second, signalServer(syscall.SIGSTOP), signalServer(syscall.SIGCONT))},
		{name: "CLIENT KILL in a loop", noStalls: true, do: again(3*time.Second, 50*time.Millisecond, command("CLIENT", "KILL", "USER", "default"))},
		{name: "CLIENT PAUSE longer than the lease", noStalls: true, do: outage(5*time.Second, command("CLIENT", "PAUSE", 5000, "ALL"), nothing)},
		{name: "SCRIPT FLUSH in a loop", noStalls: true, do: again(3*time.Second, 20*time.Millisecond, command("SCRIPT", "FLUSH", "SYNC"))},
		{name: "REPLICAOF under load", noStalls: true, do: lasting(700*time.Millisecond, nowhere, command("REPLICAOF", "NO", "ONE"))},
		{name: "REPLICAOF for longer than the lease", noStalls: true, do: outage(5*time.Second, nowhere, command("REPLICAOF", "NO", "ONE"))},
		{name: "maxmemory reached and lifted", noStalls: true, do: lasting(5*time.Second, command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0"))},
		{name: "ACL denial of each command in turn", noStalls: true, do: denyEach},
		{name: "junk injected", noStalls: true, do: injectJunk},
		{name: "keys of a wrong type", noStalls: true, do: wrongTypes},
		{name: "FLUSHALL", loses: "what was acknowledged before", do: func(r *rig) {
			from := Now()
			r.ctl("FLUSHALL")
			r.lostUntilNow()
			r.hit(0, from)
			r.tell(Event{Type: Healed})
		}},
	}
}

func signalServer(s syscall.Signal) func(r *rig) {
	return func(r *rig) {
		if err := syscall.Kill(r.site.servers[0].PID(), s); err != nil {
			r.Error(err)
		}
	}
}

// denied are the commands that Colony sends or calls in scripts, each denied in
// turn for less than a beat.
var denied = []string{
	"evalsha", "eval", "blmove", "client|unblock", "client|id", "publish", "subscribe", "sadd", "time", "type",
	"hset", "hget", "hmget", "hdel", "hincrby", "hlen", "hkeys", "hexists",
	"lrange", "llen", "lpush", "rpush", "ltrim",
	"zadd", "zrem", "zscore", "zcard", "zcount", "zrange", "zrangebyscore", "zremrangebyscore",
	"get", "set", "del", "pexpire",
}

func denyEach(r *rig) {
	for _, c := range denied {
		r.ctl("ACL", "SETUSER", "default", "-"+c)
		r.last(150 * time.Millisecond)
		r.ctl("ACL", "SETUSER", "default", "+"+c)
		r.last(300 * time.Millisecond)
	}
	r.ctl("ACL", "SETUSER", "default", "+@all")
	r.tell(Event{Type: Healed})
}

// injectJunk pushes what no producer of Colony would, and jobs of a foreign
// producer, which count.
func injectJunk(r *rig) {
	junk := []string{"", "not json", "[1]", "null", "{}", `{"kind":""}`, "\xff\xfe\x00", `{"id":"short","kind":"x`, `{"kind":5}`}
	r.each(time.Second, 100*time.Millisecond, func() {
		for _, j := range junk {
			r.ctl("RPUSH", r.keys.Ready, j)
		}
		r.mu.Lock()
		r.unread += len(junk)
		r.mu.Unlock()
		r.foreign()
		r.ctl("ZADD", r.keys.Scheduled, 1, "nobody")
	})
	r.tell(Event{Type: Healed})
}

func (r *rig) foreign() {
	p := payload{Job: int(r.number.Add(1)), MS: 1}
	body, err := json.Marshal(p)
	if err != nil {
		r.Error(err)
		return
	}
	r.tell(Event{Type: Asked, Job: p.Job, Note: Alien})
	r.ctl("RPUSH", r.keys.Ready, fmt.Sprintf(`{"kind":%q,"payload":%s}`, kind, body))
}

// wrongTypes puts a string where another type belongs, for a moment and only
// where nothing lies: what was overwritten would be lost.
func wrongTypes(r *rig) {
	for _, key := range []string{r.keys.Arrivals, r.keys.Suspect, r.keys.Dead, r.keys.Scheduled, r.keys.Cancelled} {
		set, err := r.admin.SetNX(r.Context(), key, "wrong", 0).Result()
		if err != nil {
			r.Error(err)
		}
		if set {
			r.last(400 * time.Millisecond)
			r.ctl("DEL", key)
		}
		r.last(300 * time.Millisecond)
	}
	r.tell(Event{Type: Healed})
}
