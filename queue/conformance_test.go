package queue_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/backend/backendtest"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

func TestMain(m *testing.M) {
	applyMutation()
	os.Exit(redistest.Main(m))
}

// The list backend keeps the contract of package backend on every kind of server.
func TestConformance(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		backendtest.Run(t, harness(t, target))
	})
	redistest.EachSentinel(t, func(t *testing.T, target redistest.Target) {
		backendtest.Run(t, harness(t, target))
	})
}

func harness(t testing.TB, target redistest.Target) backendtest.Harness {
	namespace := redistest.Namespace(t)
	shared := wrap(t, target.NewClient(t))
	h := backendtest.Harness{
		Client:    target.Client,
		NewClient: target.NewClient,
		Open: func(t testing.TB, name string, o backendtest.Options) backend.Queue {
			client := shared
			if o.Client != nil {
				client = wrap(t, o.Client)
			}
			return queue.New(client, queue.Options{Namespace: namespace, Queue: name, Incarnation: o.Incarnation, Lease: o.Lease})
		},
		Key: func(name, suffix string) string { return namespace + ":{" + name + "}:" + suffix },
		Push: func(ctx context.Context, name string, entry []byte) error {
			return target.Client.RPush(ctx, keys.For(namespace, name, 0, 1).Ready, entry).Err()
		},
		Touches: touches,
		Full:    func(t testing.TB) (backendtest.Harness, func(bool)) { return full(t, target.Binary) },
	}
	if why, lacks := target.Features[redistest.MaxMemory]; lacks {
		h.Full, h.NoFull = nil, why
	} else if target.Name != "standalone" {
		h.Full, h.NoFull = nil, "it consists of servers like the standalone one, which is filled there"
	}
	return h
}

// touches are the keys of a list queue that each move looks at.
var touches = map[string][]string{
	"Enqueue":        {"meta", "ready", "scheduled", "parked", "producer:<producer>"},
	"Take":           {"workers", "meta", "active:<inc>", "cancelled", "suspect", "arrivals", "ready", "parked", "dead"},
	"Settle":         {"workers", "active:<inc>", "meta", "cancelled"},
	"Settle/retry":   {"parked", "retry"},
	"Settle/snooze":  {"parked", "scheduled"},
	"Settle/dead":    {"parked", "dead"},
	"Settle/release": {"ready", "suspect"},
	"Beat":           {"workers", "meta", "ready", "arrivals", "suspect", "cancelled", "active:<inc>", "scheduled", "retry", "promoter"},
	"Reap":           {"meta", "ready", "suspect", "parked", "dead", "promoter", "active:<dead>"},
	"Cancel":         {"meta", "scheduled", "retry", "dead", "parked", "cancelled"},
	"Promote":        {"scheduled", "retry", "parked", "ready"},
	"Close":          {"workers", "active:<inc>", "meta", "ready", "suspect", "parked", "dead", "promoter"},
}

// full is a server of its own that can be filled.
func full(t testing.TB, binary string) (backendtest.Harness, func(bool)) {
	s := redistest.StandaloneWith(t, redistest.Options{Binary: binary})
	client := s.Client(t)
	h := harness(t, redistest.Target{
		Name: "full", Client: client,
		NewClient: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	})
	return h, func(full bool) {
		limit := "0"
		if full {
			limit = "1"
		}
		if err := client.ConfigSet(context.WithoutCancel(t.Context()), "maxmemory", limit).Err(); err != nil {
			t.Error(err)
		}
	}
}

func wrap(t testing.TB, client redis.UniversalClient) *redisclient.Client {
	c, err := redisclient.Wrap(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
