package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// bare is Redis and go-redis with no framework above them: a list, a list of
// what is in work, and the moves between them in pipelines. It has no lease, no
// retry and no recovery. It shows what the moves themselves cost.
type bare struct {
	client        *redis.Client
	ready, active string
}

// pipelined is how many moves the bare worker sends at a time, at most.
const pipelined = 100

func openBare(_ context.Context, a address, queue string) (system, error) {
	c := redis.NewClient(&redis.Options{Network: a.network, Addr: a.addr, ReadTimeout: time.Minute})
	return &bare{client: c, ready: queue + ":ready", active: queue + ":active"}, nil
}

func (b *bare) Enqueue(ctx context.Context, payloads ...[]byte) error {
	args := make([]any, len(payloads))
	for i, p := range payloads {
		args[i] = p
	}
	return b.client.RPush(ctx, b.ready, args...).Err()
}

func (b *bare) EnqueueIn(context.Context, []byte, time.Duration) error { return errNone }

func (b *bare) Work(slots int, handle func(payload []byte)) (func() error, error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w := &bareWorker{bare: b, batch: min(slots, pipelined), handle: handle}
	go func() { ended <- w.run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

type bareWorker struct {
	*bare
	batch  int
	handle func([]byte)
}

// run fetches and acknowledges until ctx ends. It waits in short blocks, for the
// end of a context does not reach a command that blocks.
func (w *bareWorker) run(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := w.round(context.Background())
		for err == nil && n == 0 && ctx.Err() == nil {
			n, err = w.wait(context.Background())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *bareWorker) round(ctx context.Context) (int, error) {
	fetch := w.client.Pipeline()
	for range w.batch {
		fetch.LMove(ctx, w.ready, w.active, "LEFT", "RIGHT")
	}
	cmds, err := fetch.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, err
	}
	ack := w.client.Pipeline()
	for _, c := range cmds {
		if job, err := c.(*redis.StringCmd).Result(); err == nil {
			w.handle([]byte(job))
			ack.LRem(ctx, w.active, 1, job)
		}
	}
	n := ack.Len()
	_, err = ack.Exec(ctx)
	return n, err
}

func (w *bareWorker) wait(ctx context.Context) (int, error) {
	job, err := w.client.BLMove(ctx, w.ready, w.active, "LEFT", "RIGHT", time.Second).Result()
	if err != nil {
		if errors.Is(err, redis.Nil) {
			return 0, nil
		}
		return 0, err
	}
	w.handle([]byte(job))
	return 1, w.client.LRem(ctx, w.active, 1, job).Err()
}

func (b *bare) Left(ctx context.Context) (int64, error) {
	var ready, active *redis.IntCmd
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		ready, active = p.LLen(ctx, b.ready), p.LLen(ctx, b.active)
		return nil
	})
	return ready.Val() + active.Val(), err
}

func (b *bare) Close() error { return b.client.Close() }
