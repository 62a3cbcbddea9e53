package moves

import (
	"context"
	"fmt"
	"strconv"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/internal/script"
)

var enqueueScript = script.New("enqueue.lua", Fragments)

// Enqueue accepts a batch; see backend.Enqueuer. kind is the backend that the
// caller states, "" for whatever the queue has.
func (s Site) Enqueue(ctx context.Context, kind string, b backend.Batch) ([]backend.Accepted, error) {
	if n := len(b.Jobs); n < 1 || n > backend.MaxBatchJobs {
		return nil, s.Wrap("enqueue", fmt.Errorf("a batch has 1 to %d jobs, got %d", backend.MaxBatchJobs, n))
	}
	k := s.Keys
	notAfter := int64(0)
	if !b.NotAfter.IsZero() {
		notAfter = b.NotAfter.UnixMilli()
	}
	args := make([]any, 0, 5+3*len(b.Jobs))
	args = append(args, b.Number, notAfter, kind, s.Channel(), s.Queue)
	size := 0
	accepted := make([]backend.Accepted, len(b.Jobs))
	for i := range b.Jobs {
		j := &b.Jobs[i]
		e := j.Envelope
		e.N, e.S = 1, 0
		entry := e.Append(nil)
		args = append(args, due(j), e.ID, entry)
		accepted[i].ID = e.ID
		size += len(entry)
	}
	if len(b.Jobs) > 1 && size > backend.MaxBatchBytes {
		return nil, s.Wrap("enqueue", fmt.Errorf("a batch of %d jobs may have %d bytes, this one has %d: send it in parts", len(b.Jobs), backend.MaxBatchBytes, size))
	}
	_, err := enqueueScript.Run(ctx, s.Client, []string{k.Meta, k.Ready, k.Scheduled, k.Parked, k.Producer(b.Producer)}, args...)
	if err != nil {
		return nil, s.Wrap("enqueue", err)
	}
	return accepted, nil
}

// due is a job's due time as enqueue.lua reads it. A duration is added to the
// server's clock there, so a producer's wrong clock delays nothing.
func due(j *backend.Job) string {
	switch {
	case j.In > 0:
		return "+" + strconv.FormatInt(j.In.Milliseconds(), 10)
	case j.Envelope.At.IsZero():
		return ""
	default:
		return strconv.FormatInt(j.Envelope.At.UnixMilli(), 10)
	}
}
