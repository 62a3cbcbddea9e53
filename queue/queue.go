// Package queue is the list backend: a queue whose ready jobs lie in a Redis
// list, taken from the left.
//
// A worker that finds nothing waits in BLMOVE ready arrivals (the successor of
// BRPOPLPUSH). That wait only wakes it: what it popped lies in arrivals until a
// take delivers it, or until anybody's beat puts it back to the front. So a
// reply that is lost, or a worker that is stopped in the wait, costs a second
// and no attempt. Take moves jobs into the worker's hand, the hash
// active:<incarnation>, whose fields id:n name one delivery each; settling one
// removes its field, and only its holder can. A job is thus in exactly one place
// at any instant, and every move between two places is one script in one slot.
//
// At least once: a job that was accepted is delivered until it is settled, as
// far as Redis keeps what it acknowledged. What a crash can cost is a second
// run, never the job.
package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/moves"
)

// Backend is the name of this backend in a queue's meta and in the config.
const Backend = "list"

// DefaultLease is how long a worker that went silent keeps its jobs.
const DefaultLease = 15 * time.Second

// Options say which queue, and for whom.
type Options struct {
	Namespace   string        // prefix of every key; "" = colony
	Queue       string        // name of the queue
	Incarnation string        // id of this start of a worker, a ULID; "" = good for Enqueue, Promote and looking alone
	Lease       time.Duration // 0 = DefaultLease
	State       bool          // Enqueue states that the queue is a list queue and fails on another; else it takes what is there
}

func (o Options) withDefaults() Options {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	return o
}

// Queue is a list queue seen by one incarnation. It implements backend.Queue,
// backend.Control and backend.Inspector.
type Queue struct {
	moves.Site
	client *redisclient.Client
	opts   Options
	active string // key of the hand

	taking   chan struct{} // 1: one take at a time: what is in the hand is known when none runs
	doubtful atomic.Int32  // looks for ghosts that are still due after a take with an unknown outcome

	mu     sync.Mutex
	waiter *redisclient.Waiter          // of Wait, made by the first one
	hand   map[string]*backend.Delivery // field id:n → what it is, from take to settle
	joined bool
	closed bool
}

var (
	_ backend.Queue     = (*Queue)(nil)
	_ backend.Control   = (*Queue)(nil)
	_ backend.Inspector = (*Queue)(nil)
)

// New returns the queue. It does no I/O and never closes the client.
func New(client *redisclient.Client, o Options) *Queue {
	o = o.withDefaults()
	k := keys.For(o.Namespace, o.Queue, 0, 1)
	return &Queue{
		Site:   moves.Site{Client: client, Namespace: o.Namespace, Queue: o.Queue, Keys: k},
		client: client,
		opts:   o,
		active: k.Active(o.Incarnation),
		taking: make(chan struct{}, 1),
		hand:   map[string]*backend.Delivery{},
	}
}

// Enqueue implements backend.Enqueuer.
func (q *Queue) Enqueue(ctx context.Context, b backend.Batch) ([]backend.Accepted, error) {
	stated := ""
	if q.opts.State {
		stated = Backend
	}
	return q.Site.Enqueue(ctx, stated, b)
}
