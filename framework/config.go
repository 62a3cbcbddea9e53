package framework

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/colonyq/colony/framework/internal/strictyaml"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
)

// Defaults of a Config.
const (
	DefaultNamespace       = "colony"
	DefaultConcurrency     = 20
	DefaultLease           = 15 * time.Second
	DefaultShutdownTimeout = 25 * time.Second
)

const (
	maxWeight = 1000
	// minLease leaves a beat time for a round trip and a pause of the process.
	// Files should stay above a second; tests go lower.
	minLease = 100 * time.Millisecond
)

// Config is the configuration of a worker or a producer: the config file, after
// flags and environment. The zero value works: see each field. LoadConfig reads
// it from a file; docs/configuration.md describes every key.
type Config struct {
	Redis      redisclient.Config      `yaml:"redis"`
	Namespace  string                  `yaml:"namespace"` // prefix of every key; "" = colony
	Worker     WorkerConfig            `yaml:"worker"`
	Queues     map[string]QueueConfig  `yaml:"queues"`     // none = those of the kinds it handles, and default
	Handlers   map[string]PluginConfig `yaml:"handlers"`   // kind, or *, to the plugin that handles it
	Plugins    map[string]PluginConfig `yaml:"plugins"`    // plugins that bring kinds or middleware
	Middleware []PluginConfig          `yaml:"middleware"` // outermost first
}

// WorkerConfig is the worker: block.
type WorkerConfig struct {
	Concurrency     int           `yaml:"concurrency"`      // jobs at a time; 0 = 20
	Lease           time.Duration `yaml:"lease"`            // 0 = 15s; at least 100ms
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"` // 0 = 25s
	Strict          bool          `yaml:"strict"`           // weights are strict priorities
}

// QueueConfig is one entry of the queues: block.
type QueueConfig struct {
	Backend string `yaml:"backend"` // "" = what the queue has, else list
	Weight  int    `yaml:"weight"`  // 1 to 1000; 0 = 1
}

// PluginConfig names a plugin and carries its config undecoded, with positions.
type PluginConfig struct {
	Plugin   string    `yaml:"plugin"`
	With     yaml.Node `yaml:"with"` // zero = nothing given
	Argument string    `yaml:"-"`    // ARG of --handler KIND=PLUGIN:ARG
	Source   string    `yaml:"-"`    // file:line:column, or the flag, for messages

	file, path string // of an entry that was read from a file, for messages
}

// resolve validates c and fills in its defaults.
func (c Config) resolve() (Config, error) {
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c.withDefaults(), nil
}

// withDefaults returns a copy in which nothing is left to default but the queues
// of a worker that names none: those follow from what it handles.
func (c Config) withDefaults() Config {
	orDefault(&c.Redis.URL, redisclient.DefaultURL)
	orDefault(&c.Namespace, DefaultNamespace)
	orDefault(&c.Worker.Concurrency, DefaultConcurrency)
	orDefault(&c.Worker.Lease, DefaultLease)
	orDefault(&c.Worker.ShutdownTimeout, DefaultShutdownTimeout)
	c.Queues = maps.Clone(c.Queues)
	for name, q := range c.Queues {
		orDefault(&q.Weight, 1)
		c.Queues[name] = q
	}
	return c
}

func orDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Validate reports everything that is wrong with c, one problem a line, each
// with its path. What only a registry or a server can tell (whether a plugin
// exists, its with: block, what answers at the URL) is left to Open.
func (c Config) Validate() error {
	errs := []error{c.Redis.Validate()}
	if c.Namespace != "" {
		errs = append(errs, at("namespace", wire.ValidName(c.Namespace)))
	}
	errs = append(errs, c.Worker.validate())
	for _, name := range slices.Sorted(maps.Keys(c.Queues)) {
		errs = append(errs, c.Queues[name].validate(name))
	}
	return errors.Join(append(errs, c.validatePlugins()...)...)
}

func (w WorkerConfig) validate() error {
	var errs []error
	if w.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("worker.concurrency: must be at least 1, got %d", w.Concurrency))
	}
	if w.Lease != 0 && w.Lease < minLease {
		errs = append(errs, fmt.Errorf("worker.lease: must be at least %v, got %v", minLease, w.Lease))
	}
	if w.ShutdownTimeout < 0 {
		errs = append(errs, fmt.Errorf("worker.shutdown_timeout: must not be negative, got %v", w.ShutdownTimeout))
	}
	return errors.Join(errs...)
}

func (q QueueConfig) validate(name string) error {
	path := strictyaml.Join("queues", name)
	errs := []error{at(path, wire.ValidName(name))}
	if q.Backend != "" && q.Backend != "list" {
		errs = append(errs, fmt.Errorf("%s.backend: must be list, got %q", path, q.Backend))
	}
	if q.Weight < 0 || q.Weight > maxWeight {
		errs = append(errs, fmt.Errorf("%s.weight: must be 1 to %d, got %d", path, maxWeight, q.Weight))
	}
	return errors.Join(errs...)
}

func (c Config) validatePlugins() []error {
	var errs []error
	for _, kind := range slices.Sorted(maps.Keys(c.Handlers)) {
		path := strictyaml.Join("handlers", kind)
		if kind != "*" {
			errs = append(errs, at(path, wire.ValidName(kind)))
		}
		errs = append(errs, c.Handlers[kind].validate(path))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		path := strictyaml.Join("plugins", name)
		errs = append(errs, at(path, wire.ValidName(name)), c.Plugins[name].validate(path))
	}
	for i, m := range c.Middleware {
		errs = append(errs, m.validate(fmt.Sprintf("middleware[%d]", i)))
	}
	return errs
}

func (p PluginConfig) validate(path string) error {
	err := wire.ValidName(p.Plugin)
	if p.Plugin == "" {
		err = errors.New("is missing: name the plugin")
	}
	if err != nil && p.Source != "" {
		path = p.Source + ": " + path
	}
	return at(path+".plugin", err)
}

// at says where in the config an error is; nil stays nil.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}
