package fsck

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/keys"
)

// partition is what a scan saw of one partition of a queue.
type partition struct {
	tag       string // queue, or queue/number
	queue     string
	keys      keys.Queue
	hands     []string // incarnations that have a hash, as the scan saw it
	producers []string // keys
	lasting   bool     // it has keys that don't expire
}

func newPartition(namespace, tag string) *partition {
	name, number, divided := strings.Cut(tag, "/")
	p := &partition{tag: tag, queue: name, keys: keys.For(namespace, name, 0, 1)}
	if n, err := strconv.Atoi(number); divided && err == nil {
		p.keys = keys.For(namespace, name, n, n+2)
	}
	return p
}

// note takes down one key of the partition; what stands behind its hash tag.
func (p *partition) note(key, suffix string) {
	if who, ok := strings.CutPrefix(suffix, "active:"); ok {
		p.hands = append(p.hands, who)
	}
	if strings.HasPrefix(suffix, "producer:") {
		p.producers = append(p.producers, key)
		return
	}
	p.lasting = p.lasting || suffix != "promoter" && !strings.HasPrefix(suffix, "unique:")
}

// scanCount is about how many keys of the server one step looks at.
const scanCount = 1000

// scan finds the partitions of the namespace, on every master.
func (c *checker) scan(ctx context.Context) ([]*partition, error) {
	var mu sync.Mutex
	seen, found := map[string]bool{}, map[string]*partition{}
	note := func(names []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range names {
			if tag, suffix, ok := c.parse(key); ok && !seen[key] {
				seen[key] = true
				if found[tag] == nil {
					found[tag] = newPartition(c.namespace, tag)
				}
				found[tag].note(key, suffix)
			}
		}
	}
	node := func(ctx context.Context, r redis.Cmdable) error { return scanNode(ctx, r, c.pattern(), note) }
	if err := c.eachMaster(ctx, node); err != nil {
		return nil, fmt.Errorf("fsck: scan for keys: %w", err)
	}
	var all []*partition
	for _, p := range found {
		slices.Sort(p.hands)
		all = append(all, p)
	}
	return all, nil
}

// eachMaster calls f with every node that has keys, side by side.
func (c *checker) eachMaster(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	if !c.client.IsCluster() {
		return f(ctx, c.client)
	}
	cluster, ok := c.client.UniversalClient.(interface {
		ForEachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error
	})
	if !ok {
		return fmt.Errorf("a %T does not tell its masters", c.client.UniversalClient)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, r *redis.Client) error { return f(ctx, r) })
}

func scanNode(ctx context.Context, r redis.Cmdable, pattern string, note func([]string)) error {
	for cursor := uint64(0); ; {
		names, next, err := r.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return err
		}
		note(names)
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// pattern matches every key of a queue of the namespace.
func (c *checker) pattern() string {
	escape := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
	return escape.Replace(orElse(c.namespace, keys.Default)) + ":{*}:*"
}

// parse takes NAMESPACE:{TAG}:SUFFIX apart.
func (c *checker) parse(key string) (tag, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(key, orElse(c.namespace, keys.Default)+":{")
	if !ok {
		return "", "", false
	}
	tag, suffix, ok = strings.Cut(rest, "}:")
	return tag, suffix, ok && tag != "" && newPartition(c.namespace, tag).keys.Meta == strings.TrimSuffix(key, suffix)+"meta"
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
