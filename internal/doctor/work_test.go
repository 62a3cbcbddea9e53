package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/doctor"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/queue"
)

// fresh is a queue that nobody has used, and its keys.
func (u users) fresh(c *redisclient.Client, lease time.Duration) (*queue.Queue, keys.Queue) {
	name := wire.NewID(time.Now())
	return queue.New(c, queue.Options{Namespace: u.namespace, Queue: name, Incarnation: wire.NewID(time.Now()), Lease: lease}),
		keys.For(u.namespace, name, 0, 1)
}

func batch(number int64, in time.Duration, n int) backend.Batch {
	b := backend.Batch{Producer: "p", Number: number}
	for range n {
		b.Jobs = append(b.Jobs, backend.Job{Envelope: wire.Envelope{ID: wire.NewID(time.Now()), V: 1, Kind: "k", Payload: []byte("null")}, In: in})
	}
	return b
}

// produce is all that a producer does: its scripts are loaded anew, it tells of
// its queue, asks for the time, enqueues for now and later, and is heard.
func (u users) produce(c *redisclient.Client) error {
	ctx, q := u.t.Context(), (*queue.Queue)(nil)
	q, _ = u.fresh(c, 0)
	if err := u.admin.ScriptFlush(ctx).Err(); err != nil {
		return err
	}
	errs := []error{c.SAdd(ctx, keys.Queues(u.namespace), q.Queue).Err(), c.Time(ctx).Err()}
	errs = append(errs, u.heard(func() error {
		_, now := q.Enqueue(ctx, batch(1, 0, 2))
		_, later := q.Enqueue(ctx, batch(2, time.Second, 1))
		return errors.Join(now, later)
	}))
	return errors.Join(errs...)
}

// heard says whether a hint comes while f runs.
func (u users) heard(f func() error) error {
	sub := u.admin.Subscribe(u.t.Context(), keys.Control(u.namespace))
	defer sub.Close()
	if _, err := sub.Receive(u.t.Context()); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(u.t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := sub.ReceiveMessage(ctx); err != nil {
		return fmt.Errorf("no hint came: %w", err)
	}
	return nil
}

// work is all that a worker does.
func (u users) work(c *redisclient.Client) error {
	if err := u.produce(c); err != nil {
		return err
	}
	for _, f := range []func(context.Context, *redisclient.Client) error{u.settles, u.waits, u.mends, u.looks, u.listens} {
		if err := f(u.t.Context(), c); err != nil {
			return err
		}
	}
	return nil
}

// settles: every verdict, a promotion, a cancelled job, and a foreign one that
// cannot be read.
func (u users) settles(ctx context.Context, c *redisclient.Client) error {
	q, k := u.fresh(c, time.Minute)
	defer q.Close(ctx)
	if err := u.admin.RPush(ctx, k.Ready, "junk").Err(); err != nil {
		return err
	}
	b := batch(1, 0, 7)
	if _, err := q.Enqueue(ctx, b); err != nil {
		return err
	}
	if err := beat(ctx, q); err != nil {
		return err
	}
	if err := q.Cancel(ctx, b.Jobs[6].Envelope.ID); err != nil {
		return err
	}
	got, err := q.Take(ctx, 10, true)
	if err != nil || len(got.Deliveries) != 6 {
		return errors.Join(err, fmt.Errorf("took %d", len(got.Deliveries)))
	}
	var words []backend.Settlement
	for i, d := range got.Deliveries {
		words = append(words, backend.Settlement{Delivery: d, Verdict: backend.Verdict(i), Error: "no", Reason: "failed"})
	}
	outcomes, err := q.Settle(ctx, words)
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	if err != nil {
		return err
	}
	if next, err := q.Promote(ctx, 10); err != nil || next >= 0 {
		return errors.Join(err, errors.New("the due jobs were not promoted"))
	}
	return nil
}

func beat(ctx context.Context, q *queue.Queue) error {
	p, err := q.Beat(ctx)
	return errors.Join(err, p.Trouble)
}

// waits: a wait ends when a job comes, and at once when it is over, which takes
// the right to unblock oneself (else it is a slice of 100 ms, or the connection).
func (u users) waits(ctx context.Context, c *redisclient.Client) error {
	q, k := u.fresh(c, time.Minute)
	defer q.Close(ctx)
	if err := u.admin.RPush(ctx, k.Ready, "x").Err(); err != nil {
		return err
	}
	if err := q.Wait(ctx, time.Second); err != nil {
		return err
	}
	if n := u.admin.LLen(ctx, k.Arrivals).Val(); n != 1 {
		return errors.New("the wait moved nothing")
	}
	if err := beat(ctx, q); err != nil { // puts it back
		return err
	}
	if n := u.admin.LLen(ctx, k.Ready).Val(); n != 1 {
		return errors.New("the beat put nothing back")
	}
	return u.unblocks(ctx, c)
}

func (u users) unblocks(ctx context.Context, c *redisclient.Client) error {
	stop, cancel := context.WithCancel(ctx)
	q, _ := u.fresh(c, time.Minute)
	before := u.unblocked(ctx)
	ended := make(chan error, 1)
	go func() { ended <- q.Wait(stop, 5*time.Second) }()
	for u.blocked(ctx) == 0 && ctx.Err() == nil && len(ended) == 0 {
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the wait ended with %w", err)
	}
	if u.unblocked(ctx) == before {
		return errors.New("the wait could not be unblocked")
	}
	return nil
}

// blocked is how many clients of the worker's user wait now.
func (u users) blocked(ctx context.Context) (n int) {
	for line := range strings.Lines(u.admin.ClientList(ctx).Val()) {
		if strings.Contains(line, "user="+u.name(doctor.Worker)+" ") && strings.Contains(line, "cmd=blmove") && strings.Contains(line, "flags=b") {
			n++
		}
	}
	return n
}

// unblocked is how often the server was asked to unblock a client, and did.
func (u users) unblocked(ctx context.Context) string {
	for line := range strings.Lines(u.admin.Info(ctx, "commandstats").Val()) {
		if strings.HasPrefix(line, "cmdstat_client|unblock:") {
			calls, _, _ := strings.Cut(line, ",")
			return calls
		}
	}
	return ""
}

// mends: a dead worker's jobs are put back, some as suspects; a lost reply is
// made up for; and a worker that leaves gives back what it holds.
func (u users) mends(ctx context.Context, c *redisclient.Client) error {
	dead, k := u.fresh(c, time.Minute)
	if err := beat(ctx, dead); err != nil {
		return err
	}
	if _, err := dead.Enqueue(ctx, batch(1, 0, 2)); err != nil {
		return err
	}
	if _, err := dead.Take(ctx, 1, false); err != nil {
		return err
	}
	who := u.admin.ZRevRange(ctx, k.Workers, 0, 0).Val()[0]
	if err := u.admin.HSet(ctx, k.Active(who), "01K1A2B3C4D5E6F7G8H9JKMNPQ:2", `{"id":"01K1A2B3C4D5E6F7G8H9JKMNPQ","n":2,"s":1,"v":1,"kind":"k","payload":null}`).Err(); err != nil {
		return err
	}
	if p, err := dead.Beat(ctx); err != nil || p.Trouble != nil || len(p.Ghosts) != 1 {
		return errors.Join(err, p.Trouble, fmt.Errorf("%d ghosts", len(p.Ghosts)))
	}
	if err := u.admin.ZAdd(ctx, k.Workers, redis.Z{Score: 1, Member: who}).Err(); err != nil {
		return err
	}
	heir := queue.New(c, queue.Options{Namespace: u.namespace, Queue: dead.Queue, Incarnation: wire.NewID(time.Now()), Lease: time.Minute})
	p, err := heir.Beat(ctx)
	if err = errors.Join(err, p.Trouble); err != nil || p.Reaped != 1 {
		return errors.Join(err, fmt.Errorf("%d reaped", p.Reaped))
	}
	return heir.Close(ctx)
}

// looks: what worker stats and worker run --drain ask; and a beat of an idle queue
// removes expired tombstones.
func (u users) looks(ctx context.Context, c *redisclient.Client) error {
	q, k := u.fresh(c, time.Minute)
	if err := u.admin.ZAdd(ctx, k.Cancelled, redis.Z{Score: 1, Member: "x"}).Err(); err != nil {
		return err
	}
	if err := beat(ctx, q); err != nil {
		return err
	}
	_, err := q.Counts(ctx)
	return errors.Join(err, c.SMembers(ctx, keys.Queues(u.namespace)).Err(), q.Close(ctx))
}

func (u users) listens(ctx context.Context, c *redisclient.Client) error {
	sub := c.Subscribe(ctx, keys.Control(u.namespace))
	defer sub.Close()
	_, err := sub.Receive(ctx)
	return err
}
