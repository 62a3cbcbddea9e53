package faults

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// settleSlack is how long after its end a run may still be unsettled on a busy
// machine: a fault that hits its worker within this time has hit the run.
const settleSlack = time.Second

// Final is what lies in Redis when producers and workers have ended.
type Final struct {
	Enqueued, Ended int64 // the queue's counters
	Jobs            []Lying
	Keys            []Key
	Workers         []string // incarnations that are still registered
	Clients         []string // connections that are not the test's own
	Strays          []string // ids with an envelope and no state, or the reverse
}

// Lying is one job in one place.
type Lying struct {
	ID, Place, Reason string
}

// Key is one key of the namespace. Name is what stands behind {queue}: or, for
// others, the whole name.
type Key struct {
	Name string
	TTL  time.Duration // 0 = none
}

// Hit is a time in which a fault may have cost a worker its deliveries.
type Hit struct {
	PID      int // 0 = every worker
	From, To int64
}

// Rules are what the fault declares.
type Rules struct {
	Lease  time.Duration
	Hits   []Hit
	Losses []Hit // what was asked for in these times may be missing, because the fault made Redis forget
	Unread int   // junk that was pushed by hand and must lie in dead
	Seen   int64 // 0, or the stalls that were seen on jobs though nobody may be charged any
}

// Result is what the checker found.
type Result struct {
	Violations []string
	Jobs       int           // acknowledged
	Refused    int           // told to have failed
	Unknown    int           // outcome unknown to the producer
	Lost       int           // acknowledged and missing
	Doubled    int           // runs beyond the first that followed no failure
	Hit        int           // of these, explained by the fault
	Starved    int           // times that the machine starved a worker
	Recovery   time.Duration // longest time until jobs ran (again) after a fault
}

// run is one start of a handler.
type run struct {
	Event
	ended   int64 // 0 = never
	outcome string
}

// job is all that is known of one number.
type job struct {
	number          int
	note            string
	id              string // that producers were told
	asked, acked    bool
	askedAt         int64
	failed, unknown bool
	runs            []*run
	places          []string
	reason          string
}

type checker struct {
	rules  Rules
	final  Final
	jobs   map[int]*job
	byID   map[string]*job
	hits   []Hit
	starve []Hit
	losses []Event
	healed int64   // when a fault was over, until a job was started
	starts []int64 // of all runs
	result Result
}

// Check holds a history against what lies in Redis in the end.
func Check(history []Event, final Final, rules Rules) Result {
	c := &checker{rules: rules, final: final, jobs: map[int]*job{}, byID: map[string]*job{}, hits: slices.Clone(rules.Hits)}
	history = slices.Clone(history)
	slices.SortStableFunc(history, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range history {
		c.read(e)
	}
	c.place()
	for _, n := range slices.Sorted(maps.Keys(c.jobs)) {
		c.checkAnswers(c.jobs[n])
		c.checkFate(c.jobs[n])
		c.checkRuns(c.jobs[n])
	}
	c.checkCounters()
	c.checkLeaks()
	c.checkLeases()
	return c.result
}

func (c *checker) violated(format string, args ...any) {
	c.result.Violations = append(c.result.Violations, fmt.Sprintf(format, args...))
}

func (c *checker) job(number int) *job {
	j := c.jobs[number]
	if j == nil {
		j = &job{number: number}
		c.jobs[number] = j
	}
	return j
}

// read takes in one event, in the order of time.
func (c *checker) read(e Event) {
	switch e.Type {
	case Asked:
		j := c.job(e.Job)
		j.asked, j.askedAt, j.note = true, e.At, e.Note
	case OK, Failed, Unknown:
		c.readAnswer(c.job(e.Job), e)
	case Started:
		j := c.job(e.Job)
		c.name(j, e.ID)
		j.runs = append(j.runs, &run{Event: e})
		c.starts = append(c.starts, e.At)
		if c.healed > 0 {
			c.result.Recovery = max(c.result.Recovery, time.Duration(e.At-c.healed)*time.Microsecond)
			c.healed = 0
		}
	case Finished:
		c.readEnd(e)
	case Dying:
		c.hits = append(c.hits, Hit{PID: e.PID, From: e.At, To: e.At})
	case Starved:
		c.result.Starved++
		gap := time.Duration(e.Job) * time.Millisecond
		c.starve = append(c.starve, Hit{PID: e.PID, From: e.At - gap.Microseconds(), To: e.At})
	case LeaseLost:
		c.losses = append(c.losses, e)
	case Healed:
		c.healed = e.At
	case Gap:
		c.readGap(e.At-int64(e.Job)*1000, e.At)
	case Leak:
		c.violated("worker %d left goroutines behind: %s", e.PID, e.Note)
	}
}

// readGap looks for the longest time without a run.
func (c *checker) readGap(from, to int64) {
	last := from
	for _, at := range append(c.starts, to) {
		if at > last {
			c.result.Recovery = max(c.result.Recovery, time.Duration(at-last)*time.Microsecond)
			last = at
		}
	}
}

func (c *checker) readAnswer(j *job, e Event) {
	switch e.Type {
	case OK:
		j.acked = true
		c.result.Jobs++
	case Unknown:
		j.unknown = true
		c.result.Unknown++
	default:
		j.failed = true
		c.result.Refused++
	}
	if e.ID != "" {
		c.name(j, e.ID)
	}
}

// name ties a number to its id, one to one.
func (c *checker) name(j *job, id string) {
	if j.id == "" {
		j.id = id
	}
	if j.id != id {
		c.violated("job %d exists twice: as %s and as %s", j.number, j.id, id)
	}
	if other := c.byID[id]; other != nil && other != j {
		c.violated("jobs %d and %d have one id, %s", other.number, j.number, id)
	}
	c.byID[id] = j
}

func (c *checker) readEnd(e Event) {
	for _, r := range c.job(e.Job).runs {
		if r.ID == e.ID && r.Fence == e.Fence && r.PID == e.PID && r.ended == 0 {
			r.ended, r.outcome = e.At, e.Note
			return
		}
	}
	c.violated("job %d: worker %d finished run %d that it never started", e.Job, e.PID, e.Fence)
}

// place notes where jobs lie.
func (c *checker) place() {
	unread := 0
	for _, l := range c.final.Jobs {
		j := c.byID[l.ID]
		switch {
		case j != nil:
			j.places, j.reason = append(j.places, l.Place), l.Reason
		case l.Reason == "unreadable":
			unread++
		default:
			c.violated("%s lies in %s and nobody asked for it", l.ID, l.Place)
		}
	}
	if unread != c.rules.Unread && len(c.rules.Losses) == 0 {
		c.violated("%d unreadable entries lie in dead, %d were pushed", unread, c.rules.Unread)
	}
	for _, s := range c.final.Strays {
		c.violated("%s", s)
	}
}

func (c *checker) checkAnswers(j *job) {
	ran := len(j.runs) > 0 || len(j.places) > 0
	switch {
	case ran && !j.asked:
		c.violated("job %d ran or lies there, and nobody asked for it", j.number)
	case ran && j.failed:
		c.violated("job %d ran or lies there, though its producer was told that it failed", j.number)
	case j.asked && j.note != Alien && !j.acked && !j.failed && !j.unknown:
		c.violated("job %d: its producer never got an answer", j.number)
	}
}

// checkFate: one end or one place.
func (c *checker) checkFate(j *job) {
	if len(j.places) > 1 {
		c.violated("job %d (%s) lies in %s at once", j.number, j.id, strings.Join(j.places, " and "))
	}
	ended := slices.ContainsFunc(j.runs, func(r *run) bool { return r.outcome == RunOK })
	lies := len(j.places) > 0
	switch {
	case lies && j.note == Poison && j.places[0] == "dead" && j.reason == "stalled":
	case lies && j.places[0] == "dead":
		c.violated("job %d (%s) is dead, reason %q, and did nothing to deserve it", j.number, j.id, j.reason)
	case lies:
		c.violated("job %d (%s) still lies in %s", j.number, j.id, j.places[0])
	case j.acked && !ended && c.forgotten(j.askedAt):
		c.result.Lost++
	case j.acked && !ended, j.note == Alien && !ended && len(c.rules.Losses) == 0:
		c.result.Lost++
		c.violated("job %d (%s) is lost: acknowledged, never done, and it lies nowhere", j.number, j.id)
	}
}

func (c *checker) forgotten(at int64) bool {
	return slices.ContainsFunc(c.rules.Losses, func(h Hit) bool { return at >= h.From && at <= h.To })
}

// checkRuns: every run but one is explained, and no delivery ran twice.
func (c *checker) checkRuns(j *job) {
	unexplained, needless := 0, 0
	for i, r := range j.runs {
		if i > 0 && r.Fence <= j.runs[i-1].Fence && len(c.rules.Losses) == 0 {
			c.violated("job %d (%s): the run by %d has fence %d, an earlier one by %d had %d", j.number, j.id, r.PID, r.Fence, j.runs[i-1].PID, j.runs[i-1].Fence)
		}
		hit := c.struck(r)
		if !hit && r.outcome != RunFailed && r.outcome != RunInterrupted {
			unexplained++
		}
		if r.outcome != RunFailed && i < len(j.runs)-1 {
			needless++
		}
		// Suspects wait until a worker holds nothing else; that has no bound.
		if r.ended == 0 && i < len(j.runs)-1 && hit && j.note != Poison {
			c.result.Recovery = max(c.result.Recovery, c.sinceDeath(r, j.runs[i+1]))
		}
	}
	c.result.Doubled += needless
	c.result.Hit += min(needless, len(j.runs)-unexplained)
	if unexplained > 1 {
		c.violated("job %d (%s) ran %d times, of which %d have no fault to explain them: %s", j.number, j.id, len(j.runs), unexplained, j.story())
	}
}

func (j *job) story() string {
	var b strings.Builder
	for _, r := range j.runs {
		fmt.Fprintf(&b, " [fence %d by %d from %d to %d %s]", r.Fence, r.PID, r.At, r.ended, r.outcome)
	}
	return b.String()
}

// struck: a fault came over the run's worker between its start and its settlement.
func (c *checker) struck(r *run) bool {
	over := func(h Hit) bool {
		return (h.PID == 0 || h.PID == r.PID) && r.At <= h.To+c.rules.Lease.Microseconds() &&
			(r.ended == 0 || r.ended+settleSlack.Microseconds() >= h.From)
	}
	return slices.ContainsFunc(c.hits, over) || slices.ContainsFunc(c.starve, over)
}

// sinceDeath is how long after its worker's death a run began again.
func (c *checker) sinceDeath(r, next *run) time.Duration {
	for _, h := range c.hits {
		if h.PID == r.PID && h.From >= r.At {
			return time.Duration(next.At-h.From) * time.Microsecond
		}
	}
	return 0
}

// checkCounters: what was accepted is what has ended and what lies. A second
// settlement that was accepted, a job that is in two places or in none, all show
// here, whatever the history says.
func (c *checker) checkCounters() {
	lies := int64(len(c.final.Jobs))
	if c.final.Enqueued-c.final.Ended != lies {
		c.violated("enqueued %d − ended %d = %d, but %d jobs lie there", c.final.Enqueued, c.final.Ended, c.final.Enqueued-c.final.Ended, lies)
	}
	accepted := int64(c.rules.Unread)
	for _, j := range c.jobs {
		if j.acked || len(j.runs) > 0 || len(j.places) > 0 {
			accepted++
		}
	}
	if c.final.Enqueued != accepted && (len(c.rules.Losses) == 0 || c.final.Enqueued > accepted) {
		c.violated("redis counts %d jobs as enqueued, producers and workers know %d", c.final.Enqueued, accepted)
	}
}

// checkLeaks: nothing is left but what has a reason or an end.
func (c *checker) checkLeaks() {
	for _, k := range c.final.Keys {
		if !c.mayStay(k) {
			c.violated("key %s was left behind (ttl %v)", k.Name, k.TTL)
		}
	}
	for _, w := range c.final.Workers {
		c.violated("worker %s is still registered", w)
	}
	for _, conn := range c.final.Clients {
		c.violated("connection was left open: %s", conn)
	}
}

func (c *checker) mayStay(k Key) bool {
	switch k.Name {
	case "queues", "meta":
		return true
	case "dead", "parked":
		return len(c.final.Jobs) > 0
	}
	return k.TTL > 0
}

// checkLeases: no worker loses its lease without cause.
func (c *checker) checkLeases() {
	for _, e := range c.losses {
		caused := func(h Hit) bool {
			return (h.PID == 0 || h.PID == e.PID) && e.At >= h.From && e.At <= h.To+2*c.rules.Lease.Microseconds()
		}
		if !slices.ContainsFunc(c.hits, caused) && !slices.ContainsFunc(c.starve, caused) {
			c.violated("worker %d lost its lease at %d and no fault says why: %s", e.PID, e.At, e.Note)
		}
	}
	if c.rules.Seen > 0 {
		c.violated("%d jobs were charged a stall for an outage that was not their workers'", c.rules.Seen)
	}
}
