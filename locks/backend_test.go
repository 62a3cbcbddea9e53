package locks_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/colonyq/colony/locks"
)

// memory is a Backend that somebody else wrote, without wake-ups.
type memory struct {
	mu     sync.Mutex
	holder string
	fence  uint64
}

func (m *memory) Acquire(_ context.Context, r locks.Request) (locks.Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder != r.Previous {
		return locks.Grant{}, locks.ErrTaken
	}
	m.holder = r.Token
	m.fence++
	return locks.Grant{Fence: m.fence, Fenced: true, Until: time.Now().Add(r.TTL)}, nil
}

func (m *memory) Renew(_ context.Context, r locks.Request) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder != r.Token {
		return time.Time{}, locks.ErrNotOwned
	}
	return time.Now().Add(r.TTL), nil
}

func (m *memory) Release(_ context.Context, r locks.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder != r.Token {
		return locks.ErrNotOwned
	}
	m.holder = ""
	return nil
}

func (m *memory) State(_ context.Context, r locks.Request) (locks.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return locks.State{Locked: m.holder != "", Owned: m.holder == r.Token && r.Token != ""}, nil
}

// The implementation can be exchanged: the semantics of the context stay, and a
// Backend that wakes nobody is asked again every RetryEvery.
func TestOwnBackend(t *testing.T) {
	ctx, m := within(t), locks.New(nil, locks.Config{Backend: &memory{}})
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l := m.Mutex("a", locks.Options{RetryEvery: time.Millisecond})
	held := acquired(t, l, ctx)
	if err := l.Reacquire(held); err != nil {
		t.Fatal(err)
	}
	next := async(ctx, l)
	if owned, err := l.Owned(held); !owned || err != nil {
		t.Fatal(owned, err)
	}
	if err := l.Release(held); err != nil {
		t.Fatal(err)
	}
	r := <-next
	if r.err != nil {
		t.Fatal(r.err)
	}
	token, err := locks.Handover(r.held)
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := l.Adopt(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(adopted); err != nil {
		t.Fatal(err)
	}
	if _, err := m.List(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	if _, err := m.Break(ctx, "a"); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
}
