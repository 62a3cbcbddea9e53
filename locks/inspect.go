package locks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/keys"
)

// Info is what an operator sees of a lock.
type Info struct {
	Name string
	Kind string // mutex, semaphore or rwmutex
	State
}

// kinds are the groups of locks that a name can stand for.
var kinds = []struct {
	group, label string
	kind         Kind
}{{"", "mutex", Exclusive}, {"sem", "semaphore", Slot}, {"rw", "rwmutex", Read}}

// List returns the locks of the namespace that somebody holds or waits for, by
// name. It scans the key space in slices: for people, not for programs.
func (m *Manager) List(ctx context.Context) ([]Info, error) {
	if err := m.inspectable(); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	names := map[string]bool{}
	for _, s := range m.servers {
		err := s.scan(ctx, func(name string) {
			mu.Lock()
			defer mu.Unlock()
			names[name] = true
		})
		if err != nil && len(m.servers) == 1 {
			return nil, fmt.Errorf("list locks: %w", err)
		}
	}
	var all []Info
	for name := range names {
		infos, err := m.Inspect(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, infos...)
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind)) })
	return all, nil
}

// Inspect returns the mutex, the semaphore and the reader-writer lock of this name,
// as far as somebody holds or waits for them.
func (m *Manager) Inspect(ctx context.Context, name string) ([]Info, error) {
	if err := errors.Join(m.inspectable(), validName(name)); err != nil {
		return nil, fmt.Errorf("inspect lock %q: %w", name, err)
	}
	var found []Info
	for _, k := range kinds {
		state, err := m.backend.State(ctx, Request{Kind: k.kind, Name: name, TTL: defaultTTL})
		if err != nil {
			return nil, fmt.Errorf("inspect lock %q: %w", name, err)
		}
		if len(state.Holders) > 0 || state.Waiters > 0 {
			found = append(found, Info{name, k.label, state})
		}
	}
	return found, nil
}

// Break takes whatever has this name away from those who hold it now, and says how
// many they were. They learn of it at their next renewal or release; until then
// they believe to hold it, and the next holder works beside them: only where they
// are surely dead, or where the resource checks fences.
func (m *Manager) Break(ctx context.Context, name string) (int, error) {
	if err := errors.Join(m.inspectable(), validName(name)); err != nil {
		return 0, fmt.Errorf("break lock %q: %w", name, err)
	}
	// Who gets the lock at the first server while we are at the second must keep it:
	// so look at all of them before anything is taken away.
	holders, failed, err := m.holders(ctx, name)
	if failed > (len(m.servers)-1)/2 {
		return 0, fmt.Errorf("break lock %q: %w", name, err)
	}
	for r := range holders {
		for _, s := range m.servers {
			if err := s.Release(ctx, r); err != nil && !errors.Is(err, ErrNotOwned) && len(m.servers) == 1 {
				return 0, fmt.Errorf("break lock %q: %w", name, err)
			}
		}
	}
	return len(holders), nil
}

// holders are what would have to be released for everyone who holds something of
// this name at any server.
func (m *Manager) holders(ctx context.Context, name string) (all map[Request]bool, failed int, err error) {
	all = map[Request]bool{}
	for i, s := range m.servers {
		var problem error
		for _, k := range kinds {
			state, err := s.State(ctx, Request{Kind: k.kind, Name: name})
			problem = errors.Join(problem, err)
			for _, h := range state.Holders {
				all[Request{Kind: h.Kind, Name: name, Token: h.Token}] = true
			}
		}
		if problem != nil {
			failed++
			err = errors.Join(err, fmt.Errorf("server %d: %w", i+1, problem))
		}
	}
	return all, failed, err
}

func (m *Manager) inspectable() error {
	if m.err == nil && len(m.servers) == 0 {
		return fmt.Errorf("locks of a backend of your own cannot be listed or broken: %w", errors.ErrUnsupported)
	}
	return m.err
}

// scan calls found with the name of every lock that has a key, from several
// goroutines and more than once.
func (s *server) scan(ctx context.Context, found func(name string)) error {
	if c, ok := s.client.(interface {
		ForEachMaster(ctx context.Context, fn func(context.Context, *redis.Client) error) error
	}); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return scanNode(ctx, node, keys.LockPrefix(s.namespace), found)
		})
	}
	return scanNode(ctx, s.client, keys.LockPrefix(s.namespace), found)
}

var globs = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func scanNode(ctx context.Context, node redis.Cmdable, prefix string, found func(string)) error {
	scan := node.Scan(ctx, 0, globs.Replace(prefix)+"*", 1000).Iterator()
	for scan.Next(ctx) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(scan.Val(), prefix), "}"); ok {
			found(name)
		}
	}
	return scan.Err()
}
