package fsck

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

var (
	enrollScript = load("enroll.lua")
	unlistScript = load("unlist.lua")
	buryScript   = load("bury.lua")
	mergeScript  = load("merge.lua")
)

// What keys live by themselves when nobody renews them, in ms.
const (
	producerLife = 120_000
	promoterLife = 3_000
)

// repair mends what can be mended and returns what failed, each with its reason.
// Doubles go last: an id that was taken out, or a job that was buried, may have
// been half of one.
func (c *checker) repair(ctx context.Context, findings []Finding) (failed []string) {
	order := []Kind{NoWorker, NoExpiry, UnknownQueue, NoEnvelope, NotListed, Double}
	for _, kind := range order {
		for _, f := range findings {
			if f.Kind != kind {
				continue
			}
			if err := c.mend(ctx, f); err != nil {
				failed = append(failed, fmt.Sprintf("repair of %s: %v", f.Key, err))
			}
		}
	}
	return failed
}

func (c *checker) mend(ctx context.Context, f Finding) error {
	switch f.Kind {
	case NoWorker:
		_, err := enrollScript.Run(ctx, c.client, []string{f.p.keys.Workers, f.Key}, f.all[0])
		return err
	case NoExpiry:
		return c.expire(ctx, f)
	case UnknownQueue:
		return c.client.SAdd(ctx, keys.Queues(c.namespace), f.Queue).Err()
	case NoEnvelope:
		k := f.p.keys
		set := 1 + slices.Index([]string{k.Scheduled, k.Retry, k.Dead, k.Done}, f.Key)
		return c.inSlices(ctx, f, unlistScript, slice, set)
	case NotListed:
		return c.inSlices(ctx, f, buryScript, slice)
	case Double:
		return c.inSlices(ctx, f, mergeScript, 1)
	}
	return nil
}

func (c *checker) expire(ctx context.Context, f Finding) error {
	if len(f.all) == 0 {
		_, err := ttlScript.Run(ctx, c.client, []string{f.Key}, "string", promoterLife)
		return err
	}
	for chunk := range slices.Chunk(f.all, slice/2) {
		if _, err := ttlScript.Run(ctx, c.client, chunk, "hash", producerLife); err != nil {
			return err
		}
	}
	return nil
}

// inSlices runs a script with so many of the ids at a time.
func (c *checker) inSlices(ctx context.Context, f Finding, s *script.Script, n int, more ...any) error {
	for chunk := range slices.Chunk(f.all, n) {
		args := append([]any{MaxEntries, MaxBytes}, more...)
		if _, err := c.run(ctx, f.p, s, append(args, anys(chunk)...)); err != nil {
			return err
		}
	}
	return nil
}

// run runs a script that sees a whole partition. It needs all hands, so where a
// worker came meanwhile it looks for them again.
func (c *checker) run(ctx context.Context, p *partition, s *script.Script, args []any) (any, error) {
	for range looks {
		v, err := s.Run(ctx, c.client, p.places(p.hands), args...)
		if !redis.HasErrorPrefix(err, "RESTLESS") {
			return v, err
		}
		if _, err := c.look(ctx, p, false); err != nil {
			return nil, err
		}
	}
	return nil, errRestless
}

// list reads a script's reply as a list.
func list(v any, err error) ([]any, error) {
	if err != nil {
		return nil, err
	}
	return moves.List(v, 2)
}
