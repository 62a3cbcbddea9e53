// Package locks coordinates processes through Redis: mutexes, semaphores,
// reader-writer locks, leader election. It needs a go-redis client and nothing else
// of Colony.
//
//	m := locks.New(client, locks.Config{})
//	l := m.Mutex("report:42", locks.Options{TTL: 5 * time.Second}) // one value for any number of goroutines
//	held, err := l.Acquire(ctx)                                    // held carries this acquirer's token
//	if err != nil {
//		return err
//	}
//	defer l.Release(held) // only what held acquired
//
// The token belongs to whoever acquired. At time 0, A acquires for 5 s; at 1, B
// waits for the same lock; at 5 the lock expires and B gets it; at 6, A releases: A
// gets ErrNotOwned, and B still holds. With Options.SharedToken the token lies on
// the Lock instead, so that another goroutine may release; then, on the same
// timeline, A releases B's lock.
//
// # What is promised
//
// While Redis keeps what it acknowledged and its clock runs evenly, a lock has at
// most one holder (a semaphore n), and a held context ends, with the cause ErrLost,
// before anybody else can have the lock: its TTL is counted on the local monotonic
// clock from before the acquisition was sent, less 1 %. Nobody but the holder, and
// whoever breaks the lock by hand, can release it. A lost reply neither loses a lock
// nor leaves one behind for longer than its TTL. A release wakes one waiter; where
// the wake-up is lost, the waiter finds out within Options.RetryEvery. Waiters come
// roughly, not strictly, in order.
//
// # What is not
//
// A lock with a TTL cannot stop a holder that does not know yet that it has lost: a
// process that was stopped, in a long garbage collection or on a machine that slept
// (Linux' monotonic clock does not count that) can write one more time when it wakes.
// And Redis itself can give a lock away twice:
//
//   - a failover, or a restart without persistence, can lose the last moments of what
//     a master acknowledged. NewQuorum asks several independent servers instead,
//     which helps only if a server that lost its memory stays away for one TTL;
//   - a maxmemory-policy other than noeviction may evict a lock;
//   - a server whose wall clock jumps ahead ends TTLs early, and the embedded server
//     ends them up to 100 ms early.
//
// Martin Kleppmann, "How to do distributed locking"
// (https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html),
// shows why no timing assumption makes this safe; Salvatore Sanfilippo, "Is Redlock
// safe?" (http://antirez.com/news/101), answers which assumptions hold in practice.
// Both agree on the remedy: use a lock for efficiency as it is, and for correctness
// let the resource check a fence.
//
// # The fence at the resource
//
// Every holder has a number that is greater than that of all before it
// (Lock.Fence). Write it along, and let the resource refuse smaller ones than it has
// seen:
//
//	UPDATE reports SET body = $1, fence = $2 WHERE id = $3 AND fence < $2
//
// A holder that has lost the lock without knowing changes no row, and knows then.
// Fences are the greater of the last one plus one and the server's time in
// milliseconds, so they grow even when a failover lost the last one, as long as the
// servers' clocks differ by less than the failover took. On a quorum, the fence is
// the greatest of the majority plus one, written back to a majority before Acquire
// returns, else Fence says false.
package locks
