package engine

import "github.com/colonyq/colony/framework/backend"

// choose says which lane may take how many jobs, at most room; nil when none
// can now. Under mu.
//
// It is deficit round robin (Shreedhar and Varghese, 1996) with a job as the
// unit: a lane that the turn reaches is credited its weight, scaled so that a
// round about fills the worker, and keeps the turn until that is used up or its
// line is empty. While its Take is on the way the turn stays with it, else
// small rooms would go to whoever happens to be idle and the shares to nobody.
//
// With Strict only the lanes of the highest competing weight take part.
func (e *Engine) choose(room int) (*lane, int) {
	tier, sum, any := e.contest()
	if !any {
		return nil, 0
	}
	scale := max(1, e.capacity()/sum)
	in := func(l *lane) bool { return l.competes() && (!e.cfg.Strict || l.weight == tier) }
	for range 2*len(e.lanes) + 1 {
		l := e.lanes[e.turn]
		if in(l) && l.deficit > 0 {
			if !l.ready() {
				return nil, 0
			}
			n := min(room, l.deficit, backend.MaxBatchJobs)
			l.deficit -= n
			return l, n
		}
		e.turn = (e.turn + 1) % len(e.lanes)
		if l = e.lanes[e.turn]; in(l) {
			l.deficit += l.weight * scale
		} else {
			l.deficit = 0
		}
	}
	return nil, 0
}

// contest looks at who competes: the highest weight, the sum of weights, and
// whether any of them could take at once.
func (e *Engine) contest() (tier, sum int, any bool) {
	for _, l := range e.lanes {
		if !l.competes() {
			continue
		}
		tier = max(tier, l.weight)
		sum += l.weight
		any = any || l.ready()
	}
	return tier, sum, any
}

// refund gives back what a Take was granted and could not carry (its answer was
// cut at the byte budget), or clears the account of a lane whose line is empty.
func (l *lane) refund(granted, got int, more bool) {
	switch {
	case got >= granted:
	case more:
		l.deficit += granted - got
	default:
		l.deficit = 0
	}
}
