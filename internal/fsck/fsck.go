// Package fsck looks whether every job of a namespace lies in exactly one place,
// on a live or a stopped system, and mends what has one safe answer.
//
// What a scan finds is a candidate only: jobs move while it looks. Every finding
// was confirmed by one script, which saw the partition at one instant, so a
// healthy system has none, however busy it is. The same goes for repairs: each is
// one script that looks again first. No repair deletes a job.
//
// The longest script reads MaxEntries entries or MaxBytes once, a repair twice,
// which holds the server for about 0.2 s each time (2 busy cores, entries of 180
// bytes). That happens only where something seems wrong; all others read slices.
package fsck

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

// What one script reads at most. Of longer lines some things cannot be said;
// Report.Skipped names them.
const (
	MaxEntries = 100_000
	MaxBytes   = 64 << 20
)

//go:embed lua/*.lua
var embedded embed.FS

func load(name string) *script.Script {
	own, err := fs.Sub(embedded, "lua")
	if err != nil {
		panic(err)
	}
	return script.New(name, own, moves.Fragments)
}

// Options of a run. The zero value looks at the default namespace and changes
// nothing.
type Options struct {
	Namespace string // "" = colony
	Repair    bool   // mend what has one safe answer
}

// Check looks at a namespace and changes nothing. The error says that it could
// not look; what it found stands in the report.
func Check(ctx context.Context, client *redisclient.Client, namespace string) (Report, error) {
	return Run(ctx, client, Options{Namespace: namespace})
}

// Run looks at a namespace and, if asked to, mends it and looks again.
func Run(ctx context.Context, client *redisclient.Client, o Options) (Report, error) {
	c := &checker{client: client, namespace: o.Namespace}
	before, err := c.check(ctx)
	if err != nil || !o.Repair || before.Clean() {
		return before, err
	}
	failed := c.repair(ctx, before.Findings)
	after, err := c.check(ctx)
	if err != nil {
		return before, err
	}
	return compare(before, after, failed), nil
}

// checker is one run over one namespace.
type checker struct {
	client    *redisclient.Client
	namespace string
}

// unknownPatience is how long a queue may have keys before its worker has added
// it to the set of known ones: the two are done side by side.
var unknownPatience = 3 * time.Second

func (c *checker) check(ctx context.Context) (Report, error) {
	space, err := c.scan(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{Namespace: orElse(c.namespace, keys.Default), Queues: []QueueReport{}, Findings: []Finding{}}
	known, err := c.known(ctx, &r)
	if err != nil {
		return r, err
	}
	for _, name := range known {
		if !slices.ContainsFunc(space, func(p *partition) bool { return p.queue == name }) {
			space = append(space, newPartition(c.namespace, name))
		}
	}
	slices.SortFunc(space, func(a, b *partition) int { return strings.Compare(a.tag, b.tag) })
	for _, p := range space {
		if err := c.checkPartition(ctx, p, &r); err != nil {
			return r, fmt.Errorf("fsck, queue %s: %w", p.tag, err)
		}
	}
	return r, c.checkKnown(ctx, space, known, &r)
}

// known are the queues in the set of known ones.
func (c *checker) known(ctx context.Context, r *Report) ([]string, error) {
	key := keys.Queues(c.namespace)
	names, err := c.client.SMembers(ctx, key).Result()
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		r.add(Finding{Kind: WrongType, Key: key, Count: 1, Detail: "it should be a set"})
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fsck: list the known queues: %w", err)
	}
	return names, nil
}

// checkKnown looks for queues that have keys and are not in the set of known
// ones. The set lies in another slot, so that no script can see both.
func (c *checker) checkKnown(ctx context.Context, space []*partition, known []string, r *Report) error {
	end := time.Now().Add(unknownPatience)
	for _, p := range space {
		if !p.lasting || slices.Contains(known, p.queue) || r.has(WrongType, "") {
			continue
		}
		member, err := c.eventuallyKnown(ctx, p.queue, end)
		if err != nil {
			return fmt.Errorf("fsck: is queue %s known: %w", p.queue, err)
		}
		if !member && !r.has(UnknownQueue, p.queue) {
			r.add(Finding{Kind: UnknownQueue, Queue: p.queue, Key: keys.Queues(c.namespace), Count: 1,
				Detail: "the queue has keys, and worker stats does not show it"})
		}
	}
	return nil
}

func (c *checker) eventuallyKnown(ctx context.Context, queue string, end time.Time) (bool, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		member, err := c.client.SIsMember(ctx, keys.Queues(c.namespace), queue).Result()
		if err != nil || member || time.Now().After(end) {
			return member, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// checkPartition adds what is wrong with one partition.
func (c *checker) checkPartition(ctx context.Context, p *partition, r *Report) error {
	v, err := c.look(ctx, p, false)
	if err != nil {
		return err
	}
	if len(v.wrong) > 0 {
		for _, w := range v.wrong {
			r.add(Finding{Kind: WrongType, Queue: p.tag, Key: w.key, Count: 1, Detail: w.detail})
		}
		r.skip("queue %s: nothing else was looked at, because of the keys of a wrong type", p.tag)
		return nil
	}
	if v.backend != "" && v.backend != "list" {
		r.skip("queue %s: it is a %s queue, which this program cannot count", p.tag, v.backend)
		return nil
	}
	found, err := c.search(ctx, p, v, r)
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		r.skip("queue %s: a key changed its type meanwhile: look again", p.tag)
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.conserve(ctx, p, v, found, r); err != nil {
		return err
	}
	p.report(v, r)
	return c.checkTTLs(ctx, p, r)
}

// conserve compares what lies anywhere with what should. Entries that no take has
// counted yet are read only where there are some, or where the sum is not right.
func (c *checker) conserve(ctx context.Context, p *partition, v view, found found, r *Report) error {
	if v.surplus == 0 && found.foreign == 0 {
		r.Queues = append(r.Queues, v.counts(p, 0))
		return nil
	}
	v, err := c.look(ctx, p, true)
	if err != nil || len(v.wrong) > 0 {
		return err
	}
	foreign := v.foreign
	if foreign < 0 {
		foreign = found.foreign
		r.skip("queue %s: more than %d jobs or %d MiB wait, too many to count at one instant those that a foreign producer pushed; about %d were", p.tag, MaxEntries, MaxBytes>>20, foreign)
	}
	off := v.surplus - foreign
	r.Queues = append(r.Queues, v.counts(p, foreign))
	switch {
	case off < 0:
		r.add(Finding{Kind: Missing, Queue: p.tag, Key: p.keys.Meta, Count: -off, Detail: v.sum(foreign)})
	case off > 0 && v.foreign >= 0:
		r.add(Finding{Kind: Surplus, Queue: p.tag, Key: p.keys.Meta, Count: off, Detail: v.sum(foreign)})
	}
	return nil
}

// errRestless: the set of workers changed with every look.
var errRestless = errors.New("workers come and go too fast to look; try again")
