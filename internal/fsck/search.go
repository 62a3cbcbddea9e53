package fsck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/moves"
)

var (
	idsScript       = load("ids.lua")
	envelopesScript = load("envelopes.lua")
	lineScript      = load("line.lua")
	doublesScript   = load("doubles.lua")
	ttlScript       = load("ttl.lua")
)

const (
	slice      = 1000      // ids or entries that one script looks at
	sliceBytes = 256 << 10 // of entries that one script reads
)

// found is what a search through a partition saw.
type found struct {
	foreign int64           // entries without a head
	seen    map[string]bool // ids; true = more than once, so perhaps a double
}

func (f *found) note(ids []string) {
	for _, id := range ids {
		_, again := f.seen[id]
		f.seen[id] = again
	}
}

// search goes through a partition in slices, against the way that jobs take, so
// that one that moves on meanwhile is rather missed than seen twice.
func (c *checker) search(ctx context.Context, p *partition, v view, r *Report) (found, error) {
	f := found{seen: map[string]bool{}}
	bare, err := c.searchSets(ctx, p, &f, r)
	if err != nil {
		return f, err
	}
	if err := c.searchHands(ctx, p, &f); err != nil {
		return f, err
	}
	for _, line := range []string{p.keys.Suspect, p.keys.Arrivals, p.keys.Ready} {
		if err := c.searchLine(ctx, line, &f); err != nil {
			return f, err
		}
	}
	suspicious := f.doubles()
	// Envelopes are as many as the ids that name them, unless something is wrong.
	if v.envelopes != v.ids || bare > 0 || len(suspicious) > 0 {
		if err := c.searchEnvelopes(ctx, p, r); err != nil {
			return f, err
		}
	}
	return f, c.confirmDoubles(ctx, p, suspicious, r)
}

// searchSets looks for ids without an envelope and returns how many there are.
func (c *checker) searchSets(ctx context.Context, p *partition, f *found, r *Report) (int, error) {
	k, bare := p.keys, 0
	for _, zset := range []string{k.Done, k.Dead, k.Retry, k.Scheduled} {
		var missing []string
		for from := 0; ; from += slice {
			l, err := list(idsScript.Run(ctx, c.client, []string{zset, k.Parked}, from, slice))
			if err != nil {
				return bare, err
			}
			ids := texts(l[0])
			f.note(ids)
			missing = append(missing, texts(l[1])...)
			if len(ids) < slice {
				break
			}
		}
		if missing = distinct(missing); len(missing) > 0 {
			bare += len(missing)
			r.add(Finding{Kind: NoEnvelope, Queue: p.tag, Key: zset, all: missing, p: p})
		}
	}
	return bare, nil
}

func (c *checker) searchHands(ctx context.Context, p *partition, f *found) error {
	for _, who := range p.hands {
		fields, err := c.client.HKeys(ctx, p.keys.Active(who)).Result()
		if err != nil {
			return fmt.Errorf("read the hand of %s: %w", who, err)
		}
		for _, field := range fields {
			id, _, _ := strings.Cut(field, ":")
			f.note([]string{id})
		}
	}
	return nil
}

func (c *checker) searchLine(ctx context.Context, line string, f *found) error {
	for from := 0; ; {
		reply, err := lineScript.Run(ctx, c.client, []string{line}, from, slice, sliceBytes)
		l, err := list(reply, err)
		if err != nil {
			return err
		}
		read, _ := moves.Int(reply, 0)
		foreign, _ := moves.Int(reply, 1)
		f.foreign += foreign
		f.note(texts(l[2]))
		if read == 0 {
			return nil
		}
		from += int(read)
	}
}

// searchEnvelopes looks for envelopes that no set names.
func (c *checker) searchEnvelopes(ctx context.Context, p *partition, r *Report) error {
	k, cursor := p.keys, "0"
	var lost []string
	for {
		l, err := list(envelopesScript.Run(ctx, c.client, []string{k.Parked, k.Scheduled, k.Retry, k.Dead, k.Done}, cursor, slice/10))
		if err != nil {
			return err
		}
		lost = append(lost, texts(l[1])...)
		if cursor, _ = l[0].(string); cursor == "0" || cursor == "" {
			break
		}
	}
	if lost = distinct(lost); len(lost) > 0 {
		r.add(Finding{Kind: NotListed, Queue: p.tag, Key: k.Parked, all: lost, p: p})
	}
	return nil
}

func (f *found) doubles() []string {
	var ids []string
	for id, again := range f.seen {
		if again {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// confirmDoubles looks at one instant where each of these ids lies.
func (c *checker) confirmDoubles(ctx context.Context, p *partition, ids []string, r *Report) error {
	var doubles, where []string
	for chunk := range slices.Chunk(ids, slice) {
		args := append([]any{MaxEntries, MaxBytes}, anys(chunk)...)
		reply, err := c.run(ctx, p, doublesScript, args)
		if redis.HasErrorPrefix(err, "LONG") {
			r.skip("queue %s: %d ids may lie in two places, but more than %d jobs or %d MiB wait, too many to look at one instant", p.tag, len(ids), MaxEntries, MaxBytes>>20)
			return nil
		}
		if err != nil {
			return err
		}
		l, err := moves.List(reply, 0)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(l); i += 2 {
			id, _ := l[i].(string)
			doubles = append(doubles, id)
			where = append(where, id+" in "+strings.Join(texts(l[i+1]), " and "))
		}
	}
	if len(doubles) > 0 {
		r.add(Finding{Kind: Double, Queue: p.tag, Key: p.keys.Ready, all: doubles, p: p, Detail: strings.Join(where[:min(len(where), maxJobs)], "; ")})
	}
	return nil
}

// checkTTLs looks for producers' keys that would stay for ever.
func (c *checker) checkTTLs(ctx context.Context, p *partition, r *Report) error {
	var eternal []string
	for chunk := range slices.Chunk(p.producers, slice/2) {
		v, err := ttlScript.Run(ctx, c.client, chunk, "hash", "")
		if err != nil {
			return fmt.Errorf("look at producers: %w", err)
		}
		eternal = append(eternal, texts(v)...)
	}
	if len(eternal) > 0 {
		r.add(Finding{Kind: NoExpiry, Queue: p.tag, Key: p.keys.Producer("*"), all: eternal, p: p, Detail: "a producer's last batch is kept for 120 s"})
	}
	return nil
}

func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func anys(ids []string) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
