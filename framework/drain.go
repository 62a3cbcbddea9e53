package framework

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/colonyq/colony/framework/backend"
)

// drainWatch looks whether anything is left to do.
type drainWatch struct {
	queues map[string]backend.Inspector

	mu   sync.Mutex
	last map[string]Counts
}

func newDrainWatch(queues map[string]*served) *drainWatch {
	d := &drainWatch{queues: map[string]backend.Inspector{}}
	for name, q := range queues {
		d.queues[name] = q.look
	}
	return d
}

// look counts every queue, and says whether nothing changed since the last look.
func (d *drainWatch) look(ctx context.Context) (unchanged bool, err error) {
	now := make(map[string]Counts, len(d.queues))
	for name, q := range d.queues {
		if now[name], err = q.Counts(ctx); err != nil {
			return false, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	unchanged = maps.Equal(now, d.last)
	d.last = now
	return unchanged, nil
}

func (d *drainWatch) counts() map[string]Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.last)
}

// drained is asked by the engine while this worker has nothing to do.
func (s *session) drained(ctx context.Context) (bool, error) {
	unchanged, err := s.drain.look(ctx)
	if err != nil {
		return false, err
	}
	counts := s.drain.counts()
	stuck, idle := remains(counts)
	if !idle || !unchanged {
		return false, nil
	}
	return true, errors.Join(stuck, s.unhandled(counts))
}

// remains says whether nothing moves any more, and what will not move because
// its queue is paused.
func remains(counts map[string]Counts) (stuck error, idle bool) {
	var paused []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		c := counts[name]
		left := c.Ready + c.Suspect + c.Due
		if c.Active > 0 || left > 0 && !c.Paused {
			return nil, false
		}
		if left > 0 {
			paused = append(paused, fmt.Sprintf("%s (%d jobs)", name, left))
		}
	}
	if paused != nil {
		stuck = fmt.Errorf("not drained: paused queues: %s: resume them", strings.Join(paused, ", "))
	}
	return stuck, true
}

// unhandled: jobs that were given back wait in scheduled, unless another worker
// took them meanwhile.
func (s *session) unhandled(counts map[string]Counts) error {
	kinds := s.tally.snapshot().Unhandled
	var parked int64
	for _, c := range counts {
		parked += c.Scheduled
	}
	if len(kinds) == 0 || parked == 0 {
		return nil
	}
	return fmt.Errorf("not drained: no handler here for jobs of kind %s: bind one (handlers in the config, --handler KIND=PLUGIN)", strings.Join(kinds, ", "))
}
