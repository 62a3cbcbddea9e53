// Package faults judges whether Colony kept its promises while something broke.
//
// Its tests run real worker processes and real producers against real servers,
// inject one fault after another, and keep a history of everything that was
// asked, answered, started and finished. When all is over, Check holds the
// history against what then lies in Redis, offline and without knowing how
// Colony works: it is a pure function, and tested as one on histories that were
// made up, among them many that must fail.
package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Type says what an Event tells of.
type Type string

// What producers tell. Unknown carries the id that the job has if it was accepted.
const (
	Asked   Type = "asked"
	OK      Type = "ok"
	Failed  Type = "failed"
	Unknown Type = "unknown"
)

// What workers tell. A run without a Finished is one that nobody survived to tell.
const (
	Started   Type = "started"
	Finished  Type = "finished"
	Dying     Type = "dying"      // the worker is about to kill itself with SIGKILL
	LeaseLost Type = "lease_lost" // the worker noticed that it lost its lease
	Starved   Type = "starved"    // the machine did not let the process run, for so many milliseconds (Job)
	Leak      Type = "leak"       // goroutines were left after a clean stop
)

// What the test tells about recovery: that the fault is over, so that it counts
// from here, or that it is the longest time without a run in the last so many
// milliseconds (Job).
const (
	Healed Type = "healed"
	Gap    Type = "gap"
)

// Outcomes of a run, in Note of Finished.
const (
	RunOK          = "ok"
	RunFailed      = "failed"      // the handler returned an error
	RunInterrupted = "interrupted" // its context ended with ErrShutdown
	RunLost        = "lost"        // its context ended with ErrLeaseLost
)

// Behaviours of a job, in Note of Asked.
const (
	Plain  = ""       // sleeps, and is done
	Fails  = "fails"  // fails once
	Poison = "poison" // kills its worker whenever it runs
	Alien  = "alien"  // pushed by hand; its id is Colony's choice
)

// Event is one line of a history. Times are Unix microseconds of one machine.
type Event struct {
	At    int64  `json:"at"`
	Type  Type   `json:"type"`
	Job   int    `json:"job,omitempty"` // the job's number
	ID    string `json:"id,omitempty"`
	Fence int64  `json:"fence,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Now is the time for an Event.
func Now() int64 { return time.Now().UnixMicro() }

// Append writes the event as one line in one write, so that several processes
// may append to one file and what one wrote before it was killed stays.
func (e Event) Append(w io.Writer) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("append to the history: %w", err)
	}
	return nil
}

// ReadHistory reads the file that events were appended to.
func ReadHistory(path string) ([]Event, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer f.Close()
	var events []Event
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read the history, line %d: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return events, nil
}
