package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

var countsScript = script.New("counts.lua", scripts, moves.Fragments)

// errRestless: the set of workers changed with every look.
var errRestless = errors.New("workers come and go too fast to count; ask again")

// Counts implements backend.Inspector.
func (q *Queue) Counts(ctx context.Context) (backend.Counts, error) {
	workers, err := q.client.ZRange(ctx, q.Keys.Workers, 0, -1).Result()
	for range 5 {
		if err != nil {
			return backend.Counts{}, q.Wrap("count", err)
		}
		var l []any
		if l, err = q.count(ctx, workers); err != nil {
			continue
		}
		found := texts(l[9])
		if sameWorkers(workers, found) {
			return counts(l), nil
		}
		workers = found
	}
	if err == nil {
		err = errRestless
	}
	return backend.Counts{}, q.Wrap("count", err)
}

func (q *Queue) count(ctx context.Context, workers []string) ([]any, error) {
	k := q.Keys
	names := []string{k.Meta, k.Ready, k.Arrivals, k.Suspect, k.Scheduled, k.Retry, k.Dead, k.Done, k.Workers}
	for _, w := range workers {
		names = append(names, k.Active(w))
	}
	v, err := countsScript.Run(ctx, q.client, names)
	if err != nil {
		return nil, err
	}
	return moves.List(v, 10)
}

// sameWorkers compares as sets: the order is that of deadlines and changes with every beat.
func sameWorkers(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func counts(l []any) backend.Counts {
	meta := map[string]string{}
	for f := texts(l[8]); len(f) > 1; f = f[2:] {
		meta[f[0]] = f[1]
	}
	at := func(i int) int64 { n, _ := l[i].(int64); return n }
	of := func(name string) int64 { n, _ := strconv.ParseInt(meta[name], 10, 64); return n }
	c := backend.Counts{
		Backend: meta["backend"],
		Ready:   at(0), Active: at(1), Suspect: at(2), Scheduled: at(3), Retry: at(4), Dead: at(5), Done: at(6), Due: at(7),
		Processed: of("processed"), Failed: of("failed"), LeaseLost: of("lease_lost"), Recovered: of("recovered"),
		Enqueued: of("enqueued"), Ended: of("ended"), Paused: meta["paused"] == "1",
	}
	if c.Backend == "" {
		c.Backend = Backend
	}
	return c
}

// List implements backend.Inspector. The order is that of the line for ready
// (arrivals, which are ahead of it, are not listed), by time for parked states,
// and by id for active.
func (q *Queue) List(ctx context.Context, s backend.State, offset, limit int) ([]wire.Envelope, error) {
	entries, err := q.list(ctx, s, int64(offset), int64(limit))
	if err != nil {
		return nil, q.Wrap("list "+string(s), err)
	}
	out := make([]wire.Envelope, 0, len(entries))
	for _, e := range entries {
		out = append(out, q.delivery([]byte(e)).Envelope)
	}
	return out, nil
}

func (q *Queue) list(ctx context.Context, s backend.State, offset, limit int64) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	k := q.Keys
	switch s {
	case backend.Ready:
		return q.client.LRange(ctx, k.Ready, offset, offset+limit-1).Result()
	case backend.Suspect:
		return q.client.LRange(ctx, k.Suspect, offset, offset+limit-1).Result()
	case backend.Active:
		return q.listActive(ctx, offset, limit)
	}
	zset, ok := map[backend.State]string{backend.Scheduled: k.Scheduled, backend.Retrying: k.Retry, backend.DeadState: k.Dead, backend.DoneState: k.Done}[s]
	if !ok {
		return nil, fmt.Errorf("no state %q", s)
	}
	ids, err := q.client.ZRange(ctx, zset, offset, offset+limit-1).Result()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found, err := q.client.HMGet(ctx, k.Parked, ids...).Result()
	return texts(found), err
}

func (q *Queue) listActive(ctx context.Context, offset, limit int64) ([]string, error) {
	workers, err := q.client.ZRange(ctx, q.Keys.Workers, 0, -1).Result()
	var all []string
	for _, w := range workers {
		hand, e := q.client.HVals(ctx, q.Keys.Active(w)).Result()
		all, err = append(all, hand...), errors.Join(err, e)
	}
	slices.Sort(all) // entries begin with their ids
	all = all[min(offset, int64(len(all))):]
	return all[:min(limit, int64(len(all)))], err
}

// showSlice is how many ready jobs one step of a search reads.
const showSlice = 500

// Show implements backend.Inspector.
func (q *Queue) Show(ctx context.Context, id string) (wire.Envelope, backend.State, error) {
	entry, err := q.client.HGet(ctx, q.Keys.Parked, id).Result()
	if err == nil {
		s, err := q.parkedState(ctx, id)
		return q.delivery([]byte(entry)).Envelope, s, q.Wrap("show job "+id, err)
	}
	if !errors.Is(err, redis.Nil) {
		return wire.Envelope{}, "", q.Wrap("show job "+id, err)
	}
	for _, s := range []backend.State{backend.Active, backend.Suspect, backend.Ready} {
		e, found, err := q.search(ctx, s, id)
		if err != nil || found {
			return e, s, q.Wrap("show job "+id, err)
		}
	}
	return wire.Envelope{}, "", q.Wrap("show job "+id, backend.ErrNotFound)
}

func (q *Queue) parkedState(ctx context.Context, id string) (backend.State, error) {
	k := q.Keys
	for _, z := range []struct {
		key   string
		state backend.State
	}{{k.Scheduled, backend.Scheduled}, {k.Retry, backend.Retrying}, {k.Dead, backend.DeadState}, {k.Done, backend.DoneState}} {
		err := q.client.ZScore(ctx, z.key, id).Err()
		if err == nil {
			return z.state, nil
		}
		if !errors.Is(err, redis.Nil) {
			return "", err
		}
	}
	return "", backend.ErrNotFound
}

func (q *Queue) search(ctx context.Context, s backend.State, id string) (wire.Envelope, bool, error) {
	for offset := 0; ; offset += showSlice {
		jobs, err := q.List(ctx, s, offset, showSlice)
		if err != nil || len(jobs) == 0 {
			return wire.Envelope{}, false, err
		}
		for _, j := range jobs {
			if j.ID == id {
				return j, true, nil
			}
		}
	}
}
