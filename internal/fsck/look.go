package fsck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/colonyq/colony/internal/moves"
)

var lookScript = load("look.lua")

// looks is how often a look is tried while workers come.
const looks = 20

// view is a partition at one instant; see look.lua.
type view struct {
	wrong     []wrongType
	workers   []string
	orphans   []string // incarnations whose hand has no worker
	surplus   int64    // jobs that lie anywhere, less those that ought to
	foreign   int64    // of these, not counted yet; -1 = not read
	envelopes int64
	ids       int64
	promoter  int64 // ms; -1 = for ever
	junk      []string
	backend   string
	enqueued  int64
	ended     int64

	hands []string // all that were looked at
}

type wrongType struct{ key, detail string }

// places are the keys of a partition in the order of places.lua.
func (p *partition) places(hands []string) []string {
	k := p.keys
	names := []string{k.Workers, k.Meta, k.Arrivals, k.Ready, k.Suspect, k.Scheduled, k.Retry, k.Dead, k.Done, k.Parked, k.Cancelled, k.Promoter}
	for _, who := range hands {
		names = append(names, k.Active(who))
	}
	return names
}

// look sees the partition at one instant. A worker that came since its hand was
// looked for makes the look worthless: it is repeated with that hand, too.
func (c *checker) look(ctx context.Context, p *partition, read bool) (view, error) {
	entries, bytes := 0, 0
	if read {
		entries, bytes = MaxEntries, MaxBytes
	}
	hands := p.hands
	for range looks {
		reply, err := lookScript.Run(ctx, c.client, p.places(hands), entries, bytes)
		if err != nil {
			return view{}, fmt.Errorf("look: %w", err)
		}
		v, err := newView(reply)
		if err != nil {
			return view{}, fmt.Errorf("look: %w", err)
		}
		v.hands = hands
		if missing := without(v.workers, hands); len(missing) > 0 {
			hands = append(slices.Clip(hands), missing...)
			continue
		}
		p.hands = hands
		return v, nil
	}
	return view{}, errRestless
}

// without are the workers whose hands are not among these.
func without(workers, hands []string) (missing []string) {
	for _, w := range workers {
		if !strings.HasPrefix(w, "@") && !slices.Contains(hands, w) {
			missing = append(missing, w)
		}
	}
	return missing
}

func newView(reply any) (view, error) {
	l, err := moves.List(reply, 1)
	if err != nil {
		return view{}, err
	}
	var v view
	for _, w := range texts(l[0]) {
		detail := strings.TrimPrefix(w, "WRONGTYPE ")
		key, _, _ := strings.Cut(detail, " holds a ")
		v.wrong = append(v.wrong, wrongType{key, detail})
	}
	if len(v.wrong) > 0 {
		return v, nil
	}
	if l, err = moves.List(reply, 12); err != nil {
		return view{}, err
	}
	for i, to := range map[int]*[]string{1: &v.workers, 2: &v.orphans, 8: &v.junk} {
		*to = texts(l[i])
	}
	for i, to := range map[int]*int64{3: &v.surplus, 4: &v.foreign, 5: &v.envelopes, 6: &v.ids, 7: &v.promoter, 10: &v.enqueued, 11: &v.ended} {
		if *to, err = moves.Int(reply, i); err != nil {
			return view{}, err
		}
	}
	v.backend, _ = l[9].(string)
	return v, nil
}

func (v view) lying() int64 { return v.surplus + v.enqueued - v.ended }

func (v view) counts(p *partition, foreign int64) QueueReport {
	return QueueReport{Queue: p.tag, Enqueued: v.enqueued, Ended: v.ended, Lying: v.lying(), Uncounted: foreign}
}

func (v view) sum(foreign int64) string {
	return fmt.Sprintf("%d enqueued - %d ended = %d, but %d lie in the queue (%d of them not counted yet)",
		v.enqueued, v.ended, v.enqueued-v.ended, v.lying(), foreign)
}

// report adds what a look alone shows.
func (p *partition) report(v view, r *Report) {
	for _, who := range v.orphans {
		r.add(Finding{Kind: NoWorker, Queue: p.tag, Key: p.keys.Active(who), Count: 1, all: []string{who}, Jobs: []string{}, p: p,
			Detail: "its jobs are in nobody's hands, and nobody will put them back"})
	}
	if len(v.junk) > 0 {
		r.add(Finding{Kind: JunkInHand, Queue: p.tag, Key: p.keys.Active("*"), all: v.junk})
	}
	if v.promoter == -1 {
		r.add(Finding{Kind: NoExpiry, Queue: p.tag, Key: p.keys.Promoter, Count: 1, p: p,
			Detail: "if the worker that it names is gone, nobody promotes delayed jobs and retries"})
	}
}

// texts reads a nested list of strings in a script's reply.
func texts(v any) []string {
	l, _ := v.([]any)
	var out []string
	for _, x := range l {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}
