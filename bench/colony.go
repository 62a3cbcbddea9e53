package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
)

const kind = "bench"

// colony is this project, used as its users do, with every default.
type colony struct {
	cfg      framework.Config
	queue    string
	producer *framework.Producer
}

func openColony(ctx context.Context, a address, queue string) (system, error) {
	cfg := framework.Config{
		Redis:  redisclient.Config{URL: a.url()},
		Queues: map[string]framework.QueueConfig{queue: {}},
	}
	p, err := framework.OpenProducer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &colony{cfg: cfg, queue: queue, producer: p}, nil
}

func (c *colony) Enqueue(ctx context.Context, payloads ...[]byte) error {
	if len(payloads) == 1 {
		_, err := framework.EnqueueRaw(ctx, c.producer, kind, payloads[0], framework.Queue(c.queue))
		return err
	}
	jobs := make([]framework.NewJob, len(payloads))
	for i, p := range payloads {
		jobs[i] = framework.NewRaw(kind, p, framework.Queue(c.queue))
	}
	_, err := framework.EnqueueMany(ctx, c.producer, jobs...)
	return err
}

func (c *colony) EnqueueIn(ctx context.Context, payload []byte, d time.Duration) error {
	_, err := framework.EnqueueRaw(ctx, c.producer, kind, payload, framework.Queue(c.queue), framework.In(d))
	return err
}

func (c *colony) Work(slots int, handle func(payload []byte)) (func() error, error) {
	cfg := c.cfg
	cfg.Worker.Concurrency = slots
	ctx, cancel := context.WithCancel(context.Background())
	app, err := framework.Open(ctx, cfg, framework.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		cancel()
		return nil, err
	}
	framework.HandleRaw(app, kind, func(_ context.Context, d *framework.Delivery) error {
		handle(d.Payload)
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	return func() error {
		cancel()
		if err := <-ended; err != nil {
			return err
		}
		return app.Close(context.Background())
	}, nil
}

func (c *colony) Left(ctx context.Context) (int64, error) {
	all, err := c.producer.Stats(ctx)
	n := all[c.queue]
	return n.Ready + n.Active + n.Suspect + n.Scheduled + n.Retry + n.Dead, err
}

func (c *colony) Close() error { return c.producer.Close(context.Background()) }
