package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/fsck"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
)

const queueName = "faults"

// rig is one system under one fault: servers, workers, producers, a history.
type rig struct {
	*testing.T
	fault  fault
	lease  time.Duration
	site   site
	config framework.Config
	keys   keys.Queue
	admin  redis.UniversalClient // goes past every proxy and as a user of its own
	path   string
	file   *os.File

	mu      sync.Mutex
	workers []*process
	hits    []Hit
	losses  []Hit
	unread  int

	number  atomic.Int64
	load    sync.WaitGroup
	stalls  atomic.Int64
	watched sync.WaitGroup
}

func newRig(t *testing.T, f fault, s site) *rig {
	namespace := redistest.Namespace(t)
	r := &rig{T: t, fault: f, lease: f.lease, site: s, keys: keys.For(namespace, queueName, 0, 1), admin: s.admin}
	r.config = framework.Config{
		Redis: s.config, Namespace: namespace,
		Worker: framework.WorkerConfig{Concurrency: 8, Lease: r.lease, ShutdownTimeout: 5 * time.Second},
		Queues: map[string]framework.QueueConfig{queueName: {}},
	}
	r.path = filepath.Join(directory(t), "history.ndjson")
	var err error
	if r.file, err = os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.file.Close() })
	return r
}

// directory is where histories and logs go: FAULTS_DIR keeps them.
func directory(t *testing.T) string {
	root := os.Getenv("FAULTS_DIR")
	if root == "" {
		return t.TempDir()
	}
	dir := filepath.Join(root, t.Name())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *rig) tell(e Event) {
	if e.At == 0 {
		e.At = Now()
	}
	if err := e.Append(r.file); err != nil {
		r.Error(err)
	}
}

// hit notes that workers may have lost what they held between from and now.
func (r *rig) hit(pid int, from int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hits = append(r.hits, Hit{PID: pid, From: from, To: Now()})
}

// lost notes that Redis has forgotten what it acknowledged between from and now.
func (r *rig) lost(from int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losses = append(r.losses, Hit{From: from, To: Now()})
}

// produce enqueues numbered jobs steadily, from several producers, until ctx
// ends; the load group ends when every producer has its answers.
func (r *rig) produce(ctx context.Context) {
	for range r.fault.producers {
		p, err := framework.OpenProducer(ctx, r.config, framework.WithLogger(quiet))
		if err != nil {
			r.Fatal(err)
		}
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() { r.enqueueSteadily(ctx, p) })
		}
		r.load.Go(func() {
			callers.Wait()
			last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := p.Close(last); err != nil {
				r.Errorf("close a producer: %v", err)
			}
		})
	}
}

func (r *rig) enqueueSteadily(ctx context.Context, p *framework.Producer) {
	tick := time.NewTicker(form.pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.enqueue(p, r.ordinary())
	}
}

// ordinary jobs are mostly short; some fail once, and some are long enough to be
// caught in the middle.
func (r *rig) ordinary() payload {
	p := payload{Job: int(r.number.Add(1))}
	p.MS = 1 + p.Job%10
	switch {
	case p.Job%61 == 0:
		p.Do = Fails
	case p.Job%41 == 0:
		p.MS = 300
	}
	return p
}

// enqueue asks for one job and notes the answer, which it returns.
func (r *rig) enqueue(e framework.Enqueuer, p payload) error {
	body, err := json.Marshal(p)
	if err != nil {
		r.Error(err)
		return err
	}
	note := p.Do
	if note != Fails && note != Poison {
		note = Plain
	}
	r.tell(Event{Type: Asked, Job: p.Job, Note: note})
	// Nobody waits forever, but a fault may last.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	id, err := framework.EnqueueRaw(ctx, e, kind, body, framework.Queue(queueName))
	answer := Event{Type: OK, Job: p.Job, ID: id}
	switch {
	case errors.Is(err, framework.ErrUnknownOutcome):
		answer.Type, answer.Note = Unknown, err.Error()
	case err != nil:
		answer.Type, answer.Note = Failed, err.Error()
	}
	r.tell(answer)
	return err
}

// submit enqueues jobs of special kinds, beside the load.
func (r *rig) submit(jobs ...payload) {
	p, err := framework.OpenProducer(r.Context(), r.config, framework.WithLogger(quiet))
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = p.Close(context.Background()) }()
	for _, j := range jobs {
		j.Job = int(r.number.Add(1))
		if err := r.enqueue(p, j); err != nil {
			r.Errorf("submit job %d: %v", j.Job, err)
		}
	}
}

// occupy gives the workers long jobs to hold, and returns when some run.
func (r *rig) occupy(d time.Duration) {
	jobs := make([]payload, 2*r.fault.workers)
	for i := range jobs {
		jobs[i].MS = int(d.Milliseconds())
	}
	r.submit(jobs...)
	r.until("long jobs run", 10*time.Second, func() bool {
		s, err := r.look()
		return err == nil && s.held >= r.fault.workers
	})
}

// until waits for a condition.
func (r *rig) until(what string, d time.Duration, cond func() bool) bool {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			r.Errorf("gave up after %v waiting until %s", d, what)
			return false
		}
	}
	return true
}

// last lets a fault last; the load goes on meanwhile.
func (r *rig) last(d time.Duration) { r.each(d, d, func() {}) }

// each calls f every so often for d.
func (r *rig) each(d, every time.Duration, f func()) {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return
		case <-tick.C:
			f()
		}
	}
}

// ctl runs a command as the test itself.
func (r *rig) ctl(args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.admin.Do(ctx, args...).Err(); err != nil {
		r.Errorf("%v: %v", args, err)
	}
}

// settled waits until nothing is left to do and only living workers are known.
func (r *rig) settled() {
	why := ""
	ok := r.until("all jobs are done", form.patience, func() bool {
		s, err := r.look()
		switch {
		case err != nil:
			why = err.Error()
		case s.waiting()+s.held > 0:
			why = fmt.Sprintf("%d wait, %d are held", s.waiting(), s.held)
		case len(s.workers) > r.fault.workers:
			why = fmt.Sprintf("%d workers are known, %d live", len(s.workers), r.fault.workers)
		default:
			return true
		}
		return false
	})
	if !ok {
		r.Errorf("after the fault the system did not come to rest: %s", why)
	}
}

// watchStalls counts jobs that carry a stall while it is on, for faults that must
// charge nobody. It returns what ends it.
func (r *rig) watchStalls() (end func()) {
	if !r.fault.noStalls {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.watched.Go(func() {
		for ctx.Err() == nil {
			if s, err := r.look(); err == nil && s.stalled > 0 {
				r.stalls.Store(max(r.stalls.Load(), int64(s.stalled)))
			}
			if pause(ctx, 100*time.Millisecond) != nil {
				return
			}
		}
	})
	return func() { cancel(); r.watched.Wait() }
}

// run is the whole of one test.
func (r *rig) run() Result {
	for range r.fault.workers {
		r.hire()
	}
	joined := r.until("the workers have joined", 30*time.Second, func() bool {
		s, err := r.look()
		return err == nil && len(s.workers) == r.fault.workers
	})
	if !joined {
		r.Fatal(r.crew()[0].tail())
	}
	loading, stop := context.WithCancel(context.Background())
	defer stop()
	if !r.fault.quiet {
		r.produce(loading)
		r.last(form.warm)
	}
	watched := r.watchStalls()
	for range form.rounds(r.fault) {
		r.fault.do(r)
		r.last(form.after(r.lease))
	}
	stop()
	r.load.Wait()
	r.settled()
	watched()
	r.fsck()
	for _, p := range r.crew() {
		p.dismiss()
	}
	return r.judge()
}

// fsck lets the tool that users have look at the living system.
func (r *rig) fsck() {
	client, err := redisclient.Wrap(r.admin)
	if err != nil {
		r.Fatal(err)
	}
	// A queue that Redis forgot is made known again within ten seconds.
	var last any
	r.until("fsck finds nothing", 15*time.Second, func() bool {
		report, err := fsck.Check(r.Context(), client, r.config.Namespace)
		if last = report; err != nil {
			last = err
		}
		return err == nil && report.Clean()
	})
	if r.Failed() {
		r.Logf("fsck: %v", last)
	}
}

func (r *rig) judge() Result {
	final, err := r.final()
	if err != nil {
		r.Fatal(err)
	}
	history, err := ReadHistory(r.path)
	if err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return Check(history, final, Rules{
		Lease: r.lease, Hits: r.hits, Losses: r.losses, Unread: r.unread, Seen: r.stalls.Load(),
	})
}
