package framework

import (
	"context"
	"time"
)

// Delivery is a job in this worker's hands, for one run.
type Delivery struct {
	ID          string // ULID
	Kind        string
	Queue       string
	Attempt     int               // this run's number among those that count, from 1
	MaxAttempts int               // failures allowed; the job is dead after the last
	Fence       int64             // grows with every delivery of the job: pass it to the resource that you write to
	EnqueuedAt  time.Time         // when the producer enqueued it, by the producer's clock
	Timeout     time.Duration     // of this run; 0 = none
	Headers     map[string]string // as enqueued; don't write to it
	ContentType string            // "" = application/json
	Payload     []byte            // raw
}

// Job is a Delivery whose payload was decoded.
type Job[T any] struct {
	*Delivery
	Payload T
}

// Handler runs one delivery. What its error means stands in the package comment.
type Handler func(ctx context.Context, d *Delivery) error

// Middleware wraps a handler. The first one used is the outermost.
type Middleware func(next Handler) Handler
