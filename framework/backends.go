package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/queue"
)

// This is the one file that knows the backends.

// Counts is a queue at one instant.
type Counts = backend.Counts

// listQueue is what the list backend offers.
type listQueue interface {
	backend.Queue
	backend.Control
	backend.Inspector
}

// openQueue is a queue under a fresh incarnation.
func openQueue(client *redisclient.Client, cfg Config, name string) listQueue {
	return queue.New(client, queue.Options{
		Namespace:   cfg.Namespace,
		Queue:       name,
		Incarnation: wire.NewID(time.Now()),
		Lease:       cfg.Worker.Lease,
		State:       cfg.Queues[name].Backend != "",
	})
}

// lookAt is a queue for looking at it and for enqueueing.
func lookAt(client *redisclient.Client, cfg Config, name string) listQueue {
	return queue.New(client, queue.Options{Namespace: cfg.Namespace, Queue: name, State: cfg.Queues[name].Backend != ""})
}

// announcer is a queue's Enqueuer that makes the queue known, once, before its
// first batch. What the set of names lacks only Stats misses, so a failure is
// logged and tried again with the next batch.
type announcer struct {
	backend.Enqueuer
	client *redisclient.Client
	cfg    Config
	queue  string
	log    *slog.Logger
	known  atomic.Bool
}

func openEnqueuer(client *redisclient.Client, cfg Config, name string, log *slog.Logger) backend.Enqueuer {
	return &announcer{Enqueuer: lookAt(client, cfg, name), client: client, cfg: cfg, queue: name, log: log}
}

func (a *announcer) Enqueue(ctx context.Context, b backend.Batch) ([]backend.Accepted, error) {
	if !a.known.Load() {
		if err := announce(ctx, a.client, a.cfg, a.queue); err != nil {
			a.log.Debug("could not add the queue to the set of known queues", slog.String("queue", a.queue), slog.Any("error", err))
		} else {
			a.known.Store(true)
		}
	}
	return a.Enqueuer.Enqueue(ctx, b)
}

func announce(ctx context.Context, client *redisclient.Client, cfg Config, queue string) error {
	return client.SAdd(ctx, keys.Queues(cfg.Namespace), queue).Err()
}

func stats(ctx context.Context, client *redisclient.Client, cfg Config) (map[string]Counts, error) {
	names, err := client.SMembers(ctx, keys.Queues(cfg.Namespace)).Result()
	if err != nil {
		return nil, fmt.Errorf("list the known queues: %w", err)
	}
	all := make(map[string]Counts, len(names))
	var errs []error
	for _, name := range names {
		c, err := lookAt(client, cfg, name).Counts(ctx)
		switch {
		case err == nil:
			all[name] = c
		case errors.Is(err, backend.ErrWrongType): // that queue alone
			errs = append(errs, err)
		default:
			return nil, err
		}
	}
	return all, errors.Join(errs...)
}

func serverTime(client *redisclient.Client) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) { return client.Time(ctx).Result() }
}

// permanent: the server refused, and will refuse again until a person acts.
func permanent(err error) bool {
	return redis.IsAuthError(err) || redis.IsPermissionError(err)
}
