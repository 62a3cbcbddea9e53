package locks_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/colonyq/colony/locks"
)

// Wrong options and names are said by Acquire, all at once, each by its field.
func TestValidation(t *testing.T) {
	m := standalone(t).manager(t)
	_, err := m.Mutex("", locks.Options{TTL: -5, MaxWait: -1, RetryEvery: 1}).Acquire(within(t))
	for _, field := range []string{"name:", "ttl:", "max_wait:", "retry_every:"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	_, err = m.Mutex("a", locks.Options{TTL: locks.NoExpiry, AutoRenew: true}).Acquire(within(t))
	if err == nil || !strings.Contains(err.Error(), "auto_renew:") {
		t.Errorf("AutoRenew without a TTL: %v", err)
	}
	if _, err := m.Semaphore("a", 0, locks.Options{}).Acquire(within(t)); err == nil {
		t.Error("a semaphore without places")
	}
}

// A closed manager acquires nothing more, and still releases.
func TestClose(t *testing.T) {
	ctx, m := within(t), standalone(t).manager(t)
	l := m.Mutex("a", locks.Options{})
	held := acquired(t, l, ctx)
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Mutex("b", locks.Options{}).Acquire(ctx); !errors.Is(err, locks.ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Release(held); err != nil {
		t.Fatal(err)
	}
}
