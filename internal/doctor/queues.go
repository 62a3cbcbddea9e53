package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/moves"
)

var queueScript = load("queue.lua")

// tooLate is how long a due job may wait for its promotion.
const tooLate = 10 * time.Second

// checkQueues looks at every known queue.
func (d *doctor) checkQueues(ctx context.Context) {
	names, err := d.client.SMembers(ctx, keys.Queues(d.namespace)).Result()
	if err != nil {
		d.unknown("queues", "", err)
		return
	}
	slices.Sort(names)
	for _, name := range names {
		k := keys.For(d.namespace, name, 0, 1)
		v, err := queueScript.Run(ctx, d.client, []string{k.Meta, k.Ready, k.Arrivals, k.Suspect, k.Scheduled, k.Retry, k.Dead, k.Workers})
		q, err := newQueue(v, err)
		if err != nil {
			d.unknown("queue", name, err)
			continue
		}
		d.add(q.judge(name))
	}
}

// queue is what queue.lua says.
type queue struct {
	paused                                          bool
	waiting, suspects, late, dead, diedNow, workers int64
}

func newQueue(v any, err error) (queue, error) {
	if err != nil {
		return queue{}, err
	}
	n := make([]int64, 7)
	for i := range n {
		if n[i], err = moves.Int(v, i); err != nil {
			return queue{}, err
		}
	}
	return queue{n[0] == 1, n[1], n[2], n[3], n[4], n[5], n[6]}, nil
}

// judge tells the worst there is to say.
func (q queue) judge(name string) Result {
	r := Result{Check: "queue", Where: name, Level: OK, Says: fmt.Sprintf("%d waiting, %d dead, %d workers", q.waiting, q.dead, q.workers)}
	late := time.Duration(q.late) * time.Millisecond
	switch {
	case q.workers == 0 && (q.waiting > 0 || q.suspects > 0 || late > tooLate):
		r.Level, r.Do = Problem, "start a worker: worker run --queue "+name
		r.Says += ": jobs wait and no worker is alive"
	case late > tooLate:
		r.Level, r.Do = Problem, "look into the workers' logs why they do not promote it, and run worker fsck"
		r.Says += fmt.Sprintf(": a job is due since %s", late.Round(time.Second))
	case q.paused && q.waiting > 0:
		r.Level, r.Do = Warning, "resume it when its cause is over"
		r.Says += ": it is paused"
	case q.suspects > 0:
		r.Level, r.Do = Warning, "look at them: their workers died more than once, most likely of them"
		r.Says += fmt.Sprintf(": %d suspects", q.suspects)
	case q.diedNow > 0:
		r.Level, r.Do = Warning, "look at their errors: nothing runs a dead job again by itself"
		r.Says += fmt.Sprintf(": %d died within the last hour", q.diedNow)
	}
	return r
}
