package locks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Manager makes locks. Safe for concurrent use; one for all locks of a process is
// right, since its waiters share one subscription.
type Manager struct {
	backend Backend
	servers []*server // none with Config.Backend
	crew    *crew
	hub     *hub
	err     error // what is wrong with the Config
}

// New returns a Manager on one Redis: a server, a Sentinel's master or a cluster.
// It does no I/O; what is wrong with the Config is said by the first Acquire. It
// never closes the client.
func New(client redis.UniversalClient, cfg Config) *Manager {
	s := &server{client: client, namespace: cfg.Namespace, tries: 4}
	return newManager(cfg, []*server{s}, s, &crew{})
}

// NewQuorum returns a Manager on 3 or 5 (any odd number of) independent servers: a
// lock is held by whoever holds it on most of them, so any minority may be dead.
// The algorithm is redsync's, which is Redlock. The servers must know nothing of
// each other: for a cluster or a Sentinel's master use New.
func NewQuorum(clients []redis.UniversalClient, cfg Config) *Manager {
	servers := make([]*server, len(clients))
	for i, client := range clients {
		servers[i] = &server{client: client, namespace: cfg.Namespace, tries: 3}
	}
	c := &crew{}
	m := newManager(cfg, servers, &quorum{servers: servers, crew: c, votes: map[string]*vote{}}, c)
	if len(clients) < 3 || len(clients)%2 == 0 {
		m.err = errors.Join(m.err, fmt.Errorf("quorum: needs 3 or 5 independent servers, got %d", len(clients)))
	}
	return m
}

func newManager(cfg Config, servers []*server, b Backend, c *crew) *Manager {
	if cfg.Backend != nil {
		b, servers = cfg.Backend, nil
	}
	notifier, _ := b.(Notifier)
	return &Manager{backend: b, servers: servers, crew: c, hub: newHub(newToken(), notifier, c), err: cfg.Validate()}
}

// Close ends the subscription of the waiters and waits for what runs in the
// background: renewals, and clean-up after an Acquire that gave up. It releases
// nothing: what is held stays so until its release or the end of its TTL; AutoRenew
// stops when the held context ends, so end it before. After Close, Acquire answers
// ErrClosed; Release works. Where ctx ends first, its error is returned. Safe twice.
func (m *Manager) Close(ctx context.Context) error {
	m.crew.dismiss()
	m.hub.close()
	done := make(chan struct{})
	go func() { // ends with the crew, which ends by itself
		m.crew.wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the lock manager: %w", ended(ctx))
	}
}

// newToken is 128 random bits and more, in letters and digits.
func newToken() string { return rand.Text() }

// Mutex returns a lock that one holder has at a time. The value may be shared by
// any number of goroutines: who holds it is in the context that Acquire returns.
// No I/O; what is wrong with the name or the options is said by Acquire.
func (m *Manager) Mutex(name string, o Options) *Lock {
	return m.lock(Exclusive, name, 0, o)
}

// Semaphore returns a lock that up to n holders have at a time, each with a TTL of
// its own: one that dies gives its place back by itself. All who use the name must
// say the same n. A quorum cannot count exactly, so Acquire refuses there.
func (m *Manager) Semaphore(name string, n int, o Options) *Lock {
	l := m.lock(Slot, name, n, o)
	if n < 1 {
		l.err = errors.Join(l.err, fmt.Errorf("semaphore %q: needs at least 1 place, got %d", name, n))
	}
	if len(m.servers) > 1 {
		l.err = errors.Join(l.err, fmt.Errorf("semaphore %q: most of several servers cannot count places: %w; use New", name, errors.ErrUnsupported))
	}
	return l
}

// RWMutex is a lock for any number of readers, or one writer. A writer that waits
// goes before readers that come later.
type RWMutex struct {
	Read  *Lock // held beside other readers
	Write *Lock // held alone
}

// RWMutex returns a reader-writer lock. A context holds either side once: Read
// inside Write and the other way round are ErrAlreadyHeld.
func (m *Manager) RWMutex(name string, o Options) RWMutex {
	return RWMutex{Read: m.lock(Read, name, 0, o), Write: m.lock(Write, name, 0, o)}
}

func (m *Manager) lock(kind Kind, name string, slots int, o Options) *Lock {
	err := errors.Join(m.err, validName(name), o.Validate())
	if err != nil {
		err = fmt.Errorf("lock %q: %w", name, err)
	}
	return &Lock{manager: m, kind: kind, name: name, slots: slots, options: o.withDefaults(), err: err}
}
