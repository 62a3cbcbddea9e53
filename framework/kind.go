package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// DefaultQueue is where a job goes that names no queue.
const DefaultQueue = "default"

// OctetStream is the content type of a []byte payload that names none.
const OctetStream = "application/octet-stream"

// CheckName says what is wrong with the name of a queue, kind or plugin: 1 to 128
// of A-Z a-z 0-9 _ . - and neither . nor - first.
func CheckName(name string) error { return wire.ValidName(name) }

// Kind is a sort of job with payloads of type T. It is a value: define it once,
// next to the payload's type, and share it between producers and workers.
//
// T is encoded as JSON, except that a []byte goes as it is, with the content
// type application/octet-stream unless ContentType names another.
type Kind[T any] struct {
	name string
	opts []JobOption
}

// DefineKind names a kind. The options hold for all its jobs unless a call
// overrides them. It panics if name is no name (see CheckName).
func DefineKind[T any](name string, opts ...JobOption) Kind[T] {
	if err := CheckName(name); err != nil {
		panic("framework.DefineKind: " + err.Error())
	}
	return Kind[T]{name, opts}
}

// Name is the kind's name.
func (k Kind[T]) Name() string { return k.name }

func (k Kind[T]) defaults() NewJob {
	j := NewJob{kind: k.name}
	j.apply(k.opts)
	return j
}

// New is a job of this kind, to be enqueued with others. What is wrong with the
// payload or the options is an error when it is enqueued.
func (k Kind[T]) New(payload T, opts ...JobOption) NewJob {
	j := k.defaults()
	j.apply(opts)
	j.encode(payload)
	return j
}

// Enqueue enqueues a job of this kind and returns its id. See EnqueueMany for
// the errors.
func (k Kind[T]) Enqueue(ctx context.Context, e Enqueuer, payload T, opts ...JobOption) (id string, err error) {
	return enqueueOne(ctx, e, k.New(payload, opts...))
}

// Enqueuer is what accepts jobs: an App or a Producer.
type Enqueuer interface {
	// Enqueue enqueues jobs and returns their ids, in order. See EnqueueMany.
	Enqueue(ctx context.Context, jobs ...NewJob) (ids []string, err error)
}

// EnqueueMany enqueues jobs, of any kinds and queues, in as few round trips as
// their sizes allow (1,000 jobs or 1 MiB each), and returns their ids in order.
//
// The error is an *EnqueueError that names the failed ones; their ids are empty,
// except where the outcome is unknown (ErrUnknownOutcome). A wrong option fails
// its job alone. While Redis cannot be reached, jobs are sent again for up to a
// minute: bound the wait by ctx.
func EnqueueMany(ctx context.Context, e Enqueuer, jobs ...NewJob) (ids []string, err error) {
	return e.Enqueue(ctx, jobs...)
}

// EnqueueRaw enqueues a job whose payload is bytes already: JSON, or anything
// under a ContentType. No bytes are the payload null.
func EnqueueRaw(ctx context.Context, e Enqueuer, kind string, payload []byte, opts ...JobOption) (id string, err error) {
	return enqueueOne(ctx, e, NewRaw(kind, payload, opts...))
}

func enqueueOne(ctx context.Context, e Enqueuer, j NewJob) (string, error) {
	ids, err := e.Enqueue(ctx, j)
	id := ""
	if len(ids) == 1 {
		id = ids[0]
	}
	var many *EnqueueError
	if errors.As(err, &many) && len(many.Failed) == 1 {
		err = many.Failed[0].Err
	}
	if err != nil {
		return id, fmt.Errorf("enqueue %s: %w", j.kind, err)
	}
	return id, nil
}

// NewJob is a job that was not enqueued yet: made by Kind.New or NewRaw.
type NewJob struct {
	kind        string
	queue       string
	contentType string
	payload     []byte
	at          time.Time
	in          time.Duration
	maxAttempts int
	timeout     time.Duration
	headers     map[string]string
	err         error // what is wrong with it, joined
}

// NewRaw is a job whose payload is bytes already; see EnqueueRaw.
func NewRaw(kind string, payload []byte, opts ...JobOption) NewJob {
	j := NewJob{kind: kind, payload: payload}
	j.apply(opts)
	return j
}

// Kind is the job's kind.
func (j NewJob) Kind() string { return j.kind }

// Queue is where the job will go.
func (j NewJob) Queue() string {
	if j.queue == "" {
		return DefaultQueue
	}
	return j.queue
}

// Payload is the encoded payload. Don't write to it.
func (j NewJob) Payload() []byte { return j.payload }

// Err is everything that is wrong with the job, joined, or nil.
func (j NewJob) Err() error {
	b := j.backendJob()
	return errors.Join(j.err, b.Envelope.Validate())
}

// Delivery is what a worker makes of the job in its first run: for tests of
// handlers, with Execute. The error is Err's.
func (j NewJob) Delivery() (*Delivery, error) {
	if err := j.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	b := j.backendJob().Envelope
	b.ID, b.N = wire.NewID(now), 1
	b, err := wire.Parse(b.Append(nil))
	if err != nil {
		return nil, err
	}
	return newDelivery(&backend.Delivery{Envelope: b, Queue: j.Queue()}, entry{}), nil
}

func (j *NewJob) fail(format string, args ...any) {
	j.err = errors.Join(j.err, fmt.Errorf(format, args...))
}

func (j *NewJob) apply(opts []JobOption) {
	for _, o := range opts {
		o(j)
	}
}

func (j NewJob) isJSON() bool { return j.contentType == "" || j.contentType == wire.JSON }

func (j *NewJob) encode(payload any) {
	if b, ok := payload.([]byte); ok {
		if j.contentType == "" {
			j.contentType = OctetStream
		}
		j.payload = b
		return
	}
	if !j.isJSON() {
		j.fail("content type %s: only a []byte payload may have one, not %T", j.contentType, payload)
		return
	}
	b, err := json.Marshal(payload)
	if err != nil {
		j.fail("payload: %w", err)
	}
	j.payload = b
}

func (j NewJob) backendJob() backend.Job {
	contentType := j.contentType
	if j.isJSON() {
		contentType = ""
	}
	return backend.Job{In: j.in, Envelope: wire.Envelope{
		Kind: j.kind, At: j.at, MaxAttempts: j.maxAttempts, Timeout: j.timeout,
		Headers: j.headers, ContentType: contentType, Payload: j.payload,
	}}
}

// JobOption is a setting of a kind, or of one job.
type JobOption func(*NewJob)

// Queue names the queue. The default is DefaultQueue.
func Queue(name string) JobOption {
	return func(j *NewJob) {
		if err := CheckName(name); err != nil {
			j.fail("queue: %w", err)
		}
		j.queue = name
	}
}

// MaxAttempts is how many failures the job may have, at least 1; after the last
// one it is dead. The default is 25.
func MaxAttempts(n int) JobOption {
	return func(j *NewJob) {
		if n < 1 {
			j.fail("max attempts: must be at least 1, got %d", n)
			return
		}
		j.maxAttempts = n
	}
}

// Timeout ends a run's context after d, with the cause ErrTimeout; at least a
// millisecond. The default is none.
func Timeout(d time.Duration) JobOption {
	return func(j *NewJob) {
		if d < time.Millisecond {
			j.fail("timeout: must be at least 1ms, got %v", d)
			return
		}
		j.timeout = d
	}
}

// In makes the job due d after it was enqueued, by the server's clock. The last
// In or At counts.
func In(d time.Duration) JobOption {
	return func(j *NewJob) {
		if d < 0 {
			j.fail("in: must not be negative, got %v", d)
		}
		j.in, j.at = d, time.Time{}
	}
}

// At makes the job due at t; a t in the past means now. The last In or At counts.
func At(t time.Time) JobOption {
	return func(j *NewJob) {
		if t.IsZero() {
			j.fail("at: is the zero time")
		}
		j.in, j.at = 0, t
	}
}

// Header adds one header.
func Header(key, value string) JobOption { return Headers(map[string]string{key: value}) }

// Headers adds headers: text that travels with the job, unread by Colony.
func Headers(h map[string]string) JobOption {
	return func(j *NewJob) {
		merged := maps.Clone(j.headers)
		if merged == nil {
			merged = make(map[string]string, len(h))
		}
		maps.Copy(merged, h)
		j.headers = merged
	}
}

// ContentType says what a payload of bytes is. application/json means that they
// stand in the job as JSON; it is what NewRaw takes them for by default.
func ContentType(t string) JobOption {
	return func(j *NewJob) { j.contentType = t }
}
