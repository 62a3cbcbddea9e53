package locks

import (
	"context"
	"time"
)

// Kind is what sort of lock a Request is about.
type Kind int

// The kinds. Those other than Exclusive have several holders, each with a lease
// of its own.
const (
	Exclusive Kind = iota // a mutex
	Slot                  // one of Request.Slots
	Read                  // beside other readers
	Write                 // beside nobody
)

func (k Kind) String() string { return [...]string{"mutex", "slot", "read", "write"}[k] }

// letter marks the kind in members of Redis sets.
func (k Kind) letter() string { return [...]string{"m", "s", "r", "w"}[k] }

// group is which locks exclude each other.
func (k Kind) group() string { return [...]string{"", "sem", "rw", "rw"}[k] }

// Request says what to do with which lock, on whose behalf.
type Request struct {
	Kind  Kind
	Name  string
	Token string        // of the acquirer; never the same twice
	TTL   time.Duration // NoExpiry = until released
	Slots int           // of a semaphore

	// Acquire: a token that may be replaced by Token.
	Previous string
	// Acquire: join the line as this waiter, at this Place (0 = at its end).
	// Release: leave it. "" = nobody waits.
	Waiter string
	Place  int64
	// Acquire: how long the line outlives its last newcomer.
	Patience time.Duration

	// Release: until when the holder's own clock gave it the lock (zero = for
	// ever). A release whose first answer was lost can only be told by it from one
	// that came too late.
	Until time.Time
}

// Grant is the answer to one try.
type Grant struct {
	Fence  uint64    // meaningful if Fenced
	Fenced bool      // the fence is greater than that of every earlier holder
	Until  time.Time // on the local monotonic clock, counted from before the try; zero = no TTL

	// With ErrTaken: when trying again makes sense if nothing happens before (0 =
	// unknown), and the waiter's place in line.
	RetryIn time.Duration
	Place   int64
}

// State is what a Backend knows of a lock.
type State struct {
	Holders []Holder // of a semaphore at most 1,000
	Waiters int
	Fence   uint64 // the last one; 0 = forgotten or unknown
	Locked  bool   // somebody holds it
	Owned   bool   // Request.Token holds it
}

// Holder is one who holds a lock.
type Holder struct {
	Token string
	Kind  Kind
	TTL   time.Duration // NoExpiry = until released
}

// Backend implements locks: on Redis, or on whatever you pass in Config.
//
// Acquire makes one try, without waiting; a lock that somebody else holds is
// ErrTaken. A second Acquire with the same token is a resend and succeeds. Renew
// sets the TTL and answers until when the lock is now held. Renew and Release by a
// token that does not hold the lock change nothing and answer ErrNotOwned.
//
// A Backend that can also tell waiters of a release is a Notifier; without it
// they ask again every Options.RetryEvery.
type Backend interface {
	Acquire(ctx context.Context, r Request) (Grant, error)
	Renew(ctx context.Context, r Request) (until time.Time, err error)
	Release(ctx context.Context, r Request) error
	State(ctx context.Context, r Request) (State, error)
}

// Notifier is implemented by a Backend that wakes waiters.
type Notifier interface {
	// Listen calls wake with each waiter of this manager that is woken, and with ""
	// whenever it begins to hear anew, until ctx ends.
	Listen(ctx context.Context, manager string, wake func(waiter string))
}
