package faults

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// fault is one row of the table.
type fault struct {
	name  string
	sites []opener     // what it is run on; none = a standalone server
	do    func(r *rig) // injects it, lets it last, heals it
	loses string       // what Redis may forget by it; "" = nothing

	lease     time.Duration // 0 = 2 s
	workers   int           // 0 = 3
	producers int           // 0 = 2
	quiet     bool          // no steady load: do enqueues what it needs
	noStalls  bool          // nobody may be charged a stall
	once      bool          // also the long form does it once
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
		f.sites = []opener{standalone}
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
	parallel int
}

var (
	short = shape{name: "short", pace: 20 * time.Millisecond, warm: 500 * time.Millisecond, patience: time.Minute, times: 1, parallel: 5}
	long  = shape{name: "long", pace: 10 * time.Millisecond, warm: 2 * time.Second, patience: 2 * time.Minute, times: 3, tail: 3 * time.Second, parallel: 4}
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
	flag.Parse()
	// Faults mostly wait: more of them fit beside each other than there are cores.
	if err := flag.Set("test.parallel", fmt.Sprint(form.parallel)); err != nil {
		panic(err)
	}
	os.Exit(redistest.Main(m))
}

// Whatever breaks, nothing that was acknowledged is lost, nothing runs again
// without need, no settlement counts twice, and nothing is left behind.
func TestFaults(t *testing.T) {
	report := reporter{began: time.Now()}
	t.Run("all", func(t *testing.T) {
		for _, f := range table() {
			f = f.withDefaults()
			for _, where := range places(f) {
				t.Run(strings.ReplaceAll(f.name, " ", "-")+where.suffix, func(t *testing.T) {
					t.Parallel()
					s := where.open(t, where.binary.Path)
					if where.binary.Name != "" {
						s.name += ", " + where.binary.Name
					}
					inject(t, f, s, &report)
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

// place is where a fault is injected.
type place struct {
	open   opener
	binary redistest.Binary
	suffix string // of the test's name
}

// places are those of a fault; the long form has every server program that
// REDIS_SERVERS names.
func places(f fault) (all []place) {
	binaries := redistest.Binaries()
	if form.name != long.name {
		binaries = binaries[:1]
	}
	for _, b := range binaries {
		for n, open := range f.sites {
			p := place{open: open, binary: b}
			if n > 0 {
				p.suffix = fmt.Sprintf("-%d", n+1)
			}
			if b.Name != "" {
				p.suffix += "-" + b.Name
			}
			all = append(all, p)
		}
	}
	return all
}

func inject(t *testing.T, f fault, s site, report *reporter) {
	r := newRig(t, f, s)
	server := r.version()
	result := r.run()
	t.Logf("%+v", result)
	for _, v := range result.Violations[:min(20, len(result.Violations))] {
		t.Error(v)
	}
	if limit := 3 * (f.lease + 2*time.Second + f.slack); result.Recovery > limit {
		t.Errorf("recovered after %v; even a busy machine should not need %v", result.Recovery, limit)
	}
	report.add(server, Row{
		Fault: f.name, Site: s.name, Injected: form.rounds(f), Loses: f.loses, Result: result,
		Bound: f.lease + 2*time.Second + f.slack,
	})
}

// reporter collects rows from tests that run beside each other.
type reporter struct {
	began  time.Time
	mu     sync.Mutex
	rows   []Row
	server string
}

func (r *reporter) add(server string, row Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.Contains(r.server, server) {
		r.server += strings.TrimPrefix(" and "+server, map[bool]string{true: " and "}[r.server == ""])
	}
	r.rows = append(r.rows, row)
}

func (r *reporter) write(path string) error {
	order := map[string]int{}
	for i, f := range table() {
		order[f.name] = i
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s form, %s, %s, %d cores, lease 2 s, %v in all.\n\n",
		strings.ToUpper(form.name[:1])+form.name[1:], r.server, runtime.Version(), runtime.NumCPU(), time.Since(r.began).Round(time.Second))
	if err := WriteReport(&table, order, r.rows); err != nil {
		return err
	}
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	whole, err := InsertReport(string(page), table.String())
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(whole), 0o644)
}

// lasting injects, waits and heals.
func lasting(d time.Duration, inject, heal func(r *rig)) func(r *rig) {
	return func(r *rig) {
		r.occupy(1500 * time.Millisecond)
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
	all = append(all, networkFaults()...)
	all = append(all, clusterFaults()...)
	all = append(all, sentinelFaults()...)
	return all
}
