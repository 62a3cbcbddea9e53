package main

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"
)

// asynqSystem is asynq, with every default.
type asynqSystem struct {
	redis     asynq.RedisClientOpt
	queue     string
	client    *asynq.Client
	inspector *asynq.Inspector
}

func openAsynq(_ context.Context, a address, queue string) (system, error) {
	o := asynq.RedisClientOpt{Network: a.network, Addr: a.addr}
	return &asynqSystem{redis: o, queue: queue, client: asynq.NewClient(o), inspector: asynq.NewInspector(o)}, nil
}

func (a *asynqSystem) Enqueue(ctx context.Context, payloads ...[]byte) error {
	for _, p := range payloads { // it has no bulk call
		if _, err := a.client.EnqueueContext(ctx, asynq.NewTask(kind, p), asynq.Queue(a.queue)); err != nil {
			return err
		}
	}
	return nil
}

func (a *asynqSystem) EnqueueIn(ctx context.Context, payload []byte, d time.Duration) error {
	_, err := a.client.EnqueueContext(ctx, asynq.NewTask(kind, payload), asynq.Queue(a.queue), asynq.ProcessIn(d))
	return err
}

func (a *asynqSystem) Work(slots int, handle func(payload []byte)) (func() error, error) {
	s := asynq.NewServer(a.redis, asynq.Config{
		Concurrency: slots,
		Queues:      map[string]int{a.queue: 1},
		LogLevel:    asynq.FatalLevel,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc(kind, func(_ context.Context, t *asynq.Task) error {
		handle(t.Payload())
		return nil
	})
	if err := s.Start(mux); err != nil {
		return nil, err
	}
	return func() error { s.Shutdown(); return nil }, nil
}

func (a *asynqSystem) Left(context.Context) (int64, error) {
	i, err := a.inspector.GetQueueInfo(a.queue)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return int64(i.Size), nil
}

func (a *asynqSystem) Close() error { return errors.Join(a.inspector.Close(), a.client.Close()) }
