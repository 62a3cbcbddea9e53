package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var errLost = errors.New("connection lost")

// fault is what happens to one request.
type fault uint8

const (
	none      fault = iota
	swallowed       // the request never arrives
	unheard         // it arrives, the reply does not
	forgotten       // the server has lost what it knew of all producers
)

// server is a backend.Enqueuer that keeps the contract's promise about numbers,
// with faults put in by the test.
type server struct {
	mu       sync.Mutex
	fault    func(b backend.Batch) fault
	refuse   func(b backend.Batch) error
	gate     chan struct{} // non-nil: each request waits for a token
	offset   time.Duration // of the server's clock
	last     map[string]backend.Batch
	accepted map[string]int // how often each job id was accepted
	batches  []backend.Batch
	flying   int
	overlap  bool
}

func newServer() *server {
	return &server{last: map[string]backend.Batch{}, accepted: map[string]int{}}
}

func (s *server) Enqueue(ctx context.Context, b backend.Batch) ([]backend.Accepted, error) {
	s.enter(b)
	defer s.exit()
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := none
	if s.fault != nil {
		f = s.fault(b)
	}
	switch f {
	case swallowed:
		return nil, errLost
	case forgotten:
		clear(s.last)
	case none, unheard:
	}
	err := s.apply(b)
	if f == unheard {
		return nil, errLost
	}
	return make([]backend.Accepted, len(b.Jobs)), err
}

func (s *server) enter(b backend.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, b)
	s.flying++
	s.overlap = s.overlap || s.flying > 1
}

func (s *server) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
}

func (s *server) apply(b backend.Batch) error {
	if s.refuse != nil {
		if err := s.refuse(b); err != nil {
			return err
		}
	}
	if time.Now().Add(s.offset).After(b.NotAfter) {
		return backend.ErrStale
	}
	last, known := s.last[b.Producer]
	switch {
	case known && b.Number == last.Number && b.Jobs[0].Envelope.ID == last.Jobs[0].Envelope.ID:
		return nil
	case b.Number != last.Number+1:
		return backend.ErrGap
	}
	s.last[b.Producer] = b
	for _, j := range b.Jobs {
		s.accepted[j.Envelope.ID]++
	}
	return nil
}

// sent is what arrived, faults included.
func (s *server) sent() []backend.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]backend.Batch(nil), s.batches...)
}

func (s *server) times(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted[id]
}

// faults plays a list of faults, then none.
func faults(list ...fault) func(backend.Batch) fault {
	return func(backend.Batch) fault {
		if len(list) == 0 {
			return none
		}
		f := list[0]
		list = list[1:]
		return f
	}
}
