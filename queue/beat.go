package queue

import (
	"context"
	"embed"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

//go:embed lua/*.lua
var embedded embed.FS

var scripts = script.Files(embedded)

var (
	beatScript    = script.New("beat.lua", scripts, moves.Fragments)
	leaseScript   = script.New("lease.lua", scripts, moves.Fragments)
	putbackScript = script.New("putback.lua", scripts, moves.Fragments)
)

// promoterOffice is how long a promoter that went silent keeps its office.
const promoterOffice = 3 * time.Second

// patience is how long a look for ghosts waits for the take that is on its way.
const patience = 250 * time.Millisecond

// reapSlices bounds what one beat puts back, so that it ends while the lease lasts.
const reapSlices = 20

// Beat implements backend.Queue.
func (q *Queue) Beat(ctx context.Context) (backend.Pulse, error) {
	q.mu.Lock()
	join, held := !q.joined, len(q.hand)
	q.mu.Unlock()
	quiet := q.tryTaking()
	v, err := q.beat(ctx, join)
	if quiet {
		q.unlockTaking()
	}
	if err != nil {
		return q.onlyLease(ctx, join, err)
	}
	q.setJoined()
	p, dead, err := q.pulse(v)
	if err != nil {
		return backend.Pulse{}, q.Wrap("beat", err)
	}
	for _, who := range dead {
		reaped, err := q.putBack(ctx, who, "reap")
		if err != nil {
			p.Trouble = errors.Join(p.Trouble, err)
			continue
		}
		if reaped {
			p.Reaped++
		}
	}
	hand, _ := moves.Int(v, 1)
	if q.doubtful.Load() > 0 || quiet && int(hand) > held {
		p.Ghosts, err = q.ghosts(ctx)
		p.Trouble = errors.Join(p.Trouble, err)
	}
	return p, nil
}

func (q *Queue) tryTaking() bool {
	select {
	case q.taking <- struct{}{}:
		return true
	default:
		return false
	}
}

func (q *Queue) beat(ctx context.Context, join bool) (any, error) {
	k := q.Keys
	return beatScript.Run(ctx, q.client,
		[]string{k.Workers, k.Meta, k.Ready, k.Arrivals, k.Suspect, k.Cancelled, q.active, k.Scheduled, k.Retry, k.Promoter},
		q.opts.Incarnation, q.opts.Lease.Milliseconds(), flag(join), promoterOffice.Milliseconds(), backend.MaxSliceBytes)
}

// onlyLease renews the lease alone when a beat could not be done because the slot
// is moving: that may not cost a healthy worker its jobs. The trouble is reported
// in the pulse.
func (q *Queue) onlyLease(ctx context.Context, join bool, cause error) (backend.Pulse, error) {
	cause = q.Wrap("beat", cause)
	if !redis.HasErrorPrefix(cause, "TRYAGAIN") {
		return backend.Pulse{}, cause
	}
	_, err := leaseScript.Run(ctx, q.client, []string{q.Keys.Workers}, q.opts.Incarnation, q.opts.Lease.Milliseconds(), flag(join))
	if err != nil {
		return backend.Pulse{}, q.Wrap("beat", err)
	}
	q.setJoined()
	return backend.Pulse{NextDue: -1, Workers: 1, Trouble: cause}, nil
}

func (q *Queue) setJoined() {
	q.mu.Lock()
	q.joined = true
	q.mu.Unlock()
}

// pulse reads the reply of beat.lua.
func (q *Queue) pulse(v any) (p backend.Pulse, dead []string, err error) {
	l, err := moves.List(v, 10)
	if err != nil {
		return p, nil, err
	}
	n := make([]int64, 7)
	for i := range n {
		if n[i], err = moves.Int(v, i); err != nil {
			return p, nil, err
		}
	}
	p = backend.Pulse{Paused: n[0] == 1, Suspects: int(n[2]), Workers: int(n[3]), Waiting: int(n[4]), Promoter: n[5] == 1, NextDue: moves.Millis(n[6])}
	if word, _ := l[9].(string); word != "" {
		p.Trouble = q.Wrap("beat", moves.Refusal(word))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, field := range texts(l[8]) {
		if d := q.hand[field]; d != nil {
			p.Canceled = append(p.Canceled, d)
		}
	}
	return p, texts(l[7]), nil
}

// ghosts returns what lies in the hand though no take has returned it: its reply
// was lost. No take runs meanwhile, so none of it can still be on its way here.
func (q *Queue) ghosts(ctx context.Context) ([]*backend.Delivery, error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !q.lockTaking(short) {
		return nil, nil // a take hangs; the next beat looks again
	}
	defer q.unlockTaking()
	fields, err := q.client.HKeys(ctx, q.active).Result()
	if err != nil {
		return nil, q.Wrap("look for lost replies", err)
	}
	unknown := q.unknown(fields)
	if len(unknown) == 0 {
		q.calm()
		return nil, nil
	}
	unknown = unknown[:min(len(unknown), 100)]
	entries, err := q.client.HMGet(ctx, q.active, unknown...).Result()
	if err != nil {
		return nil, q.Wrap("look for lost replies", err)
	}
	found := entries[:0]
	for i, e := range entries {
		if s, ok := e.(string); ok && q.named(unknown[i], s) {
			found = append(found, e)
		}
	}
	return q.receive(found), nil
}

// named says that an entry lies under its own field. Another one was written by
// somebody's hand, and to run it would be to settle what is not there.
func (q *Queue) named(field, entry string) bool { return fieldOf(q.delivery([]byte(entry))) == field }

func (q *Queue) unknown(fields []string) (unknown []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range fields {
		if q.hand[f] == nil {
			unknown = append(unknown, f)
		}
	}
	return unknown
}

// calm counts a look that found nothing.
func (q *Queue) calm() {
	if q.doubtful.Load() > 0 {
		q.doubtful.Add(-1)
	}
}

// putBack empties a worker's hand and strikes it off; false when it was not due.
func (q *Queue) putBack(ctx context.Context, who, mode string) (bool, error) {
	k := q.Keys
	jobs := false
	for range reapSlices {
		v, err := putbackScript.Run(ctx, q.client, []string{k.Workers, k.Active(who), k.Meta, k.Ready, k.Suspect, k.Parked, k.Dead, k.Promoter},
			who, mode, backend.MaxStalls, backend.MaxBatchJobs, backend.MaxSliceBytes)
		if err != nil {
			return jobs, q.Wrap(mode+" worker "+who, err)
		}
		more, err := moves.Int(v, 0)
		if err != nil {
			return jobs, q.Wrap(mode+" worker "+who, err)
		}
		n, _ := moves.Int(v, 1)
		jobs = jobs || n > 0
		if more == 0 {
			break
		}
	}
	return jobs, nil
}

// Close implements backend.Queue.
func (q *Queue) Close(ctx context.Context) error {
	err := q.waits().Close()
	q.mu.Lock()
	leave := q.joined && !q.closed
	q.mu.Unlock()
	if leave {
		_, back := q.putBack(ctx, q.opts.Incarnation, "leave")
		err = errors.Join(err, back)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = q.closed || err == nil
	return err
}

// texts reads a nested list of strings in a script's reply.
func texts(v any) []string {
	l, _ := v.([]any)
	out := make([]string, 0, len(l))
	for _, x := range l {
		s, _ := x.(string)
		out = append(out, strings.Clone(s))
	}
	return out
}
