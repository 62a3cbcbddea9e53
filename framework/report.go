package framework

import (
	"maps"
	"slices"
	"sync"
)

// Report says what a worker's runs came to, by verdict. A job that ran three
// times counts three times.
type Report struct {
	Done     int64 `json:"done"`
	Retried  int64 `json:"retried"` // failed, and to be run again
	Snoozed  int64 `json:"snoozed"` // jobs without a handler included
	Released int64 `json:"released"`
	Dead     int64 `json:"dead"`
	Canceled int64 `json:"canceled"`
	Lost     int64 `json:"lost"`

	Queues    map[string]Counts `json:"queues,omitempty"`    // Drain: what lay in each queue at the end
	Unhandled []string          `json:"unhandled,omitempty"` // kinds that came and have no handler here, sorted
}

// tally counts runs.
type tally struct {
	mu        sync.Mutex
	report    Report
	unhandled map[string]bool
}

func (t *tally) count(v Verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	n := map[Verdict]*int64{
		Done: &r.Done, Retry: &r.Retried, Snoozed: &r.Snoozed, Released: &r.Released,
		Buried: &r.Dead, Canceled: &r.Canceled, Lost: &r.Lost,
	}[v]
	*n++
}

// stranger notes a kind without a handler, and says whether it is new.
func (t *tally) stranger(kind string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unhandled[kind] {
		return false
	}
	if t.unhandled == nil {
		t.unhandled = map[string]bool{}
	}
	t.unhandled[kind] = true
	return true
}

func (t *tally) snapshot() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Unhandled = slices.Sorted(maps.Keys(t.unhandled))
	return r
}
