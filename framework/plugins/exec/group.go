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

func (g *groups) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.set {
		killGroup(p)
	}
}
