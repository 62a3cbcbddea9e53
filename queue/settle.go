package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

var settleScript = script.New("settle.lua", scripts, moves.Fragments)

// Settle implements backend.Queue. A batch over the limits of one call goes in
// several, so after an error a part of it may be applied; the same batch sent
// again answers already for that part.
func (q *Queue) Settle(ctx context.Context, s []backend.Settlement) ([]backend.Outcome, error) {
	out := make([]backend.Outcome, 0, len(s))
	for len(s) > 0 {
		n, args := q.settleArgs(s)
		o, err := q.settle(ctx, s[:n], args)
		if err != nil {
			return nil, err
		}
		out, s = append(out, o...), s[n:]
	}
	return out, nil
}

// settleArgs writes the arguments for as many settlements as one call may carry.
func (q *Queue) settleArgs(s []backend.Settlement) (n int, args []any) {
	args = make([]any, 0, 3+4*len(s))
	args = append(args, q.opts.Incarnation, q.Channel(), q.Queue)
	now := time.Now()
	bytes := 0
	for _, x := range s {
		if n == backend.MaxBatchJobs || bytes >= backend.MaxSliceBytes {
			break
		}
		entry := moves.Parked(x, now)
		bytes += len(entry)
		if x.Verdict == backend.Release {
			bytes += len(x.Delivery.Raw())
		}
		args = append(args, moves.Verdict(x.Verdict), fieldOf(x.Delivery), x.Delay.Milliseconds(), entry)
		n++
	}
	return n, args
}

func (q *Queue) settle(ctx context.Context, s []backend.Settlement, args []any) ([]backend.Outcome, error) {
	k := q.Keys
	v, err := settleScript.Run(ctx, q.client, []string{k.Workers, q.active, k.Meta, k.Parked, k.Scheduled, k.Retry, k.Dead, k.Cancelled, k.Ready, k.Suspect}, args...)
	if err != nil {
		return nil, q.Wrap("settle", err)
	}
	words, err := moves.List(v, len(s))
	if err != nil {
		return nil, q.Wrap("settle", err)
	}
	out := make([]backend.Outcome, len(s))
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, x := range s {
		out[i] = q.outcome(x.Delivery, fmt.Sprint(words[i]))
		if out[i].State != backend.Refused {
			delete(q.hand, fieldOf(x.Delivery))
		}
	}
	return out, nil
}

func (q *Queue) outcome(d *backend.Delivery, word string) backend.Outcome {
	switch word {
	case "applied":
		return backend.Outcome{State: backend.Applied}
	case "already":
		return backend.Outcome{State: backend.Already}
	case "lost":
		return backend.Outcome{State: backend.Lost}
	default:
		return backend.Outcome{State: backend.Refused, Err: fmt.Errorf("settle, queue %s, job %s: %w", q.Queue, d.ID, moves.Refusal(word))}
	}
}
