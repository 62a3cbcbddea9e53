package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

var takeScript = script.New("take.lua", scripts, moves.Fragments)

// looksAfterDoubt is how many beats look for ghosts after a take whose reply was
// lost: the command may still lie in a buffer when the first one looks.
const looksAfterDoubt = 3

// fullPause is how long a wait on a full server lasts: it refuses BLMOVE, so the
// worker looks again by itself.
const fullPause = 250 * time.Millisecond

// Take implements backend.Queue.
func (q *Queue) Take(ctx context.Context, max int, alone bool) (backend.Taken, error) {
	if max <= 0 {
		return backend.Taken{}, nil
	}
	if !q.lockTaking(ctx) {
		return backend.Taken{}, q.Wrap("take", ctx.Err())
	}
	defer q.unlockTaking()
	k := q.Keys
	v, err := takeScript.Run(ctx, q.client, []string{k.Workers, k.Meta, q.active, k.Cancelled, k.Suspect, k.Arrivals, k.Ready, k.Parked, k.Dead},
		q.opts.Incarnation, min(max, backend.MaxBatchJobs), backend.MaxSliceBytes, wire.NewID(time.Now()), flag(alone))
	if err != nil {
		if !answered(err) {
			q.doubtful.Store(looksAfterDoubt)
		}
		return backend.Taken{}, q.Wrap("take", err)
	}
	l, err := moves.List(v, 3)
	if err != nil {
		return backend.Taken{}, q.Wrap("take", err)
	}
	junk, _ := moves.Int(v, 2)
	return backend.Taken{Deliveries: q.receive(l[3:]), Suspect: l[1] == int64(1), More: l[0] == int64(1), Junk: int(junk)}, nil
}

// lockTaking keeps other takes out, or returns false when ctx has ended first.
func (q *Queue) lockTaking(ctx context.Context) bool {
	select {
	case q.taking <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (q *Queue) unlockTaking() { <-q.taking }

// Wait implements backend.Queue.
func (q *Queue) Wait(ctx context.Context, d time.Duration) error {
	_, err := q.waits().Do(ctx, d, func(d time.Duration) []any {
		return []any{"BLMOVE", q.Keys.Ready, q.Keys.Arrivals, "LEFT", "RIGHT", redisclient.Seconds(d)}
	})
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return nil
	case redis.HasErrorPrefix(err, "OOM"):
		return pause(ctx, min(d, fullPause))
	default:
		return q.Wrap("wait", err)
	}
}

// waits is what Wait waits with. The client keeps each one until it is closed, and
// a Queue that only enqueues or looks is made in passing and never closed: it
// has none.
func (q *Queue) waits() *redisclient.Waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiter == nil {
		q.waiter = q.client.NewWaiter(q.Keys.Ready)
	}
	return q.waiter
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive notes entries as held and returns them as deliveries. An entry that is
// held already (two entries of one id and number) is not delivered again.
func (q *Queue) receive(entries []any) []*backend.Delivery {
	out := make([]*backend.Delivery, 0, len(entries))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, v := range entries {
		entry, _ := v.(string)
		d := q.delivery([]byte(entry))
		field := fieldOf(d)
		if q.hand[field] == nil {
			q.hand[field] = d
			out = append(out, d)
		}
	}
	return out
}

func (q *Queue) delivery(raw []byte) *backend.Delivery {
	e, err := wire.Parse(raw)
	if err != nil {
		id, n, s, _, _ := wire.Head(raw)
		return backend.NewDelivery(q.Queue, wire.Envelope{ID: id, N: n, S: s}, raw, fmt.Errorf("queue %s, job %s: %w", q.Queue, id, err))
	}
	return backend.NewDelivery(q.Queue, e, raw, nil)
}

// fieldOf names a delivery in the hand: id:n.
func fieldOf(d *backend.Delivery) string { return d.ID + ":" + strconv.FormatInt(d.N, 10) }

// answered says that the server has answered and did not run the script to its
// end, so that nothing was moved.
func answered(err error) bool {
	var r redis.Error
	return errors.As(err, &r)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
