package backendtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// inspector is the queue's own, or skips.
func (r *rig) inspector() backend.Inspector {
	r.Helper()
	i, ok := r.producer.Queue.(backend.Inspector)
	if !ok {
		r.Skip("this backend has no Inspector")
	}
	return i
}

func (r *rig) control() backend.Control {
	r.Helper()
	c, ok := r.producer.Queue.(backend.Control)
	if !ok {
		r.Skip("this backend has no Control")
	}
	return c
}

// counts reads the queue's counts and checks that no job is in two places or in
// none: what was ever accepted and has not ended lies somewhere.
func (r *rig) counts() backend.Counts {
	r.Helper()
	c, err := r.inspector().Counts(r.Context())
	r.must(err)
	if lies := places(c); c.Enqueued-c.Ended != lies {
		r.Fatalf("%d enqueued - %d ended, but %d lie in the queue: %+v", c.Enqueued, c.Ended, lies, c)
	}
	return c
}

func places(c backend.Counts) int64 {
	return c.Ready + c.Active + c.Suspect + c.Scheduled + c.Retry + c.Dead + c.Done
}

// holds compares the number of jobs in each state, those with none left out,
// and the number that ended.
func (r *rig) holds(want map[backend.State]int64, ended int64) {
	r.Helper()
	c := r.counts()
	got := map[backend.State]int64{
		backend.Ready: c.Ready, backend.Active: c.Active, backend.Suspect: c.Suspect, backend.Scheduled: c.Scheduled,
		backend.Retrying: c.Retry, backend.DeadState: c.Dead, backend.DoneState: c.Done,
	}
	maps.DeleteFunc(got, func(_ backend.State, n int64) bool { return n == 0 })
	r.want("jobs by state", got, want)
	r.want("jobs that ended", c.Ended, ended)
}

type byState = map[backend.State]int64

// show finds one job.
func (r *rig) show(id string) (wire.Envelope, backend.State) {
	r.Helper()
	e, s, err := r.inspector().Show(r.Context(), id)
	r.must(err)
	return e, s
}

// snapshot is every key of the queue with its content.
func (r *rig) snapshot() map[string]string {
	r.Helper()
	got := map[string]string{}
	for _, key := range r.keys() {
		got[key] = r.dump(key)
	}
	return got
}

// keys lists the queue's keys, on whatever node they lie.
func (r *rig) keys() []string {
	r.Helper()
	pattern := r.h.Key(r.queue, "*")
	cluster, ok := r.h.Client.(*redis.ClusterClient)
	if !ok {
		keys, err := r.h.Client.Keys(r.Context(), pattern).Result()
		r.must(err)
		return sorted(keys)
	}
	var mu sync.Mutex
	var all []string
	r.must(cluster.ForEachMaster(r.Context(), func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, pattern).Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	}))
	return sorted(all)
}

// dump prints the content of a key.
func (r *rig) dump(key string) string {
	r.Helper()
	ctx, c := r.Context(), r.h.Client
	kind, err := c.Type(ctx, key).Result()
	r.must(err)
	var v any
	switch kind {
	case "string":
		v, err = c.Get(ctx, key).Result()
	case "list":
		v, err = c.LRange(ctx, key, 0, -1).Result()
	case "hash":
		v, err = c.HGetAll(ctx, key).Result()
	case "zset":
		v, err = c.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "set":
		v, err = c.SMembers(ctx, key).Result()
		v = sorted(v.([]string))
	case "stream":
		v, err = c.XRange(ctx, key, "-", "+").Result()
	case "none": // expired meanwhile
		return "none"
	default:
		r.Fatalf("key %s is a %s", key, kind)
	}
	r.must(err)
	return fmt.Sprintf("%s %v", kind, v)
}

// unchanged compares two snapshots, leaving out keys whose names contain one of
// the given parts.
func (r *rig) unchanged(before map[string]string, except ...string) {
	r.Helper()
	after := r.snapshot()
	leave := func(key, _ string) bool {
		return slices.ContainsFunc(except, func(part string) bool {
			return strings.HasPrefix(key, r.h.Key(r.queue, part))
		})
	}
	maps.DeleteFunc(before, leave)
	maps.DeleteFunc(after, leave)
	for key := range after {
		if before[key] != after[key] {
			r.Errorf("%s changed from %.300q to %.300q", key, before[key], after[key])
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			r.Errorf("%s is gone; it held %.300q", key, before[key])
		}
	}
	if r.Failed() {
		r.FailNow()
	}
}
