package framework

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Registry is a set of plugins. The zero value is empty and ready; it is safe
// for concurrent use.
type Registry struct {
	mu      sync.RWMutex
	plugins map[string]Plugin
}

var global Registry

// DefaultRegistry is where Register puts plugins and where an App looks unless
// WithRegistry names another.
func DefaultRegistry() *Registry { return &global }

// Register adds a plugin to the default registry, from an init function as a
// rule. It panics where Registry.Register fails.
func Register(p Plugin) {
	if err := global.Register(p); err != nil {
		panic("framework.Register: " + err.Error())
	}
}

// Register adds a plugin. It fails on a bad name (see CheckName), a missing New
// and a name that is taken.
func (r *Registry) Register(p Plugin) error {
	if err := CheckName(p.Name); err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	if p.New == nil {
		return fmt.Errorf("plugin %s: New is missing", p.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.plugins[p.Name]; taken {
		return fmt.Errorf("plugin %s: registered twice", p.Name)
	}
	if r.plugins == nil {
		r.plugins = map[string]Plugin{}
	}
	r.plugins[p.Name] = p
	return nil
}

// Lookup finds a plugin by name.
func (r *Registry) Lookup(name string) (Plugin, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok := r.plugins[name]
	return p, ok
}

// Names lists the plugins, sorted.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.plugins))
}
