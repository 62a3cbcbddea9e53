package locks

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// NoExpiry as a TTL keeps a lock until it is released. A holder that dies keeps it
// for ever: somebody has to break it by hand.
const NoExpiry time.Duration = -1

const (
	defaultTTL        = 30 * time.Second
	defaultRetryEvery = 3 * time.Second
	maxName           = 512
)

// Config of a Manager. The zero value works.
type Config struct {
	// Namespace is what all keys begin with. Default colony.
	Namespace string
	// Backend replaces the implementation on Redis. Default: Redis.
	Backend Backend
}

// Validate joins all problems, each naming its field.
func (c Config) Validate() error {
	if strings.ContainsAny(c.Namespace, "{}") {
		return fmt.Errorf("namespace: must not contain { or }, got %q", c.Namespace)
	}
	return nil
}

// Options of a lock. The zero value works.
type Options struct {
	// TTL is how long the lock stays with a holder that does not renew it. Default
	// 30 s; NoExpiry = until released. Whole milliseconds.
	TTL time.Duration
	// MaxWait bounds how long Acquire waits; after it, Acquire answers ErrTaken.
	// Default: until the context ends.
	MaxWait time.Duration
	// RetryEvery is how often a waiter asks again, ± 20 %, when nothing woke it: it
	// is what a lost wake-up costs. Default 3 s, under a command per second.
	RetryEvery time.Duration
	// SharedToken keeps the token on the Lock instead of the context, so that one
	// goroutine may acquire and another release. The price: a holder whose time ran
	// out releases the lock of the one after it. See the package comment.
	SharedToken bool
	// AutoRenew renews the lock every third of its TTL while the held context
	// lives. Without it nothing renews a lock but the caller.
	AutoRenew bool
	// Reentrant lets a context that holds the lock acquire it again; it is free
	// after as many releases.
	Reentrant bool
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.TTL > 0 {
		o.TTL = o.TTL.Truncate(time.Millisecond)
	}
	if o.RetryEvery == 0 {
		o.RetryEvery = defaultRetryEvery
	}
	return o
}

// Validate joins all problems, each naming its field.
func (o Options) Validate() error {
	var errs []error
	if o.TTL != 0 && o.TTL != NoExpiry && o.TTL < time.Millisecond {
		errs = append(errs, fmt.Errorf("ttl: must be at least 1ms, or locks.NoExpiry, got %v", o.TTL))
	}
	if o.MaxWait < 0 {
		errs = append(errs, fmt.Errorf("max_wait: must not be negative, got %v", o.MaxWait))
	}
	if o.RetryEvery != 0 && o.RetryEvery < time.Millisecond {
		errs = append(errs, fmt.Errorf("retry_every: must be at least 1ms, got %v", o.RetryEvery))
	}
	if o.AutoRenew && o.TTL == NoExpiry {
		errs = append(errs, errors.New("auto_renew: a lock without a TTL has nothing to renew"))
	}
	return errors.Join(errs...)
}

// validName: the name stands inside the hash tag of the keys.
func validName(name string) error {
	switch {
	case name == "":
		return errors.New("name: must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("name: must have at most %d bytes, got %d", maxName, len(name))
	case strings.ContainsAny(name, "{}"):
		return fmt.Errorf("name: must not contain { or }, got %q", name)
	}
	return nil
}
