package fsck

import (
	"fmt"
	"io"
	"strings"
)

// Kind is a sort of damage.
type Kind string

// The kinds of damage.
const (
	Missing      Kind = "missing"       // fewer jobs lie in the queue than were enqueued and have not ended
	Surplus      Kind = "surplus"       // more do
	Double       Kind = "double"        // one id lies in two places
	NoEnvelope   Kind = "no_envelope"   // an id in scheduled, retry, dead or done without its job
	NotListed    Kind = "not_listed"    // a job in parked that none of these sets names
	NoWorker     Kind = "no_worker"     // a hand (active:…) whose worker is not in workers
	JunkInHand   Kind = "junk_in_hand"  // a field of a hand that names no delivery
	NoExpiry     Kind = "no_expiry"     // a key that should expire and would not
	WrongType    Kind = "wrong_type"    // a key of ours that somebody else's command made
	UnknownQueue Kind = "unknown_queue" // a queue that is not in the set of queues
)

// advice is what to do about each kind, and whether --repair can.
var advice = map[Kind]struct {
	do      string
	repairs bool
}{
	Missing:      {"jobs are lost: look for a failover, a restore or a deletion by hand, and enqueue again what the producers know of; nothing here can bring them back", false},
	Surplus:      {"the counters are behind: look for a restore, a lost meta key, or a producer that writes n and s itself; when the cause is known, HINCRBY the field enqueued of meta by the difference", false},
	Double:       {"--repair merges copies that are the same to the last byte and both wait; else decide which of the places is right, and delete the other by hand", true},
	NoEnvelope:   {"--repair takes the ids out; their jobs are lost, so enqueue them again if you can", true},
	NotListed:    {"--repair makes them dead jobs with reason orphaned, to look at", true},
	NoWorker:     {"--repair hands them to the next worker that beats, which puts the jobs back as after any worker's death", true},
	JunkInHand:   {"it was written by hand: HDEL it, or leave it: it goes back to ready with its worker's end", false},
	NoExpiry:     {"--repair gives it its time to live", true},
	WrongType:    {"another program wrote it: look what it holds, then RENAME it out of the way or DEL it", false},
	UnknownQueue: {"--repair adds it; a producer that pushes to the list itself should SADD the name, too", true},
}

// maxJobs is how many ids a finding shows.
const maxJobs = 10

// Finding is one kind of damage of one key.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Queue    string   `json:"queue,omitempty"` // with /N behind it, a partition
	Key      string   `json:"key"`
	Count    int64    `json:"count"`          // of jobs, fields or ids; 1 where it is about the key
	Jobs     []string `json:"jobs,omitempty"` // up to ten of their ids
	Detail   string   `json:"detail,omitempty"`
	Do       string   `json:"do"`
	Repaired bool     `json:"repaired"`

	all []string // ids, for the repair
	p   *partition
}

// QueueReport is a partition at one instant.
type QueueReport struct {
	Queue     string `json:"queue"`
	Enqueued  int64  `json:"enqueued"`  // ever
	Ended     int64  `json:"ended"`     // ever
	Lying     int64  `json:"lying"`     // now, anywhere
	Uncounted int64  `json:"uncounted"` // of these, pushed by a foreign producer and not yet seen by a take
}

// Report is what a run found.
type Report struct {
	Namespace string        `json:"namespace"`
	Queues    []QueueReport `json:"queues"`
	Findings  []Finding     `json:"findings"`
	Skipped   []string      `json:"skipped,omitempty"` // what could not be looked at, and why
}

// Clean reports whether nothing is wrong, or no longer.
func (r Report) Clean() bool { return r.Open() == 0 }

// Open is how many findings were not repaired.
func (r Report) Open() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Repaired {
			n++
		}
	}
	return n
}

// String is the report as text.
func (r Report) String() string {
	var b strings.Builder
	_ = r.Write(&b) // a Builder never fails
	return b.String()
}

// Write writes the report as text.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, q := range r.Queues {
		fmt.Fprintf(&b, "queue %s: %d enqueued - %d ended = %d; %d lie in it", q.Queue, q.Enqueued, q.Ended, q.Enqueued-q.Ended, q.Lying)
		if q.Uncounted > 0 {
			fmt.Fprintf(&b, ", %d of them new from a foreign producer", q.Uncounted)
		}
		b.WriteByte('\n')
	}
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	for _, s := range r.Skipped {
		fmt.Fprintln(&b, "not looked at:", s)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintf(&b, "namespace %s is clean\n", r.Namespace)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the finding as one paragraph of text.
func (f Finding) String() string {
	state := "FOUND"
	if f.Repaired {
		state = "REPAIRED"
	}
	s := fmt.Sprintf("%s %s: %s: %d", state, f.Kind, f.Key, f.Count)
	if len(f.Jobs) > 0 {
		s += ": " + strings.Join(f.Jobs, ", ")
		if f.Count > int64(len(f.Jobs)) {
			s += ", …"
		}
	}
	if f.Detail != "" {
		s += "\n  " + f.Detail
	}
	if !f.Repaired {
		s += "\n  What to do: " + f.Do
	}
	return s
}

func (r *Report) add(f Finding) {
	f.Do = advice[f.Kind].do
	if f.Count == 0 {
		f.Count = int64(len(f.all))
	}
	if f.Jobs == nil {
		f.Jobs = f.all[:min(len(f.all), maxJobs)]
	}
	r.Findings = append(r.Findings, f)
}

func (r *Report) skip(format string, args ...any) {
	r.Skipped = append(r.Skipped, fmt.Sprintf(format, args...))
}

func (r *Report) has(k Kind, queue string) bool {
	for _, f := range r.Findings {
		if f.Kind == k && f.Queue == queue {
			return true
		}
	}
	return false
}

// compare says of each finding before the repair whether it is still there after
// it; failed are repairs that could not be tried.
func compare(before, after Report, failed []string) Report {
	type place struct {
		kind Kind
		key  string
	}
	left := map[place]bool{}
	for _, f := range after.Findings {
		left[place{f.Kind, f.Key}] = true
	}
	out := after
	out.Findings = []Finding{}
	for _, f := range before.Findings {
		if !left[place{f.Kind, f.Key}] {
			f.Repaired = true
			out.Findings = append(out.Findings, f)
		}
	}
	out.Findings = append(out.Findings, after.Findings...)
	out.Skipped = append(out.Skipped, failed...)
	return out
}
