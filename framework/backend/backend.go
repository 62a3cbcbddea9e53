// Package backend is the contract between the runtime and whatever keeps a
// queue: one interface for the moves of a job's life, one for looking and one
// for a person's orders. The packages queue (lists) and streams implement it;
// backendtest holds the suite that each must pass.
//
// A Queue value stands for one partition of one queue and one incarnation: one
// start of one worker. What an incarnation holds it holds by lease. It joins
// with its first Beat, renews with every later one, and is reaped by anyone's
// Beat once the lease ran out on the server's clock. A reaped incarnation never
// comes back: every call answers ErrLost, and the worker goes on with a new
// Queue value under a new incarnation id. A value that never beats is good for
// Enqueue alone; that is what a producer uses.
//
// Every method is one or a few scripts in one slot. All are safe for concurrent
// use, and safe to send again when a reply was lost.
package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework/wire"
)

// Limits of one call, so that no script holds the server for long.
const (
	MaxBatchJobs  = 1000
	MaxBatchBytes = 1 << 20   // of entries in one Enqueue
	MaxSliceBytes = 256 << 10 // of entries that one script moves; the entry that reaches it still goes along
	MaxStalls     = 3         // a job that outlives this many of its workers' deaths is dead
)

// Errors that callers tell apart. Implementations wrap them with the queue's name.
var (
	// ErrLost: this incarnation was reaped, or never joined. It holds nothing any
	// more. Open a Queue under a new incarnation.
	ErrLost = errors.New("lease lost")
	// ErrLate: the lease has run out on the server's clock (which may have jumped),
	// and nobody has reaped this incarnation: nothing is taken before the next Beat,
	// which says whether it goes on.
	ErrLate = errors.New("lease has run out")
	// ErrPaused: the queue is paused; Take delivers nothing. Pulse says when it goes on.
	ErrPaused = errors.New("queue is paused")
	// ErrWrongBackend: the queue's meta names another backend and the queue is not empty.
	ErrWrongBackend = errors.New("queue has another backend")
	// ErrStale: the batch's NotAfter had passed on the server's clock. Nothing was
	// enqueued by this call; an earlier copy of the batch may have been.
	ErrStale = errors.New("batch arrived too late")
	// ErrGap: the server does not know the batches that this producer was
	// acknowledged before (a failover or a deletion lost them). Nothing was
	// enqueued. Take a fresh producer id.
	ErrGap = errors.New("earlier batches of this producer are lost")
	// ErrFull: the server is at maxmemory. Nothing was changed.
	ErrFull = errors.New("redis is full (maxmemory reached): raise maxmemory, or let workers drain it")
	// ErrWrongType: a key of the queue holds another type than it should; the
	// message names the key and both types. Nothing was changed.
	ErrWrongType = errors.New("key holds the wrong type")
)

// Causes of a delivery's context. framework exports them again.
var (
	ErrShutdown  = errors.New("worker is shutting down")
	ErrLeaseLost = fmt.Errorf("delivery lost: %w", ErrLost)
	ErrCanceled  = errors.New("job was cancelled")
)

// Enqueuer accepts numbered batches.
type Enqueuer interface {
	// Enqueue accepts a batch: every job of it becomes ready or, when due later,
	// scheduled; all of them or, on an error, none. It chooses list or stream
	// from the queue's meta, so a producer needs to know nothing.
	//
	// A resend (same producer, number and jobs) changes nothing and answers what
	// the first one answered. One batch of a producer may be in flight at a time;
	// the caller sees to that.
	//
	// ErrStale, ErrGap, ErrFull and ErrWrongType mean that nothing was accepted by
	// this call. After any other error (a lost connection, an ended context) the
	// outcome is unknown until the same batch is sent again.
	Enqueue(ctx context.Context, b Batch) ([]Accepted, error)
}

// Queue is one partition of one queue, seen by one incarnation.
type Queue interface {
	Enqueuer

	// Take moves up to max jobs into this incarnation's hand and returns them, in
	// the order of the line. It returns at once; nothing there is an empty slice.
	// Fewer than max means that nothing more was there or that the byte budget of
	// one call was reached (Taken.More tells them apart).
	//
	// With alone, the caller says that it holds no delivery of any queue: if a
	// suspect waits, exactly that one is delivered (Taken.Suspect), and the caller
	// takes nothing else until it is settled.
	//
	// A resend takes further jobs. What a lost reply delivered comes back as a
	// ghost from a later Beat. ErrLost, ErrLate, ErrPaused, ErrWrongType as above.
	Take(ctx context.Context, max int, alone bool) (Taken, error)

	// Wait returns when something may be there to take, or after d at the latest
	// (nil as well), or when ctx ends (its error). It never delivers: what woke it
	// lies in arrivals, from where a Take or, failing that, anybody's Beat brings
	// it back. Call Take after every Wait; if there is no room for it, Beat. At
	// most one Wait of a Queue runs at a time.
	Wait(ctx context.Context, d time.Duration) error

	// Settle says what became of deliveries. Outcomes stand in the order of s.
	// Applied: done now. Already: this incarnation settled it before (a resend).
	// Lost: the delivery is not this incarnation's any more; the word was refused
	// and counted. Refused: this one could not be applied and is still held (Err
	// says why, a wrong-typed key for instance); the others were applied.
	//
	// After an error any part of s may have been applied (more than one script's
	// worth goes in several): send it again.
	Settle(ctx context.Context, s []Settlement) ([]Outcome, error)

	// Beat joins (the first time), renews the lease, puts back what lies in
	// arrivals, reaps whoever is due, and looks around. Call it about once a
	// second; the lease counts from before the call was sent. A resend is a later
	// beat. ErrLost ends this value.
	Beat(ctx context.Context) (Pulse, error)

	// Promote makes up to max due jobs ready, in the order of their times. It
	// returns how long it is until the next one is due (0 = now, there are more;
	// negative = none is waiting). Anybody may call it at any time; a resend finds
	// nothing to do.
	Promote(ctx context.Context, max int) (next time.Duration, err error)

	// Close releases what this incarnation still holds, uncharged and to the front
	// of the line, and removes it from the workers. Safe twice. The client stays
	// open: it is the caller's.
	Close(ctx context.Context) error
}

// Control is a person's orders to a queue.
type Control interface {
	// Pause stops (or, with false, resumes) all deliveries of the queue. Running
	// jobs go on. Safe twice.
	Pause(ctx context.Context, on bool) error
	// Cancel ends a job: one that waits for its time (scheduled, retry) at once, a
	// running one through its worker's next Beat, a ready one through a tombstone
	// that Take reads. A dead one stays. Unknown ids leave a tombstone that goes
	// after a day, once no job waits. Safe twice.
	Cancel(ctx context.Context, id string) error
}

// Inspector looks at a queue without changing it. Optional.
type Inspector interface {
	// Counts is exact at one instant.
	Counts(ctx context.Context) (Counts, error)
	// List returns up to limit jobs of a state, from offset, in the state's order.
	List(ctx context.Context, s State, offset, limit int) ([]wire.Envelope, error)
	// Show finds a parked job by id; ready and active ones by a scan in slices.
	// The error is ErrNotFound when it lies nowhere.
	Show(ctx context.Context, id string) (wire.Envelope, State, error)
}

// ErrNotFound: no job with this id lies in the queue.
var ErrNotFound = errors.New("no such job")

// Batch is what one producer sends in one go.
type Batch struct {
	Producer string    // id of the producer, a ULID
	Number   int64     // 1, 2, 3… for this producer, queue and partition
	NotAfter time.Time // server time after which the batch is refused; zero = never
	Jobs     []Job     // 1 to MaxBatchJobs, together at most MaxBatchBytes unless it is one job
}

// Job is one job of a batch.
type Job struct {
	Envelope wire.Envelope // N and S are set by Enqueue; At in the past means now
	In       time.Duration // > 0: due this long after the server's present time; overrides Envelope.At
}

// Accepted is what became of one job of a batch.
type Accepted struct {
	ID string
}

// Taken is what a Take returned.
type Taken struct {
	Deliveries []*Delivery
	Suspect    bool // the one delivery is a suspect: run it alone
	More       bool // there was more than the call could carry; take again
	Junk       int  // entries that this call found unreadable and made dead
}

// Delivery is a job in this incarnation's hands.
type Delivery struct {
	wire.Envelope
	Queue string
	// Bad is set when the entry could not be read: nothing but ID, N and S is
	// known. Settle it Dead with reason unreadable; the raw bytes are kept.
	Bad error

	raw []byte
}

// NewDelivery is for implementations of Queue.
func NewDelivery(queue string, e wire.Envelope, raw []byte, bad error) *Delivery {
	return &Delivery{Envelope: e, Queue: queue, Bad: bad, raw: raw}
}

// Raw is the entry as it lies in Redis.
func (d *Delivery) Raw() []byte { return d.raw }

// Verdict is what became of a delivery.
type Verdict uint8

// The verdicts.
const (
	Done     Verdict = iota // finished; the job is gone
	Retry                   // failed; parked in retry until Delay is over, one attempt counted, Error kept
	Snooze                  // not now; parked in scheduled until Delay is over, no attempt counted
	Release                 // not run, or interrupted: to the front of the line, nothing counted
	Dead                    // will not run again; kept with Reason and Error until a person decides
	Canceled                // ended by a person's order; the job is gone
)

// Settlement is a word about one delivery.
type Settlement struct {
	Delivery *Delivery
	Verdict  Verdict
	Delay    time.Duration // Retry, Snooze
	Error    string        // Retry, Dead: for the job's error history
	Reason   string        // Dead: failed (one more attempt is counted), unreadable, rejected
}

// OutcomeState is what a settlement met.
type OutcomeState uint8

// The outcomes.
const (
	Applied OutcomeState = iota
	Already
	Lost
	Refused
)

// Outcome answers one Settlement.
type Outcome struct {
	State OutcomeState
	Err   error // Refused: why
}

// Pulse is what a Beat saw.
type Pulse struct {
	Paused   bool
	Canceled []*Delivery   // held deliveries whose job was cancelled: end them, settle Canceled
	Ghosts   []*Delivery   // deliveries of a Take whose reply was lost: run them
	Reaped   int           // dead incarnations from whom this beat put jobs back
	Suspects int           // suspects waiting
	Workers  int           // incarnations alive, this one included
	Waiting  int           // ready + arrivals, after this beat
	Promoter bool          // this incarnation is the one to promote due jobs
	NextDue  time.Duration // until the next scheduled or retry job is due; negative = none
	// Trouble is what kept the beat from looking after anything but the lease (a
	// slot that is moving, a key of a wrong type). The lease is renewed all the same.
	Trouble error
}

// State is where a job lies.
type State string

// The states.
const (
	Ready     State = "ready"
	Active    State = "active"
	Suspect   State = "suspect"
	Scheduled State = "scheduled"
	Retrying  State = "retry"
	DeadState State = "dead"
	DoneState State = "done"
)

// Counts is a queue at one instant.
type Counts struct {
	Backend   string `json:"backend"`
	Ready     int64  `json:"ready"` // includes arrivals and front
	Active    int64  `json:"active"`
	Suspect   int64  `json:"suspect"`
	Scheduled int64  `json:"scheduled"`
	Retry     int64  `json:"retry"`
	Dead      int64  `json:"dead"`
	Done      int64  `json:"done"`
	Processed int64  `json:"processed"`  // runs that were settled as done or failed
	Failed    int64  `json:"failed"`     // of these, the failures
	LeaseLost int64  `json:"lease_lost"` // settlements refused because the lease was lost
	Recovered int64  `json:"recovered"`  // deliveries put back after their worker died
	Paused    bool   `json:"paused"`

	Enqueued int64 `json:"-"` // ever accepted
	Ended    int64 `json:"-"` // ever gone
	Due      int64 `json:"-"` // scheduled and retry jobs whose time has come
}
