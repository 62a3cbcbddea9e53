package redisclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	minBlock  = 10 * time.Millisecond  // shorter ones would round to 0, which means forever
	blockSlop = 5 * time.Second        // beyond its block time, a server that says nothing is gone
	slice     = 100 * time.Millisecond // of a wait on a server that cannot unblock
	unblockIn = 200 * time.Millisecond // then the connection is dropped instead
	lookAgain = 100 * time.Millisecond // after a key's node changed
)

// ErrBusy is what Do answers while another Do of the same Waiter runs.
var ErrBusy = errors.New("this waiter is waiting already: use one per goroutine")

// Waiter runs blocking commands on a connection of its own to the master of one
// key. The connection is made by the first Do, kept between calls and made anew
// after an error.
type Waiter struct {
	client *Client
	key    string

	busy   sync.Mutex // held by the Do that runs
	mu     sync.Mutex // guards the rest
	line   *line
	closed bool
}

// NewWaiter returns a Waiter for the node that serves key. Close it when done;
// Close of the client does so too.
func (c *Client) NewWaiter(key string) *Waiter {
	w := &Waiter{client: c, key: key}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		w.closed = true
		return w
	}
	if c.waiters == nil {
		c.waiters = map[*Waiter]struct{}{}
	}
	c.waiters[w] = struct{}{}
	return w
}

// Do runs one blocking command and returns its reply, or redis.Nil when nothing
// came within d. build is asked for the command's arguments with the block time
// to use: d, at least 10 ms, in whole milliseconds (Seconds writes it the way
// BLMOVE wants it); on a server that cannot unblock a client, several times with
// slices of d.
//
// When ctx ends, Do returns its error within milliseconds, by CLIENT UNBLOCK; if
// that does not help within 200 ms, by dropping the connection. A reply that
// arrives all the same is returned as a reply. The command is sent once and
// never retried: after any other error it may or may not have run.
//
// In a cluster, a key that moved to another node counts as nothing came, and so
// does a failover behind sentinels; the next Do waits at the new place. One Do runs at a time, a second one answers ErrBusy.
// After Close the error is redis.ErrClosed.
func (w *Waiter) Do(ctx context.Context, d time.Duration, build func(d time.Duration) []any) (any, error) {
	if !w.busy.TryLock() {
		return nil, ErrBusy
	}
	defer w.busy.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := w.connect(ctx)
	if err != nil {
		return nil, w.failed(ctx, err)
	}
	reply, err := l.wait(ctx, max(d.Round(time.Millisecond), minBlock), build)
	if err == nil || errors.Is(err, redis.Nil) && ctx.Err() == nil {
		return reply, err
	}
	return nil, w.failed(ctx, err)
}

// Close drops the connection; a Do that runs ends. It is safe to call twice.
func (w *Waiter) Close() error {
	w.client.mu.Lock()
	delete(w.client.waiters, w)
	w.client.mu.Unlock()
	w.shut()
	return nil
}

func (w *Waiter) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.drop()
}

// drop is called with mu held.
func (w *Waiter) drop() {
	if w.line != nil {
		w.line.close()
		w.line = nil
	}
}

// connect returns the line, a new one if there is none.
func (w *Waiter) connect(ctx context.Context) (*line, error) {
	w.mu.Lock()
	l := w.line
	w.mu.Unlock()
	if l != nil && !l.cut.Load() {
		return l, nil
	}
	node, err := w.client.master(ctx, w.key)
	if err != nil {
		return nil, err
	}
	l = newLine(node)
	if err := l.ping(ctx); err != nil {
		l.close()
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		l.close()
		return nil, redis.ErrClosed
	}
	w.line = l
	return l, nil
}

// failed says what an error means to the caller and drops the connection unless
// it is still good.
func (w *Waiter) failed(ctx context.Context, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	moved := hasPrefix(err, "MOVED ", "ASK ", "TRYAGAIN ", "UNBLOCKED ", "READONLY ")
	if !isReply(err) || moved {
		w.drop()
		w.client.reload(ctx)
	}
	switch {
	case w.closed:
		return redis.ErrClosed
	case ended(ctx) != nil:
		return ended(ctx)
	case moved && w.client.mode != Standalone:
		return pause(ctx, lookAgain, redis.Nil)
	}
	return fmt.Errorf("waiting at redis %s: %w", w.client.address, err)
}

// ended is the error of a context that is over. A connection that was given its
// deadline may notice it before the context itself does.
func ended(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// Seconds writes a block time the way BLMOVE and its like want it, in seconds
// with decimals; go-redis' own methods cut the fraction.
func Seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
}

// line is one connection that may block, and the shared client of the same node
// to reach the server beside it.
type line struct {
	own  *redis.Client // a pool of one
	peer *redis.Client
	id   atomic.Int64 // CLIENT ID of own's connection; 0: the server has no such thing
	cut  atomic.Bool  // interrupt had to close it
}

func newLine(node *redis.Client) *line {
	l := &line{peer: node.WithTimeout(unblockIn)}
	o := *node.Options()
	first := o.OnConnect
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		if first != nil {
			if err := first(ctx, conn); err != nil {
				return err
			}
		}
		return l.identify(ctx, conn)
	}
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 1, 0, 0, 0
	o.PipelinePoolSize = -1 // none
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ReadTimeout = -1 // none: each wait sets a deadline
	o.ContextTimeoutEnabled = true
	o.Limiter = nil
	o.ClientSideCacheConfig, o.ClientSideCache = nil, nil
	o.MaintNotificationsConfig = noNotifications()
	l.own = redis.NewClient(&o)
	return l
}

// identify asks a fresh connection for its id. A server that does not know the
// command, or does not let this user run it, cannot be asked to unblock either.
func (l *line) identify(ctx context.Context, conn *redis.Conn) error {
	id, err := conn.ClientID(ctx).Result()
	if err != nil && !isReply(err) {
		return err
	}
	l.id.Store(id)
	return nil
}

// close ends whatever runs on the connection. The pool's only error is that it
// was closed before.
func (l *line) close() { _ = l.own.Close() }

// wait blocks for up to d, in slices where the server cannot unblock.
func (l *line) wait(ctx context.Context, d time.Duration, build func(d time.Duration) []any) (any, error) {
	if l.id.Load() != 0 {
		return l.block(ctx, d, build(d))
	}
	for end := time.Now().Add(d); ; {
		part := min(max(time.Until(end).Round(time.Millisecond), minBlock), slice)
		reply, err := l.block(ctx, part, build(part))
		if !errors.Is(err, redis.Nil) || ctx.Err() != nil || time.Until(end) < minBlock {
			return reply, err
		}
	}
}

// ping makes the connection, so that its id is known before anything blocks on it.
func (l *line) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, blockSlop)
	defer cancel()
	return l.own.Ping(ctx).Err()
}

// block runs one command and returns when it ended, or soon after ctx did.
func (l *line) block(ctx context.Context, d time.Duration, args []any) (any, error) {
	run, cancel := context.WithTimeout(context.WithoutCancel(ctx), d+blockSlop)
	defer cancel()
	ended, over := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		l.interrupt(ended, cancel)
	})
	cmd := once{redis.NewCmd(run, args...)}
	_ = l.own.Process(run, cmd) // cmd has the error
	close(ended)
	if !stop() {
		<-over // so that a late CLIENT UNBLOCK cannot hit the next command
	}
	return cmd.Result()
}

// interrupt asks the server to unblock the connection until the command ended;
// the first word may arrive before the command does.
func (l *line) interrupt(ended <-chan struct{}, cancel context.CancelFunc) {
	ctx, done := context.WithTimeout(context.Background(), unblockIn)
	defer done()
	for {
		if id := l.id.Load(); id != 0 {
			_ = l.peer.ClientUnblock(ctx, id).Err() // whether it helped shows in ended
		}
		select {
		case <-ended:
			return
		case <-ctx.Done():
			l.cut.Store(true)
			cancel() // a dial
			l.close()
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// once is a command that go-redis never sends again.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// isReply says whether err is a server's answer, which leaves the connection good.
func isReply(err error) bool {
	var r redis.Error
	return errors.As(err, &r)
}

// hasPrefix says whether err is, or wraps, such an answer of a server.
func hasPrefix(err error, prefixes ...string) bool {
	var r redis.Error
	if !errors.As(err, &r) {
		return false
	}
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(r.Error(), p) })
}

// pause waits and answers err, or that of ctx if it ends first.
func pause(ctx context.Context, d time.Duration, err error) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return err
	}
}
