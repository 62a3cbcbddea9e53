package engine

import (
	"math/rand/v2"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

// A suspect is a job during which more than one worker died. It is delivered
// only to a worker that holds nothing else, so that it can take no innocent jobs
// with it. To get there a busy worker falls quiet: it takes nothing until its
// hand is empty. How many do so is left to chance, about one per suspect and beat.

type pursuitPhase uint8

const (
	calm     pursuitPhase = iota
	wanted                // takes nothing until it holds nothing
	asking                // the Take alone is in flight
	doubting              // its reply is lost: beats will show what it brought
	holding               // the suspect is in hand
)

// suspectStalls is from how many stalls on a delivery is a suspect.
const suspectStalls = 2

// pursuit is the worker's way to a suspect. All under e.mu.
type pursuit struct {
	phase pursuitPhase
	lane  *lane
	until time.Time // gives up
	again time.Time // may fall quiet once more
}

// heedSuspects decides whether this worker goes for a suspect.
func (e *Engine) heedSuspects(l *lane, p backend.Pulse) {
	s, now := &e.suspects, time.Now()
	if s.phase == doubting && s.lane == l && l.inc.unsure == 0 {
		s.phase = calm
	}
	l.suspects = p.Suspects
	if s.phase == wanted && (now.After(s.until) || s.lane == l && (p.Suspects == 0 || p.Paused)) {
		if now.After(s.until) {
			s.again = now.Add(e.cfg.Lease)
		}
		s.phase = calm
	}
	if s.phase != calm || p.Suspects == 0 || p.Paused || e.stopping {
		return
	}
	drawn := now.After(s.again) && rand.Float64() < float64(p.Suspects)/float64(max(1, p.Workers))
	if drawn || e.emptyHanded() {
		*s = pursuit{phase: wanted, lane: l, until: now.Add(e.cfg.Lease), again: s.again}
	}
}

// emptyHanded: nothing is held, nothing runs, nothing is on the way, and no
// lost reply can have left anything.
func (e *Engine) emptyHanded() bool {
	if e.held > 0 || e.running > 0 || e.takes > 0 {
		return false
	}
	for _, l := range e.lanes {
		if l.inc != nil && l.inc.unsure > 0 {
			return false
		}
	}
	return true
}

// takeAlone asks for the suspect once the hand is empty.
func (e *Engine) takeAlone() {
	s := &e.suspects
	if s.phase != wanted || !e.emptyHanded() || s.lane.inc == nil || s.lane.inc.state != idle {
		return
	}
	s.phase = asking
	n := min(e.cfg.Concurrency, backend.MaxBatchJobs)
	s.lane.inc.orderTake(order{max: n, alone: true}, n)
}

// answered: the Take alone is back.
func (s *pursuit) answered(suspect bool) {
	s.phase = calm
	if suspect {
		s.phase = holding
		s.lane.suspects--
	}
}

// settled: if that was the suspect, the worker goes on, with the next one where
// more are known: it holds nothing just now.
func (s *pursuit) settled(j *job) {
	if !j.suspect || s.phase != holding {
		return
	}
	s.phase = calm
	if l := s.lane; l.suspects > 0 && l.inc != nil && !l.paused {
		s.phase, s.until = wanted, time.Now().Add(l.e.cfg.Lease)
	}
}

// failed: a Take of l did. If it was the one alone, a suspect may be in hand,
// and nothing else is taken until that is known.
func (s *pursuit) failed(l *lane) {
	if s.lane == l && s.phase == asking {
		s.phase = doubting
		return
	}
	s.forsake(l)
}

// ghost says what to do with a delivery that a lost reply had brought: a
// suspect is run if nothing else can be held, and given back otherwise; beside
// a suspect all else is given back.
func (s *pursuit) ghost(l *lane, d *backend.Delivery) (suspect, keep bool) {
	if d.S < suspectStalls {
		return false, s.phase != holding
	}
	if s.phase != doubting || s.lane != l || l.e.held > 0 {
		return true, false
	}
	s.phase = holding
	return true, true
}

// forsake ends a pursuit in a lane that cannot be asked.
func (s *pursuit) forsake(l *lane) {
	if s.lane == l && s.phase != holding {
		s.phase = calm
	}
}
