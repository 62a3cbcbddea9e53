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

// settleArgs writes the arguments for the first n settlements, as many as one
// call may carry. Done, which most of them say, is its field alone.
func (q *Queue) settleArgs(s []backend.Settlement) (n int, args []any) {
	args = make([]any, 0, 3+len(s))
	args = append(args, q.opts.Incarnation, q.Channel(), q.Queue)
	now := time.Now()
	bytes := 0
	for _, x := range s {
		if n == backend.MaxBatchJobs || bytes >= backend.MaxSliceBytes {
			break
		}
		n++
		if x.Verdict == backend.Done {
			args = append(args, fieldOf(x.Delivery))
			continue
		}
		entry := moves.Parked(x, now)
		bytes += len(entry)
		if x.Verdict == backend.Release {
			bytes += len(x.Delivery.Raw())
		}
		args = append(args, moves.Verdict(x.Verdict), fieldOf(x.Delivery), x.Delay.Milliseconds(), entry)
	}
	return n, args
}

func (q *Queue) settle(ctx context.Context, s []backend.Settlement, args []any) ([]backend.Outcome, error) {
	k := q.Keys
	v, err := settleScript.Run(ctx, q.client, []string{k.Workers, q.active, k.Meta, k.Parked, k.Scheduled, k.Retry, k.Dead, k.Cancelled, k.Ready, k.Suspect}, args...)
	if err != nil {
		return nil, q.Wrap("settle", err)
	}
	answers, err := moves.List(v, 0)
	if err != nil {
		return nil, q.Wrap("settle", err)
	}
	out := make([]backend.Outcome, len(s)) // applied, but for what the answers say
	for i := 0; i < len(answers); i += 2 {
		place, err := moves.Int(v, i)
		if err != nil || place < 1 || int(place) > len(s) || i+1 == len(answers) {
			return nil, q.Wrap("settle", fmt.Errorf("%w: %.100v", moves.ErrReply, v))
		}
		out[place-1] = q.outcome(s[place-1].Delivery, fmt.Sprint(answers[i+1]))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, x := range s {
		if out[i].State != backend.Refused {
			delete(q.hand, fieldOf(x.Delivery))
		}
	}
	return out, nil
}

// outcome is the script's word about a settlement that it did not apply.
func (q *Queue) outcome(d *backend.Delivery, word string) backend.Outcome {
	switch word {
	case "already":
		return backend.Outcome{State: backend.Already}
	case "lost":
		return backend.Outcome{State: backend.Lost}
	default:
		return backend.Outcome{State: backend.Refused, Err: fmt.Errorf("settle, queue %s, job %s: %w", q.Queue, d.ID, moves.Refusal(word))}
	}
}
