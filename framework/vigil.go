package framework

import (
	"context"
	"errors"
	"sync"
	"time"
)

// look is how often a vigil looks.
const look = stubborn / 2

// vigil knows which handlers run, and tells of those that go on after their
// context has ended: they keep their slot. At shutdown the engine tells of them.
type vigil struct {
	mu    sync.Mutex
	seats []*seat // all that ever were: as many as runs at a time
	free  []*seat
}

// seat is one run. Its fields are guarded by vigil.mu.
type seat struct {
	ctx   context.Context // nil while nobody has the seat
	d     *Delivery
	ended time.Time // when a look first saw that ctx had ended; zero before
	told  bool
	tell  func(late time.Duration) // of the return; set with told
}

func (v *vigil) enter(ctx context.Context, d *Delivery) *seat {
	v.mu.Lock()
	defer v.mu.Unlock()
	var s *seat
	if n := len(v.free); n > 0 {
		s, v.free = v.free[n-1], v.free[:n-1]
	} else {
		s = new(seat)
		v.seats = append(v.seats, s)
	}
	s.ctx, s.d = ctx, d
	return s
}

func (v *vigil) leave(s *seat) {
	v.mu.Lock()
	was := *s
	*s = seat{}
	v.free = append(v.free, s)
	v.mu.Unlock()
	if was.told {
		was.tell(time.Since(was.ended))
	}
}

// teller is who a vigil tells.
type teller interface {
	goesOn(d *Delivery, cause error)
	cameBack(d *Delivery, cause error, late time.Duration)
}

// watch looks until ctx ends.
func (v *vigil) watch(ctx context.Context, t teller) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, tell := range v.late(t) {
				tell()
			}
		case <-ctx.Done():
			return
		}
	}
}

// late returns what there is to tell now.
func (v *vigil) late(t teller) (tell []func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.seats {
		if s.told || s.ctx == nil || s.ctx.Err() == nil {
			continue
		}
		if s.ended.IsZero() {
			s.ended = time.Now()
		}
		d, cause := s.d, context.Cause(s.ctx)
		if errors.Is(cause, ErrShutdown) || time.Since(s.ended) < stubborn {
			continue
		}
		s.told = true
		s.tell = func(late time.Duration) { t.cameBack(d, cause, late) }
		tell = append(tell, func() { t.goesOn(d, cause) })
	}
	return tell
}
