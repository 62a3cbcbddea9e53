package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

// server is one queue as Redis would keep it: a line, arrivals, suspects, and a
// hand and a lease for each incarnation. Faults are injected by operation.
type server struct {
	name  string
	lease time.Duration

	mu        sync.Mutex
	line      []*entry
	arrivals  []*entry
	suspects  []*entry
	dying     []*entry                  // become suspects by the next beat's reaping, after it has counted them
	hands     map[int]map[string]*entry // incarnation → id:n
	leases    map[int]time.Time
	cancels   map[string]bool
	paused    bool
	opened    int
	others    int // workers alive besides the fakes
	news      chan struct{}
	calls     map[string]int
	ended     map[string][]backend.Settlement // by job
	takes     []int                           // sizes wanted
	aloneHeld [][]string                      // what all fakes held when a Take alone came
	wrap      func(backend.Queue) backend.Queue

	before map[string]func(context.Context) error // may hang, delay, or fail instead of the call
	after  map[string]func(context.Context) error // an error here is a lost reply
}

type entry struct {
	id   string
	n, s int64
	inc  int // taken by
}

func (e *entry) key() string { return fmt.Sprintf("%s:%d", e.id, e.n) }

func newServer(name string) *server {
	return &server{
		name: name, lease: 15 * time.Second,
		hands: make(map[int]map[string]*entry), leases: make(map[int]time.Time),
		cancels: make(map[string]bool), calls: make(map[string]int),
		ended: make(map[string][]backend.Settlement), news: make(chan struct{}),
		before: make(map[string]func(context.Context) error), after: make(map[string]func(context.Context) error),
	}
}

func (s *server) push(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.line = append(s.line, &entry{id: id, n: 1})
	}
	s.tell()
}

func (s *server) pushN(n int) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%05d", s.name, i)
	}
	s.push(ids...)
}

func (s *server) tell() {
	close(s.news)
	s.news = make(chan struct{})
}

// set changes the server under its lock.
func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// get reads the server under its lock.
func get[T any](s *server, f func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// settled returns the verdicts over a job, in order.
func (s *server) settled(id string) []backend.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	var v []backend.Verdict
	for _, x := range s.ended[id] {
		v = append(v, x.Verdict)
	}
	return v
}

func (s *server) open() backend.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	q := backend.Queue(&fake{s: s, inc: s.opened, known: make(map[string]bool), seen: make(map[string]bool)})
	if s.wrap != nil {
		q = s.wrap(q)
	}
	return q
}

// call counts an operation and runs its faults around do.
func (s *server) call(ctx context.Context, op string, do func() error) error {
	s.mu.Lock()
	s.calls[op]++
	before, after := s.before[op], s.after[op]
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	err := do()
	s.mu.Unlock()
	if err == nil && after != nil {
		err = after(ctx)
	}
	return err
}

// alive tells whether inc may still do anything. Under mu.
func (s *server) alive(inc int) bool {
	d, ok := s.leases[inc]
	return ok && time.Now().Before(d)
}

// reap puts back what inc held, as stalls. Under mu.
func (s *server) reap(inc int) {
	for _, e := range s.hands[inc] {
		e.n, e.s = e.n+1, e.s+1
		if e.s > 1 {
			s.suspects = append(s.suspects, e)
		} else {
			s.line = append([]*entry{e}, s.line...)
		}
	}
	delete(s.hands, inc)
	delete(s.leases, inc)
	s.tell()
}

// expire ends every lease, as if this worker had been away for long.
func (s *server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for inc := range s.leases {
		s.reap(inc)
	}
}

type fake struct {
	s      *server
	inc    int
	joined bool
	known  map[string]bool // handed to the engine, under s.mu
	seen   map[string]bool // in the hand and not known at the last beat
}

var errDown = errors.New("connection refused")

func (f *fake) Enqueue(context.Context, backend.Batch) ([]backend.Accepted, error) {
	return nil, errors.New("the engine never enqueues")
}

func (f *fake) Promote(context.Context, int) (time.Duration, error) {
	return -1, errors.New("the engine never promotes")
}

func (f *fake) delivery(e *entry) *backend.Delivery {
	return backend.NewDelivery(f.s.name, wire.Envelope{ID: e.id, N: e.n, S: e.s, Kind: "k", MaxAttempts: 25}, nil, nil)
}

func (f *fake) hold(e *entry) {
	e.inc = f.inc
	f.s.hands[f.inc][e.key()] = e
}

func (f *fake) Take(ctx context.Context, max int, alone bool) (t backend.Taken, err error) {
	s := f.s
	var keys []string
	err = s.call(ctx, "take", func() error {
		if !s.alive(f.inc) {
			return fmt.Errorf("take: %w", backend.ErrLost)
		}
		if s.paused {
			return backend.ErrPaused
		}
		s.takes = append(s.takes, max)
		s.line = append(s.arrivals, s.line...)
		s.arrivals = nil
		if alone {
			var held []string
			for k := range s.hands[f.inc] {
				held = append(held, k)
			}
			s.aloneHeld = append(s.aloneHeld, held)
		}
		from := &s.line
		if alone && len(s.suspects) > 0 {
			from, max, t.Suspect = &s.suspects, 1, true
		}
		for ; max > 0 && len(*from) > 0; max-- {
			e := (*from)[0]
			*from = (*from)[1:]
			f.hold(e)
			keys = append(keys, e.key())
			t.Deliveries = append(t.Deliveries, f.delivery(e))
		}
		return nil
	})
	if err != nil {
		return backend.Taken{}, err
	}
	s.set(func() {
		for _, k := range keys {
			f.known[k] = true
		}
	})
	return t, nil
}

func (f *fake) Wait(ctx context.Context, d time.Duration) error {
	s := f.s
	end := time.NewTimer(d)
	defer end.Stop()
	if err := s.call(ctx, "wait", func() error { return nil }); err != nil {
		return err
	}
	for {
		var news chan struct{}
		popped := false
		s.set(func() {
			news = s.news
			if len(s.line) > 0 {
				s.arrivals = append(s.arrivals, s.line[0])
				s.line = s.line[1:]
				popped = true
			}
		})
		if popped {
			return nil
		}
		select {
		case <-news:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fake) Settle(ctx context.Context, said []backend.Settlement) ([]backend.Outcome, error) {
	s := f.s
	said = slices.Clone(said)
	out := make([]backend.Outcome, len(said))
	err := s.call(ctx, "settle", func() error {
		if len(said) > backend.MaxBatchJobs {
			return errors.New("batch too large")
		}
		if !s.alive(f.inc) {
			return fmt.Errorf("settle: %w", backend.ErrLost)
		}
		for i, x := range said {
			out[i] = f.apply(x)
		}
		s.tell()
		return nil
	})
	return out, err
}

func (f *fake) apply(x backend.Settlement) backend.Outcome {
	key := fmt.Sprintf("%s:%d", x.Delivery.ID, x.Delivery.N)
	e := f.s.hands[f.inc][key]
	if e == nil {
		return backend.Outcome{State: backend.Already}
	}
	if x.Delivery.ID == "refused" && x.Verdict == backend.Done {
		if f.s.calls["refusals"]++; f.s.calls["refusals"] < 4 {
			return backend.Outcome{State: backend.Refused, Err: backend.ErrWrongType}
		}
	}
	delete(f.s.hands[f.inc], key)
	delete(f.known, key)
	f.s.ended[e.id] = append(f.s.ended[e.id], x)
	if x.Verdict == backend.Release {
		e.n++
		f.s.line = append([]*entry{e}, f.s.line...)
	}
	return backend.Outcome{State: backend.Applied}
}

func (f *fake) Beat(ctx context.Context) (p backend.Pulse, err error) {
	s := f.s
	err = s.call(ctx, "beat", func() error {
		if f.joined && !s.alive(f.inc) {
			return fmt.Errorf("beat: %w", backend.ErrLost)
		} else if !f.joined {
			f.joined = true
			s.hands[f.inc] = make(map[string]*entry)
		}
		s.leases[f.inc] = time.Now().Add(s.lease)
		s.line = append(s.arrivals, s.line...)
		s.arrivals = nil
		p = backend.Pulse{Paused: s.paused, Suspects: len(s.suspects), Workers: 1 + s.others, Waiting: len(s.line), NextDue: -1}
		for k, e := range s.hands[f.inc] {
			if s.cancels[e.id] {
				p.Canceled = append(p.Canceled, f.delivery(e))
			}
			if f.known[k] {
				continue
			}
			if f.seen[k] { // twice in a row: nobody is going to say it
				p.Ghosts = append(p.Ghosts, f.delivery(e))
				f.known[k] = true
			}
			f.seen[k] = true
		}
		s.suspects, p.Reaped, s.dying = append(s.suspects, s.dying...), len(s.dying), nil
		s.tell()
		return nil
	})
	return p, err
}

func (f *fake) Close(ctx context.Context) error {
	s := f.s
	return s.call(ctx, "close", func() error {
		for _, e := range s.hands[f.inc] {
			e.n++
			s.line = append([]*entry{e}, s.line...)
		}
		s.hands[f.inc] = make(map[string]*entry)
		delete(s.leases, f.inc)
		return nil
	})
}
