package producer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// line is the way into one queue. Its sender, one goroutine, lives while there
// is something to send; close waits for it.
type line struct {
	queue string
	to    backend.Enqueuer
	cfg   Config
	clock *clock
	gaps  *atomic.Int64

	mu      sync.Mutex
	waiting []*item
	closed  bool
	cancel  context.CancelCauseFunc // of the sender; nil when none runs
	done    chan struct{}           // closed when the sender ends

	// The sender's alone. spoke is zero at first, so the first batch takes an id.
	id     string
	number int64     // of the last batch that was answered
	spoke  time.Time // when that batch was first sent
}

// item is one job in line. Its state and its call are guarded by line.mu.
type item struct {
	job   backend.Job
	size  int
	call  *call
	index int
	state itemState
}

type itemState uint8

const (
	standing itemState = iota // in line, not sent
	flying                    // in a batch that was sent
	ended                     // answered, or taken out of the line
)

// call is one caller's wait for several items.
type call struct {
	results []Result
	left    int
	done    chan struct{}
}

func (l *line) enqueue(ctx context.Context, jobs []backend.Job) []Result {
	items, c := newCall(jobs)
	if !l.join(items) {
		return failed(len(jobs), ErrClosed)
	}
	select {
	case <-c.done:
		return c.results
	case <-ctx.Done():
		return l.leave(items, c, ctx.Err())
	}
}

func newCall(jobs []backend.Job) ([]*item, *call) {
	c := &call{results: make([]Result, len(jobs)), left: len(jobs), done: make(chan struct{})}
	block := make([]item, len(jobs))
	items := make([]*item, len(jobs))
	now := time.Now()
	for i, j := range jobs {
		if j.Envelope.ID == "" {
			j.Envelope.ID = wire.NewID(now)
		}
		block[i] = item{job: j, size: size(&j.Envelope), call: c, index: i}
		items[i] = &block[i]
	}
	return items, c
}

// join puts items in line and sees to it that a sender runs.
func (l *line) join(items []*item) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, items...)
	if l.cancel == nil {
		l.start()
	}
	return true
}

// start runs a sender. Its context is nobody's: a batch serves many callers, and
// the end of one of theirs must not end it.
func (l *line) start() {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	l.cancel, l.done = cancel, done
	go func() {
		defer close(done)
		defer cancel(nil)
		l.send(ctx)
	}()
}

// leave answers a caller whose context ended.
func (l *line) leave(items []*item, c *call, err error) []Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range items {
		switch it.state {
		case standing:
			l.end(it, Result{Err: err})
		case flying:
			l.end(it, Result{ID: it.job.Envelope.ID, Err: errors.Join(ErrUnknownOutcome, err)})
		case ended:
		}
	}
	return c.results
}

// end answers an item once; l.mu is held.
func (l *line) end(it *item, r Result) {
	if it.state == ended {
		return
	}
	it.state = ended
	it.call.results[it.index] = r
	if it.call.left--; it.call.left == 0 {
		close(it.call.done)
	}
}

// send sends batch after batch until the line is empty.
func (l *line) send(ctx context.Context) {
	for {
		batch := l.next(ctx)
		if batch == nil {
			return
		}
		err := l.deliver(ctx, batch)
		l.answer(batch, err)
		if len(batch) > 1 {
			// Let those who were just answered come with their next jobs, so that they
			// share the next batch too instead of every other one.
			runtime.Gosched()
		}
	}
}

// next takes a batch from the head of the line, or ends the sender.
func (l *line) next(ctx context.Context) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		for _, it := range l.waiting {
			l.end(it, Result{Err: context.Cause(ctx)})
		}
		l.waiting = nil
	}
	batch, n := cut(l.waiting)
	clear(l.waiting[:n])
	if l.waiting = l.waiting[n:]; len(batch) == 0 {
		l.cancel, l.waiting = nil, nil
		return nil
	}
	return batch
}

// cut returns the items at the head of the line that make a batch, and how many
// places of the line they and those who left take up.
func cut(waiting []*item) (batch []*item, places int) {
	bytes := 0
	for _, it := range waiting {
		if it.state == standing {
			bytes += it.size
			if len(batch) == backend.MaxBatchJobs || len(batch) > 0 && bytes > backend.MaxBatchBytes {
				break
			}
			it.state = flying
			batch = append(batch, it)
		}
		places++
	}
	return batch, places
}

func (l *line) answer(batch []*item, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range batch {
		r := Result{ID: it.job.Envelope.ID, Err: err}
		if err != nil && !errors.Is(err, ErrUnknownOutcome) {
			r.ID = ""
		}
		l.end(it, r)
	}
}

func (l *line) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	if cancel == nil { // it has just ended
		<-done
		return nil
	}
	cancel(ErrClosed)
	<-done
	return fmt.Errorf("close producer of queue %s: %w", l.queue, ctx.Err())
}

// size is the most bytes that an envelope takes in Redis.
func size(e *wire.Envelope) int {
	n := 224 + len(e.Kind) + quoted(e.ContentType) + len(e.Payload)
	if e.ContentType != "" && e.ContentType != wire.JSON {
		n += len(e.Payload)/3 + 4 // base64
	}
	for k, v := range e.Headers {
		n += quoted(k) + quoted(v) + len(`"":"",`)
	}
	for _, m := range e.Extra {
		n += quoted(m.Name) + len(m.Raw) + len(`"":,`)
	}
	return n
}

// quoted is the most bytes that s takes as a JSON string.
func quoted(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			n += 5
		}
	}
	return n
}
