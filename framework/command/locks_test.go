package command_test

import (
	"context"
	"fmt"
	"os"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/locks"
)

// holdLock is a program that takes a lock and dies holding it.
func holdLock(name string) int {
	ctx := context.Background()
	cfg, err := framework.Config{}.WithEnv(os.Environ())
	if err == nil {
		var client *redisclient.Client
		if client, err = redisclient.Open(ctx, cfg.Redis); err == nil {
			_, err = locks.New(client, locks.Config{Namespace: cfg.Namespace}).Mutex(name, locks.Options{}).Acquire(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
