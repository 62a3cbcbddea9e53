// Package keys builds the name of every Redis key of Colony, once.
//
// All keys of one partition of a queue share a hash tag, {queue} or
// {queue/partition}, so that they lie in one slot of a cluster and one script
// may touch them together. A user's name stands inside the tag or behind a type
// prefix, and names cannot contain : / { } (wire.ValidName), so no queue name
// can collide with a key of ours.
//
//	key                          type    written by              read by
//	ns:queues                    set     enqueue, first beat     stats
//	ns:control                   pub/sub settle, enqueue, orders workers
//	ns:{q}:meta                  hash    every script            every script
//	ns:{q}:ready                 list    enqueue, promote, reap  take, BLMOVE
//	ns:{q}:arrivals              list    BLMOVE                  take, beat
//	ns:{q}:suspect               list    reap                    take
//	ns:{q}:active:<incarnation>  hash    take                    settle, reap, beat
//	ns:{q}:workers               zset    beat                    every worker script
//	ns:{q}:scheduled, retry      zset    enqueue, settle         promote
//	ns:{q}:dead                  zset    settle, take, reap      inspector
//	ns:{q}:done                  zset    settle                  inspector
//	ns:{q}:parked                hash    with the four above     promote, inspector
//	ns:{q}:cancelled             zset    cancel                  take, settle, beat
//	ns:{q}:producer:<id>         hash    enqueue, TTL 120 s      enqueue
//	ns:{q}:promoter              string  beat, TTL               beat
//	ns:lock:{name}               string  locks: acquire, TTL     locks
//	ns:lock:{name}:fence         string  locks: acquire, TTL     locks: acquire
//	ns:lock:{name}:waiters       zset    locks: acquire, TTL     locks: release
//	ns:lock:{name}:holders       zset    locks, shared kinds     locks, shared kinds
//	ns:lock:{name}:intent        string  locks: write, TTL       locks: read
//	ns:lock-wake:<manager>       pub/sub locks: release          waiters
//
// A mutex has the bare name; a semaphore's keys stand below name:sem, those of a
// reader-writer lock below name:rw, so that the three never meet.
package keys

import "strconv"

// Default is the namespace of whoever names none.
const Default = "colony"

// Queue holds the keys of one partition of one queue.
type Queue struct {
	Meta, Ready, Arrivals, Suspect, Workers string
	Scheduled, Retry, Dead, Done, Parked    string
	Cancelled, Promoter                     string
	prefix                                  string
}

// For returns the keys of a partition of a queue; partitions is how many the
// queue has (0 and 1 are the same: one, without a number in the tag).
func For(namespace, queue string, partition, partitions int) Queue {
	tag := queue
	if partitions > 1 {
		tag += "/" + strconv.Itoa(partition)
	}
	p := ns(namespace) + ":{" + tag + "}:"
	return Queue{
		Meta: p + "meta", Ready: p + "ready", Arrivals: p + "arrivals", Suspect: p + "suspect", Workers: p + "workers",
		Scheduled: p + "scheduled", Retry: p + "retry", Dead: p + "dead", Done: p + "done", Parked: p + "parked",
		Cancelled: p + "cancelled", Promoter: p + "promoter", prefix: p,
	}
}

// Active is the hash of what an incarnation holds.
func (q Queue) Active(incarnation string) string { return q.prefix + "active:" + incarnation }

// Producer is the last batch of a producer.
func (q Queue) Producer(id string) string { return q.prefix + "producer:" + id }

// Queues is the set of known queues.
func Queues(namespace string) string { return ns(namespace) + ":queues" }

// Control is the channel of hints.
func Control(namespace string) string { return ns(namespace) + ":control" }

func ns(namespace string) string {
	if namespace == "" {
		return Default
	}
	return namespace
}
