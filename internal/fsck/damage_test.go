package fsck_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/fsck"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
)

// damage is one thing that somebody's command can do to a queue.
type damage struct {
	name   string
	make   func(r *rig)
	found  []fsck.Kind // sorted
	mended bool        // by --repair, all of it
	after  func(t *testing.T, r *rig)
}

const ulid = "01K1A2B3C4D5E6F7G8H9JKMNPQ"

var damages = []damage{
	{name: "a job popped by hand", make: func(r *rig) { r.do("LPOP", r.keys.Ready) }, found: []fsck.Kind{fsck.Missing}},
	{name: "a job taken out of a hand", make: func(r *rig) {
		l, _ := r.do("HKEYS", r.keys.Active(r.who)).([]any)
		r.do("HDEL", r.keys.Active(r.who), l[0])
	}, found: []fsck.Kind{fsck.Missing}},
	{name: "a lost job behind a foreign one", make: func(r *rig) {
		r.do("LPOP", r.keys.Ready)
		r.do("RPUSH", r.keys.Ready, `{"kind":"k"}`)
	}, found: []fsck.Kind{fsck.Missing}},
	{name: "a made-up head", make: func(r *rig) {
		r.do("RPUSH", r.keys.Ready, `{"id":"`+ulid+`","n":1,"s":0,"v":1,"kind":"k","payload":null}`)
	}, found: []fsck.Kind{fsck.Surplus}},
	{name: "a lost meta", make: func(r *rig) { r.do("DEL", r.keys.Meta) }, found: []fsck.Kind{fsck.Surplus}},
	{name: "a job pushed again", make: func(r *rig) {
		r.do("RPUSH", r.keys.Ready, r.first("LRANGE", r.keys.Ready))
	}, found: []fsck.Kind{fsck.Double, fsck.Surplus}, mended: true},
	{name: "a job pushed again, counted", make: func(r *rig) {
		r.do("LPUSH", r.keys.Arrivals, r.first("LRANGE", r.keys.Ready))
		r.do("HINCRBY", r.keys.Meta, "enqueued", 1)
	}, found: []fsck.Kind{fsck.Double}, mended: true},
	{name: "a job that is held and waits", make: func(r *rig) {
		l, _ := r.do("HVALS", r.keys.Active(r.who)).([]any)
		r.do("RPUSH", r.keys.Ready, l[0])
	}, found: []fsck.Kind{fsck.Double, fsck.Surplus}},
	{name: "a dead job in retry", make: func(r *rig) {
		r.do("ZADD", r.keys.Retry, 1, r.first("ZRANGE", r.keys.Dead))
	}, found: []fsck.Kind{fsck.Double, fsck.Surplus}},
	{name: "an envelope deleted", make: func(r *rig) {
		r.do("HDEL", r.keys.Parked, r.first("ZRANGE", r.keys.Scheduled))
	}, found: []fsck.Kind{fsck.NoEnvelope}, mended: true},
	{name: "an id added", make: func(r *rig) { r.do("ZADD", r.keys.Dead, 1, ulid) },
		found: []fsck.Kind{fsck.NoEnvelope, fsck.Surplus}, mended: true},
	{name: "an id removed", make: func(r *rig) {
		r.do("ZREM", r.keys.Retry, r.first("ZRANGE", r.keys.Retry))
	}, found: []fsck.Kind{fsck.Missing, fsck.NotListed}, mended: true, after: orphaned},
	{name: "an envelope added", make: func(r *rig) {
		r.do("HSET", r.keys.Parked, ulid, `{"id":"`+ulid+`","n":1,"s":0,"v":1,"kind":"k","payload":null}`)
	}, found: []fsck.Kind{fsck.NotListed}, mended: true, after: orphaned},
	{name: "an id for another", make: func(r *rig) {
		r.do("ZREM", r.keys.Retry, r.first("ZRANGE", r.keys.Retry))
		r.do("ZADD", r.keys.Retry, 1, ulid)
	}, found: []fsck.Kind{fsck.NoEnvelope, fsck.NotListed}, mended: true, after: orphaned},
	{name: "the workers deleted", make: func(r *rig) { r.do("DEL", r.keys.Workers) },
		found: []fsck.Kind{fsck.NoWorker}, mended: true, after: func(t *testing.T, r *rig) {
			if got := r.drain(); len(got) != 6 { // 4 ready and the 2 of the hand
				t.Errorf("%d jobs ran, want 6", len(got))
			}
		}},
	{name: "a hand with junk", make: func(r *rig) { r.do("HSET", r.keys.Active(r.who), "x", "y") }, found: []fsck.Kind{fsck.JunkInHand}},
	{name: "an eternal producer", make: func(r *rig) { r.do("PERSIST", r.keys.Producer(r.who)) }, found: []fsck.Kind{fsck.NoExpiry}, mended: true},
	{name: "an eternal promoter", make: func(r *rig) { r.do("PERSIST", r.keys.Promoter) }, found: []fsck.Kind{fsck.NoExpiry}, mended: true},
	{name: "a wrong type", make: func(r *rig) {
		r.do("DEL", r.keys.Suspect)
		r.do("SET", r.keys.Suspect, "x")
	}, found: []fsck.Kind{fsck.WrongType}},
	{name: "two wrong types", make: func(r *rig) {
		r.do("DEL", r.keys.Arrivals, r.keys.Active(r.who))
		r.do("SET", r.keys.Arrivals, "x")
		r.do("RPUSH", r.keys.Active(r.who), "x")
	}, found: []fsck.Kind{fsck.WrongType, fsck.WrongType}},
	{name: "a set of queues of a wrong type", make: func(r *rig) {
		r.do("DEL", keys.Queues(r.namespace))
		r.do("SET", keys.Queues(r.namespace), "x")
	}, found: []fsck.Kind{fsck.WrongType}},
	{name: "an unknown queue", make: func(r *rig) { r.do("SREM", keys.Queues(r.namespace), emails) }, found: []fsck.Kind{fsck.UnknownQueue}, mended: true},
}

// orphaned: the job whose id was removed is dead, with its reason.
func orphaned(t *testing.T, r *rig) {
	var reasons []string
	ids, _ := r.do("ZRANGE", r.keys.Dead, 0, -1).([]any)
	for _, id := range ids {
		entry, _ := r.do("HGET", r.keys.Parked, id).(string)
		e, err := wire.Parse([]byte(entry))
		if err != nil {
			t.Error(err)
		}
		reasons = append(reasons, e.Reason)
		if e.Reason == "orphaned" && time.Since(e.Ended).Abs() > time.Minute {
			t.Errorf("ended at %s", e.Ended)
		}
	}
	if !slices.Contains(reasons, "orphaned") {
		t.Errorf("no dead job has reason orphaned: %v", reasons)
	}
}

// Every kind of damage is found and nothing else is; a look changes nothing; a
// repair mends all of it or leaves it alone, deletes no job, and leaves a queue
// whose sum is right; a second repair finds nothing to do.
func TestDamage(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		for _, d := range damages {
			t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) {
				t.Parallel()
				d.test(t, newRig(t, target))
			})
		}
	})
}

func (d damage) test(t *testing.T, r *rig) {
	if found := r.check(false); !found.Clean() {
		t.Fatalf("before the damage:\n%s", found)
	}
	d.make(r)
	for range 2 {
		found := r.check(false)
		if got := kinds(found); !slices.Equal(got, d.found) {
			t.Fatalf("found %v, want %v\n%s", got, d.found, found)
		}
		for _, f := range found.Findings {
			if f.Do == "" || f.Count < 1 || f.Key == "" {
				t.Errorf("says too little: %+v", f)
			}
		}
	}
	mended := r.check(true)
	if mended.Clean() != d.mended || !slices.Equal(kinds(mended), d.found) {
		t.Errorf("after the repair: clean %t, want %t\n%s", mended.Clean(), d.mended, mended)
	}
	again := r.check(true)
	if again.Clean() != d.mended {
		t.Errorf("after a second repair:\n%s", again)
	}
	if d.after != nil {
		d.after(t, r)
	}
	if d.mended {
		r.drain()
		if found := r.check(false); !found.Clean() {
			t.Errorf("when the jobs had run:\n%s", found)
		}
	}
}

// Of a queue that is too long to be read at one instant, what cannot be told is
// said, and nothing is guessed or repaired; what is certain is told all the same.
func TestLongQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, redistest.Target{Client: redistest.Shared(t).Client(t)})
	const n = fsck.MaxEntries
	var args []any
	for i := range n {
		id := wire.NewID(time.Now())
		args = append(args, `{"id":"`+id+`","n":1,"s":0,"v":1,"kind":"k","payload":null}`)
		if len(args) == 10_000 || i == n-1 {
			r.do(append([]any{"RPUSH", r.keys.Ready}, args...)...)
			args = nil
		}
	}
	r.do("HINCRBY", r.keys.Meta, "enqueued", n)
	if found := r.check(true); !found.Clean() || len(found.Skipped) > 0 {
		t.Fatalf("a long queue in order:\n%s", found)
	}
	r.do("RPUSH", r.keys.Ready, r.first("LRANGE", r.keys.Ready))
	r.do("HINCRBY", r.keys.Meta, "enqueued", 3)
	r.do("ZADD", r.keys.Dead, 1, ulid)
	found := r.check(true)
	if got := kinds(found); !slices.Equal(got, []fsck.Kind{fsck.Missing, fsck.NoEnvelope}) || found.Clean() {
		t.Errorf("found %v\n%s", got, found)
	}
	if said := strings.Join(found.Skipped, "\n"); !strings.Contains(said, "1 ids may lie in two places") || !strings.Contains(said, "repair of ") {
		t.Errorf("said: %s", said)
	}
}
