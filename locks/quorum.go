package locks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
	rsredis "github.com/go-redsync/redsync/v4/redis"
)

// quorum is the Backend on several independent servers. redsync counts the votes
// and minds the clocks; what it does at each server is ours: its Pool hands out a
// ballot, whose SetNX and Eval run our scripts. A redsync.Mutex keeps its token in
// itself, so each operation gets a fresh one.
type quorum struct {
	servers []*server
	crew    *crew

	mu    sync.Mutex
	votes map[string]*vote // acquisitions that some server has not answered yet, by token
}

func (q *quorum) majority() int { return len(q.servers)/2 + 1 }

// Acquire asks all servers and returns once a majority has answered alike. A server
// that grants later is released if the vote was lost, or the lock given up, by then.
func (q *quorum) Acquire(ctx context.Context, r Request) (Grant, error) {
	v := q.open(r)
	m := q.mutex(v, acquiring)
	if m.TryLockContext(ctx) != nil {
		v.close()
		return v.refusal(ctx, q.majority())
	}
	g := Grant{}
	if r.TTL != NoExpiry {
		g.Until = m.Until()
	}
	g.Fence, g.Fenced = q.fence(ctx, r, v.highest()+1)
	return g, nil
}

// fence writes back what the majority agreed on: the next majority shares a server
// with this one, so its highest fence is greater. Without a majority of answers
// nothing is promised.
func (q *quorum) fence(ctx context.Context, r Request, fence uint64) (uint64, bool) {
	n, _ := q.poll(ctx, r, q.majority(), func(ctx context.Context, s *server) (bool, error) { return s.raise(ctx, r, fence) })
	return fence, n >= q.majority()
}

// Renew needs a majority.
func (q *quorum) Renew(ctx context.Context, r Request) (time.Time, error) {
	v := newVote(q, r)
	m := q.mutex(v, renewing)
	ok, err := m.ExtendContext(ctx)
	if ok {
		if r.TTL == NoExpiry {
			return time.Time{}, nil
		}
		return m.Until(), nil
	}
	return time.Time{}, v.failure(ctx, q.majority(), ErrNotOwned, err)
}

// Release needs a majority; the rest is told in the background.
func (q *quorum) Release(ctx context.Context, r Request) error {
	q.mu.Lock()
	earlier := q.votes[r.Token]
	q.mu.Unlock()
	if earlier != nil {
		earlier.close()
	}
	v := newVote(q, r)
	ok, err := q.mutex(v, releasing).UnlockContext(ctx)
	if ok {
		return nil
	}
	return v.failure(ctx, q.majority(), ErrNotOwned, err)
}

// State is what the servers say together: held or owned where a majority says so.
func (q *quorum) State(ctx context.Context, r Request) (State, error) {
	var mu sync.Mutex
	var all State
	locked, owned := 0, 0
	n, err := q.poll(ctx, r, len(q.servers), func(ctx context.Context, s *server) (bool, error) {
		one, err := s.State(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		all.Fence, all.Waiters = max(all.Fence, one.Fence), max(all.Waiters, one.Waiters)
		if len(one.Holders) > len(all.Holders) {
			all.Holders = one.Holders
		}
		locked, owned = locked+btoi(one.Locked), owned+btoi(one.Owned)
		return err == nil, err
	})
	if n < q.majority() {
		return State{}, noMajority(err)
	}
	mu.Lock()
	defer mu.Unlock()
	// Any majority of answers meets the majority that a holder needs.
	all.Locked, all.Owned = locked > 0 && locked >= q.majority()-(len(q.servers)-n), owned >= q.majority()
	return all, nil
}

// Listen listens at every server.
func (q *quorum) Listen(ctx context.Context, manager string, wake func(string)) {
	var all sync.WaitGroup
	for _, s := range q.servers {
		all.Go(func() { s.Listen(ctx, manager, wake) })
	}
	all.Wait()
}

// poll asks all servers and returns how many said yes, when that are enough or all
// have answered.
func (q *quorum) poll(ctx context.Context, r Request, enough int, ask func(context.Context, *server) (bool, error)) (int, error) {
	type answer struct {
		yes bool
		err error
	}
	answers := make(chan answer, len(q.servers))
	for _, s := range q.servers {
		one := func() {
			ctx, cancel := context.WithTimeout(ctx, nodeTimeout(r.TTL))
			defer cancel()
			yes, err := ask(ctx, s)
			answers <- answer{yes, err}
		}
		if !q.crew.spawn(one) {
			one()
		}
	}
	n := 0
	var errs []error
	deadline := time.NewTimer(nodeTimeout(r.TTL))
	defer deadline.Stop()
	for range q.servers {
		select {
		case a := <-answers:
			n += btoi(a.yes)
			errs = append(errs, a.err)
		case <-deadline.C:
			return n, errors.Join(append(errs, context.DeadlineExceeded)...)
		}
		if n >= enough {
			break
		}
	}
	return n, errors.Join(errs...)
}

// mutex is redsync's, good for one operation.
func (q *quorum) mutex(v *vote, what operation) *redsync.Mutex {
	pools := make([]rsredis.Pool, len(q.servers))
	for i := range q.servers {
		pools[i] = pool{v, i, what}
	}
	ttl := v.request.TTL
	if ttl == NoExpiry {
		ttl = 100 * 365 * 24 * time.Hour
	}
	return redsync.New(pools...).NewMutex(v.request.Name,
		redsync.WithExpiry(ttl),
		redsync.WithTimeoutFactor(1), // ballots have a timeout of their own
		redsync.WithValue(v.request.Token),
		redsync.WithGenValueFunc(func() (string, error) { return v.request.Token, nil }),
		redsync.WithFailFast(true))
}

// nodeTimeout is how long one server may take: a part of the TTL, so that several
// that hang do not eat it up.
func nodeTimeout(ttl time.Duration) time.Duration {
	if ttl == NoExpiry {
		return 2 * time.Second
	}
	return min(max(ttl/4, 500*time.Millisecond), 2*time.Second)
}

// open begins an acquisition.
func (q *quorum) open(r Request) *vote {
	v := newVote(q, r)
	v.missing = len(q.servers)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.votes[r.Token] = v
	return v
}

// vote is one operation at all servers.
type vote struct {
	q       *quorum
	request Request

	mu      sync.Mutex
	closed  bool // lost, or given up
	missing int  // servers that have not answered the acquisition
	nodes   []outcome
}

// outcome is what one server said.
type outcome struct {
	answered, yes bool
	grant         Grant
	err           error
}

func newVote(q *quorum, r Request) *vote {
	return &vote{q: q, request: r, nodes: make([]outcome, len(q.servers))}
}

// note records an answer; late where the vote was closed before.
func (v *vote) note(node int, o outcome) (late bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o.answered = true
	v.nodes[node] = o
	if v.missing--; v.missing == 0 {
		v.q.mu.Lock()
		delete(v.q.votes, v.request.Token)
		v.q.mu.Unlock()
	}
	return v.closed
}

func (v *vote) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
}

func (v *vote) at(node int) outcome {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.nodes[node]
}

// highest is the greatest fence that a server granted.
func (v *vote) highest() (fence uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, o := range v.nodes {
		if o.yes {
			fence = max(fence, o.grant.Fence)
		}
	}
	return fence
}

// refusal is why an acquisition did not succeed: ErrTaken where others hold the
// lock or the votes were split, an error where too few servers work.
func (v *vote) refusal(ctx context.Context, majority int) (Grant, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	taken, g := 0, Grant{}
	for _, o := range v.nodes {
		if errors.Is(o.err, ErrTaken) {
			taken++
			g.Place = max(g.Place, o.grant.Place)
			g.RetryIn = max(g.RetryIn, o.grant.RetryIn)
		}
	}
	failed, errs := v.failures()
	switch {
	case ctx.Err() != nil:
		return Grant{}, ended(ctx)
	case taken >= majority:
		return g, ErrTaken
	case len(v.nodes)-failed < majority:
		return Grant{}, noMajority(errs)
	}
	g.RetryIn = 2*time.Millisecond + rand.N(20*time.Millisecond) // the votes were split: all who asked ask again
	return g, ErrTaken
}

// failure is why a renewal or release did not succeed.
func (v *vote) failure(ctx context.Context, majority int, refused, err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, o := range v.nodes {
		n += btoi(errors.Is(o.err, refused))
	}
	failed, errs := v.failures()
	switch {
	case n >= majority, n > 0 && failed == 0:
		return refused
	case ctx.Err() != nil:
		return ended(ctx)
	case errs == nil:
		return noMajority(err)
	}
	return noMajority(errs)
}

// failures are the servers that gave no verdict. The caller holds the mutex.
func (v *vote) failures() (int, error) {
	n := 0
	var errs []error
	for i, o := range v.nodes {
		switch {
		case !o.answered:
			n++
		case o.err != nil && !errors.Is(o.err, ErrTaken) && !errors.Is(o.err, ErrNotOwned):
			n++
			errs = append(errs, fmt.Errorf("server %d: %w", i+1, o.err))
		}
	}
	return n, errors.Join(errs...)
}

func noMajority(err error) error {
	return fmt.Errorf("no majority of the servers answered; see which of them are down: %w", err)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
