package framework

import (
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/colonyq/colony/framework/redisclient"
)

// Config is the configuration of a worker or a producer: the config file, after
// flags and environment. The zero value works: see each field.
type Config struct {
	Redis      redisclient.Config      `yaml:"redis"`
	Namespace  string                  `yaml:"namespace"` // prefix of every key; "" = colony
	Worker     WorkerConfig            `yaml:"worker"`
	Queues     map[string]QueueConfig  `yaml:"queues"`     // none = default
	Handlers   map[string]PluginConfig `yaml:"handlers"`   // kind, or *, to the plugin that handles it
	Plugins    map[string]PluginConfig `yaml:"plugins"`    // plugins that bring kinds or middleware
	Middleware []PluginConfig          `yaml:"middleware"` // outermost first
}

// WorkerConfig is the worker: block.
type WorkerConfig struct {
	Concurrency     int           `yaml:"concurrency"`      // jobs at a time; 0 = 20
	Lease           time.Duration `yaml:"lease"`            // 0 = 15s
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
	With     yaml.Node `yaml:"with"`
	Argument string    `yaml:"-"` // ARG of --handler KIND=PLUGIN:ARG
	Source   string    `yaml:"-"` // file:line:column, or the flag, for messages
}
