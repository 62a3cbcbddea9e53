// Package redisclient opens the Redis client that the configuration names.
package redisclient

import (
	"github.com/redis/go-redis/v9"
)

// Config is the redis: block.
type Config struct {
	IsColony     *bool    `yaml:"is_colony"`     // true: cluster client
	URL          string   `yaml:"url"`           // "" = redis://localhost:6379/0
	StartupNodes []string `yaml:"startup_nodes"` // host:port of cluster nodes
}

// Client is a client of a standalone server or a cluster.
type Client struct {
	redis.UniversalClient
}
