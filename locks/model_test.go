package locks_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

// lossy runs commands and then loses their answers, as often as it is told.
type lossy struct{ counter }

func (l *lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if l.n.Add(-1) >= 0 {
			err = io.ErrUnexpectedEOF
			cmd.SetErr(err)
		}
		return err
	}
}

// model is what should be true of one lock, beside the real one.
type model struct {
	w      world
	net    *lossy
	locks  []*locks.Lock     // one per actor
	held   []context.Context // what each actor thinks it has; nil = nothing
	holder int               // who has it; -1 = nobody, ghost = a crashed one
	fence  uint64
}

const ghost = 99

func (m *model) actor(t *rapid.T) int { return rapid.IntRange(0, len(m.locks)-1).Draw(t, "actor") }

// lose makes the next answers get lost; four are one more than are made up for.
func (m *model) lose(t *rapid.T) (n int64) {
	most := int64(4)
	if m.w.name == "quorum" {
		most = 2 // fewer are made up for there: the others have a vote, too
	}
	n = max(0, rapid.Int64Range(-3*most, most).Draw(t, "lost"))
	m.net.n.Store(n)
	return n
}

func (m *model) acquire(t *rapid.T) {
	a := m.actor(t)
	ctx := m.held[a]
	if ctx == nil {
		ctx = context.Background()
	}
	lost := m.lose(t)
	held, err := m.locks[a].TryAcquire(ctx)
	m.net.n.Store(0)
	switch {
	case m.held[a] != nil:
		if !errors.Is(err, locks.ErrAlreadyHeld) && !errors.Is(err, context.Canceled) {
			t.Fatalf("acquire on a held context: %v", err)
		}
	case lost == 4:
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("acquire with all answers lost: %v", err)
		}
		m.settle(t)
	case m.holder != -1:
		if !errors.Is(err, locks.ErrTaken) {
			t.Fatalf("acquire of a taken lock: %v", err)
		}
	case err != nil:
		t.Fatalf("acquire of a free lock: %v", err)
	default:
		fence, ok := m.locks[a].Fence(held)
		if !ok || fence <= m.fence {
			t.Fatalf("fence %d (%v) after %d", fence, ok, m.fence)
		}
		m.held[a], m.holder, m.fence = held, a, fence
	}
}

// settle waits until Redis agrees with the model: what an acquisition left behind
// whose answer never came is cleaned up in the background.
func (m *model) settle(t *rapid.T) {
	for start := time.Now(); ; {
		locked, err := m.locks[0].Locked(context.Background())
		if err == nil && locked == (m.holder != -1) {
			return
		}
		if time.Since(start) > generous {
			t.Fatalf("locked: %v, %v; the holder is %d", locked, err, m.holder)
		}
	}
}

func (m *model) release(t *rapid.T) {
	a := m.actor(t)
	held := m.held[a]
	if held == nil {
		t.Skip("nothing to release")
	}
	lost := m.lose(t)
	err := m.locks[a].Release(held)
	m.net.n.Store(0)
	m.held[a] = nil
	if m.holder != a {
		if !errors.Is(err, locks.ErrNotOwned) && lost == 0 {
			t.Fatalf("release by another: %v", err)
		}
		return
	}
	m.holder = -1
	if lost == 4 {
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("release with all answers lost: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("release by the holder: %v", err)
	}
}

func (m *model) extend(t *rapid.T) {
	a := m.actor(t)
	if m.held[a] == nil || m.held[a].Err() != nil {
		t.Skip("nothing to extend")
	}
	m.net.n.Store(min(m.lose(t), 3))
	err := m.locks[a].Extend(m.held[a], time.Minute)
	m.net.n.Store(0)
	if m.holder == a && err != nil {
		t.Fatalf("extend by the holder: %v", err)
	}
	if m.holder != a && (!errors.Is(err, locks.ErrNotOwned) || !errors.Is(context.Cause(m.held[a]), locks.ErrLost)) {
		t.Fatalf("extend by another: %v", err)
	}
}

// expire does to Redis what the end of the TTL does.
func (m *model) expire(t *rapid.T) {
	for _, c := range m.w.clients {
		if err := c.Del(context.Background(), keys.ForLock(m.w.ns, "a", "").Token).Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	m.holder = -1
}

// crash forgets what an actor has; Redis does not.
func (m *model) crash(t *rapid.T) {
	a := m.actor(t)
	if m.held[a] != nil && m.holder == a {
		m.holder = ghost
	}
	m.held[a] = nil
}

// check: nobody but the holder owns the lock.
func (m *model) check(t *rapid.T) {
	for a, held := range m.held {
		if held == nil {
			continue
		}
		owned, err := m.locks[a].Owned(held)
		if err != nil || owned != (m.holder == a) {
			t.Fatalf("actor %d owns: %v, %v; the holder is %d", a, owned, err, m.holder)
		}
	}
	m.settle(t)
}

// Whatever is acquired, released, extended, expired, crashed and lost on the way, in
// whatever order: there are never two holders, fences grow, and nothing stays behind.
func TestModel(t *testing.T) {
	for _, name := range []string{"standalone", "quorum"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w world
			if name == "quorum" {
				w, _ = quorumOf(t, 3)
			} else {
				w = standalone(t)
			}
			net := &lossy{}
			w.clients[0].AddHook(net)
			rapid.Check(t, func(r *rapid.T) {
				w.ns = redistest.Namespace(t)
				m := &model{w: w, net: net, holder: -1, held: make([]context.Context, 3)}
				var managers []*locks.Manager
				for range m.held {
					manager := w.manager(t)
					managers = append(managers, manager)
					m.locks = append(m.locks, manager.Mutex("a", locks.Options{TTL: time.Hour}))
				}
				r.Repeat(map[string]func(*rapid.T){
					"acquire": m.acquire, "release": m.release, "extend": m.extend, "expire": m.expire, "crash": m.crash, "": m.check,
				})
				for _, manager := range managers { // a server of a quorum may still be told what the others did
					if err := manager.Close(within(t)); err != nil {
						r.Fatal(err)
					}
				}
				m.expire(r)
				nothingLeft(t, w)
			})
		})
	}
}
