package queue

import (
	"context"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
)

// PutBackSlice sends putback.lua once.
func PutBackSlice(ctx context.Context, c *redisclient.Client, k keys.Queue, who string) (any, error) {
	return putbackScript.Run(ctx, c, []string{k.Workers, k.Active(who), k.Meta, k.Ready, k.Suspect, k.Parked, k.Dead, k.Promoter},
		who, "reap", backend.MaxStalls, backend.MaxBatchJobs, backend.MaxSliceBytes)
}

// Waits says whether the queue has a waiter, which its client keeps until it is closed.
func Waits(q *Queue) bool { return q.waiter != nil }
