package redisclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// openPatience is how long Open waits for a server to answer.
const openPatience = 1900 * time.Millisecond

// openingPatience is how long Open waits for servers that are in the middle of a
// change.
const openingPatience = 10 * time.Second

// ErrUnreachable is matched by errors of Open and Check that mean: nothing
// answers at that address. They are of type *UnreachableError.
var ErrUnreachable = errors.New("redis does not answer")

// UnreachableError says where nothing answers, and why.
type UnreachableError struct {
	Address string // without password
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("redis at %s does not answer: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Is matches ErrUnreachable.
func (e *UnreachableError) Is(target error) bool { return target == ErrUnreachable }

// Check asks the server for an answer and whether it is what the client takes it
// for. Its errors say what to do: about a server that does not answer
// (ErrUnreachable), a missing or wrong password, a database that is not there, a
// cluster node behind a standalone client and the reverse.
func (c *Client) Check(ctx context.Context) error { return c.check(ctx, openPatience) }

// checkPatiently checks again while a change of servers may be the reason.
func (c *Client) checkPatiently(ctx context.Context, patience time.Duration) error {
	end := time.Now().Add(openingPatience)
	for d := firstPause; ; d = min(2*d, lastPause) {
		err := c.check(ctx, patience)
		if err == nil || !c.passes(err) || time.Now().Add(d).After(end) || pause(ctx, d, nil) != nil {
			return err
		}
	}
}

// passes says whether a failed check may be over soon. Behind sentinels that
// answer, or in a cluster of which a node does, so may a master's silence.
func (c *Client) passes(err error) bool {
	return inPassing(err) || c.mode != Standalone && errors.Is(err, ErrUnreachable)
}

func (c *Client) check(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, noReply(patience))
	defer cancel()
	if err := c.Ping(ctx).Err(); err != nil {
		return c.explain(ctx, err)
	}
	if c.mode != Standalone {
		return nil
	}
	// A user who may not run INFO, or a server without this section, leaves the
	// question to the first command that a cluster node refuses.
	info, err := c.Info(ctx, "cluster").Result()
	if err == nil && strings.Contains(info, "cluster_enabled:1") {
		return fmt.Errorf("redis at %s is a node of a cluster: set redis.is_colony: true, or pass --cluster", c.address)
	}
	return nil
}

// Evicts returns the server's maxmemory-policy if the server throws keys away,
// and so loses jobs, once it has no memory left; else "". A server that may not
// be asked counts as one that does not, and of a cluster one node is asked.
func (c *Client) Evicts(ctx context.Context) string {
	ctx, cancel := context.WithTimeoutCause(ctx, openPatience, noReply(openPatience))
	defer cancel()
	info, err := c.Info(ctx, "memory").Result()
	if err != nil || strings.Contains(info, "maxmemory:0\r\n") { // no limit
		return ""
	}
	_, policy, _ := strings.Cut(info, "maxmemory_policy:")
	policy, _, _ = strings.Cut(policy, "\r\n")
	if policy == "noeviction" {
		return ""
	}
	return policy
}

// explain turns an answer to the first command into an error that says what to do.
func (c *Client) explain(ctx context.Context, err error) error {
	for _, known := range []struct{ part, say string }{
		{"all sentinels specified in configuration are unreachable: redis: nil", "is not known to them: correct redis.sentinel.master"},
		{"unknown command 'sentinel'", "cannot be asked for: redis.sentinel.addresses must be those of sentinels, whose port is usually 26379"},
		{"NOAUTH", "wants a password: write it into redis.url, redis://:PASSWORD@HOST:PORT"},
		{"WRONGPASS", "refuses the user or the password of redis.url"},
		{"invalid password", "refuses the password of redis.url"},
		{"DB index is out of range", "has no such database: correct the number at the end of redis.url"},
		{"cluster support disabled", "is not a cluster: set redis.is_colony: false and remove redis.startup_nodes, or leave out --cluster"},
		{"NOPERM", "does not let this user work: grant it the commands and keys that Colony needs"},
	} {
		if strings.Contains(err.Error(), known.part) {
			return fmt.Errorf("redis at %s %s (%w)", c.address, known.say, err)
		}
	}
	if inPassing(err) {
		return fmt.Errorf("redis at %s cannot serve yet: %w", c.address, err)
	}
	return unreachable(ctx, c.address, err)
}

// unreachable tells a server that does not answer from one that answers badly,
// and from a caller who gave up first.
func unreachable(ctx context.Context, address string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var op *net.OpError
	var late noReply
	if errors.As(err, &op) || errors.As(err, &late) || errors.Is(err, io.EOF) {
		return &UnreachableError{Address: address, Err: err}
	}
	return fmt.Errorf("redis at %s: %w", address, err)
}

// noReply is the cause of a check's context that ended by its own patience.
type noReply time.Duration

func (n noReply) Error() string {
	return "no reply within " + time.Duration(n).Round(100*time.Millisecond).String()
}

// Unwrap lets errors.Is find what a context that ran out always says.
func (noReply) Unwrap() error { return context.DeadlineExceeded }

// patience for the first answer of a client: a cluster client may first meet
// seeds that are gone.
func (t target) patience() time.Duration {
	if t.mode != Cluster {
		return openPatience
	}
	return openPatience + dialTimeout*time.Duration(len(t.addrs)-1)
}

// probe dials, so that a server that is not there is found without the retries
// and log lines of a client's pool. Of a cluster's seeds, or of sentinels, one is
// enough.
func (t target) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, openPatience, noReply(openPatience))
	defer cancel()
	opt := t.options()
	dial := redis.NewDialer(opt)
	var first error
	for i, addr := range t.addrs {
		err := dialOnce(ctx, dial, opt.Network, addr, len(t.addrs)-i)
		if err == nil {
			return nil
		}
		first = orElse(first, err)
	}
	return unreachable(ctx, t.address(), first)
}

// dialOnce spends on this address its share of what time is left.
func dialOnce(ctx context.Context, dial dialer, network, addr string, share int) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(share))
		defer cancel()
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
