package exec

import (
	"os"
	"sync"
)

// groups are the process groups that run now.
type groups struct {
	mu  sync.Mutex
	set map[*os.Process]struct{}
}

func (g *groups) add(p *os.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.set == nil {
		g.set = map[*os.Process]struct{}{}
	}
	g.set[p] = struct{}{}
}

func (g *groups) remove(p *os.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.set, p)
}

// killOne kills a group if its leader was not waited for yet. After that its
// number may belong to somebody else.
func (g *groups) killOne(p *os.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, runs := g.set[p]; runs {
		killGroup(p)
	}
}

func (g *groups) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.set {
		killGroup(p)
	}
}
