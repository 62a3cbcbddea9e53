package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const second = int64(1_000_000) // in the unit of histories

// story makes histories: job numbers are small, ids follow from them.
type story struct {
	events []Event
	final  Final
	rules  Rules
}

func id(n int) string { return fmt.Sprintf("id-%d", n) }

func (s *story) add(e Event) *story {
	s.events = append(s.events, e)
	return s
}

func (s *story) asked(n int, at int64) *story { return s.add(Event{At: at, Type: Asked, Job: n}) }

func (s *story) ok(n int, at int64) *story {
	s.final.Enqueued++
	return s.asked(n, at-1).add(Event{At: at, Type: OK, Job: n, ID: id(n)})
}

func (s *story) started(n, pid int, fence, at int64) *story {
	return s.add(Event{At: at, Type: Started, Job: n, ID: id(n), PID: pid, Fence: fence})
}

func (s *story) finished(n, pid int, fence, at int64, how string) *story {
	return s.add(Event{At: at, Type: Finished, Job: n, ID: id(n), PID: pid, Fence: fence, Note: how})
}

// ended is a settlement that Redis counted.
func (s *story) ended() *story {
	s.final.Ended++
	return s
}

// done is a job's whole life.
func (s *story) done(n int) *story {
	at := int64(n) * second / 100
	return s.ok(n, at).started(n, 7, 1, at+10).finished(n, 7, 1, at+20, RunOK).ended()
}

func (s *story) lies(n int, place, reason string) *story {
	s.final.Jobs = append(s.final.Jobs, Lying{ID: id(n), Place: place, Reason: reason})
	return s
}

func begin() *story {
	s := &story{rules: Rules{Lease: 2 * time.Second}}
	s.final.Keys = []Key{{Name: "meta"}, {Name: "queues"}, {Name: "producer:x", TTL: time.Minute}}
	return s.done(1).done(2)
}

// The checker passes what is right.
func TestCheckPasses(t *testing.T) {
	for name, s := range map[string]*story{
		"nothing happened": {},
		"all done":         begin(),
		"a failure and a second run": begin().ok(3, 100).started(3, 7, 1, 110).finished(3, 7, 1, 120, RunFailed).
			started(3, 8, 2, 200).finished(3, 8, 2, 210, RunOK).ended(),
		"killed in the run": begin().ok(3, 100).started(3, 7, 1, 110).add(Event{At: 120, Type: Dying, PID: 7}).
			started(3, 8, 2, 3*second).finished(3, 8, 2, 3*second+10, RunOK).ended(),
		"killed after the run": begin().ok(3, 100).started(3, 7, 1, 110).finished(3, 7, 1, 115, RunOK).add(Event{At: 120, Type: Dying, PID: 7}).
			started(3, 8, 2, 3*second).finished(3, 8, 2, 3*second+10, RunOK).ended(),
		"refused and never seen": begin().asked(3, 100).add(Event{At: 110, Type: Failed, Job: 3}),
		"unknown, and it never came": begin().asked(3, 100).
			add(Event{At: 110, Type: Unknown, Job: 3, ID: id(3)}),
		"unknown, and it ran": func() *story {
			s := begin().asked(3, 100).add(Event{At: 110, Type: Unknown, Job: 3, ID: id(3)}).started(3, 7, 1, 120).finished(3, 7, 1, 130, RunOK).ended()
			s.final.Enqueued++
			return s
		}(),
		"poison is dead": func() *story {
			s := begin().add(Event{At: 90, Type: Asked, Job: 3, Note: Poison}).add(Event{At: 95, Type: OK, Job: 3, ID: id(3)})
			s.final.Enqueued++
			for i := range int64(4) {
				s.started(3, int(10+i), i+1, 100+i*second).add(Event{At: 110 + i*second, Type: Dying, PID: int(10 + i)})
			}
			s.final.Keys = append(s.final.Keys, Key{Name: "dead"}, Key{Name: "parked"})
			return s.lies(3, "dead", "stalled")
		}(),
		"a lease lost to the fault": func() *story {
			s := begin().ok(3, 100).started(3, 7, 1, 110).add(Event{At: 2 * second, Type: LeaseLost, PID: 7}).finished(3, 7, 1, 2*second+1, RunLost).
				started(3, 8, 2, 3*second).finished(3, 8, 2, 3*second+10, RunOK).ended()
			s.rules.Hits = []Hit{{From: 105, To: 3 * second}}
			return s
		}(),
		"lost by a fault that may lose": func() *story {
			s := begin().ok(3, 100)
			s.final.Enqueued--
			s.rules.Losses = []Hit{{To: second}}
			return s
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			if r := Check(s.events, s.final, s.rules); len(r.Violations) > 0 {
				t.Errorf("%q", r.Violations)
			}
		})
	}
}

// The checker finds every kind of wrong, and says what it is.
func TestCheckFinds(t *testing.T) {
	for want, s := range map[string]*story{
		"is lost: acknowledged":  begin().ok(3, 100).ended(),
		"still lies in ready":    begin().ok(3, 100).lies(3, "ready", ""),
		"in ready and arrivals":  begin().ok(3, 100).lies(3, "ready", "").lies(3, "arrivals", ""),
		"but 0 jobs lie":         begin().ok(3, 100).started(3, 7, 1, 110).finished(3, 7, 1, 120, RunOK),
		"but 1 jobs lie":         begin().done(3).lies(3, "ready", ""),
		"enqueued 2 − ended 3":   begin().ended(),
		"have no fault to":       begin().done(3).started(3, 8, 2, second).finished(3, 8, 2, second+10, RunOK),
		"has fence 1, an":        begin().done(3).started(3, 8, 1, second).finished(3, 8, 1, second+10, RunOK),
		"nobody asked":           begin().started(3, 7, 1, 110).finished(3, 7, 1, 120, RunOK),
		"was told that it fail":  begin().asked(3, 100).add(Event{At: 105, Type: Failed, Job: 3}).started(3, 7, 1, 110).finished(3, 7, 1, 120, RunOK),
		"never got an answer":    begin().asked(3, 100),
		"exists twice":           begin().done(3).add(Event{At: second, Type: Started, Job: 3, ID: "other", PID: 7, Fence: 1}),
		"have one id":            begin().done(3).asked(4, 100).add(Event{At: 110, Type: OK, Job: 4, ID: id(3)}),
		"that it never started":  begin().finished(1, 9, 5, second, RunOK),
		"did nothing to deserve": begin().ok(3, 100).lies(3, "dead", "stalled"),
		"redis counts 3 jobs":    func() *story { s := begin().ended(); s.final.Enqueued++; return s }(),
		"unreadable entries":     func() *story { s := begin(); s.rules.Unread = 1; return s }(),
		"nobody asked for it":    begin().lies(9, "dead", "failed"),
		"left goroutines":        begin().add(Event{At: second, Type: Leak, PID: 7, Note: "x"}),
		"no fault says why":      begin().add(Event{At: second, Type: LeaseLost, PID: 7}),
		"charged a stall":        func() *story { s := begin(); s.rules.Seen = 1; return s }(),
		"key active:x was left":  func() *story { s := begin(); s.final.Keys = append(s.final.Keys, Key{Name: "active:x"}); return s }(),
		"key producer:y was":     func() *story { s := begin(); s.final.Keys = append(s.final.Keys, Key{Name: "producer:y"}); return s }(),
		"still registered":       func() *story { s := begin(); s.final.Workers = []string{"w"}; return s }(),
		"connection was left":    func() *story { s := begin(); s.final.Clients = []string{"c"}; return s }(),
		"a stray":                func() *story { s := begin(); s.final.Strays = []string{"a stray"}; return s }(),
		"is lost:":               func() *story { s := begin().ok(3, 9*second).ended(); s.rules.Losses = []Hit{{To: second}}; return s }(),
		"id-3) is lost": func() *story {
			s := begin().ok(3, 100).ended()
			s.rules.Losses = []Hit{{From: second, To: 2 * second}}
			return s
		}(),
	} {
		t.Run(want, func(t *testing.T) {
			r := Check(s.events, s.final, s.rules)
			if !strings.Contains(strings.Join(r.Violations, "\n"), want) {
				t.Errorf("found %q, want one with %q", r.Violations, want)
			}
		})
	}
}

// A kill excuses what its worker held then, and neither what another one held nor
// what was settled long before.
func TestCheckExcusesOnlyTheStruck(t *testing.T) {
	again := func(pid int, killed int64) *story {
		s := begin().ok(3, 100).started(3, 7, 1, 110).finished(3, 7, 1, 120, RunOK).
			started(3, 8, 2, 9*second).finished(3, 8, 2, 9*second+10, RunOK).ended()
		s.rules.Hits = []Hit{{PID: pid, From: killed, To: killed}}
		return s
	}
	for _, x := range []struct {
		name    string
		s       *story
		excused bool
	}{
		{"its worker, before it was settled", again(7, 200), true},
		{"another worker", again(9, 200), false},
		{"its worker, long after", again(7, 5*second), false},
	} {
		r := Check(x.s.events, x.s.final, x.s.rules)
		if excused := len(r.Violations) == 0; excused != x.excused {
			t.Errorf("%s: excused %v; violations %q", x.name, excused, r.Violations)
		}
	}
}

// Recovery is the longest time from a worker's death, or the end of a fault,
// until what it struck runs.
func TestCheckMeasuresRecovery(t *testing.T) {
	s := begin().ok(3, 100).started(3, 7, 1, 110).add(Event{At: 1000, Type: Dying, PID: 7}).
		started(3, 8, 2, 1000+2*second).finished(3, 8, 2, 1010+2*second, RunOK).ended().
		add(Event{At: 10 * second, Type: Healed}).ok(4, 10*second+5).started(4, 8, 1, 11*second).finished(4, 8, 1, 11*second+1, RunOK).ended()
	r := Check(s.events, s.final, s.rules)
	if r.Recovery != 2*time.Second || r.Doubled != 1 || r.Hit != 1 || len(r.Violations) > 0 {
		t.Errorf("%+v", r)
	}
}

// Of a failover, recovery is the longest time without a run while it went on.
func TestCheckMeasuresGaps(t *testing.T) {
	s := &story{}
	for n, at := range []int64{1, 6, 8, 11, 30} {
		s.ok(n+1, at*second-10).started(n+1, 7, 1, at*second).finished(n+1, 7, 1, at*second+1, RunOK).ended()
	}
	s.add(Event{At: 12 * second, Type: Gap, Job: 6500})
	if r := Check(s.events, s.final, s.rules); r.Recovery != 3*time.Second {
		t.Errorf("%+v", r)
	}
}

// The report is a table with one line a row, in the order of the faults, and sums.
func TestWriteReport(t *testing.T) {
	var b strings.Builder
	rows := []Row{
		{Fault: "b", Site: "cluster", Injected: 1, Loses: "all", Result: Result{Jobs: 10, Lost: 2}, Bound: 4 * time.Second},
		{Fault: "a", Site: "standalone", Injected: 3, Result: Result{Jobs: 5, Doubled: 1, Recovery: 1500 * time.Millisecond}, Bound: 4 * time.Second},
	}
	if err := WriteReport(&b, map[string]int{"a": 0, "b": 1}, rows); err != nil {
		t.Fatal(err)
	}
	want := `| a | standalone | 3 | 5 | 0 | 0 | 0 | 1 | 1.50 s | 4.00 s |
| b | cluster | 1 | 10 | 0 | 0 | 2 (all) | 0 |  | 4.00 s |
| all |  | 4 | 15 | 0 | 0 | 2 | 1 |  |  |
`
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// A report takes the place of the one before it and leaves the page around it.
func TestInsertReport(t *testing.T) {
	page := "above\n" + reportBegin + "\nold\n" + reportEnd + "\nbelow\n"
	got, err := InsertReport(page, "new\n")
	if want := "above\n" + reportBegin + "\n\nnew\n\n" + reportEnd + "\nbelow\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := InsertReport("no place", "new"); err == nil {
		t.Error("a page without a place for it was accepted")
	}
}
