package command

import (
	"errors"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
)

const (
	configVariable = "COLONY_CONFIG"
	configFile     = "colony.yaml"
)

// loadConfig is the config file with the environment above it. flagged are the
// paths that flags will set: a bad variable of such a path is no error.
func loadConfig(c *cli.Context, flagged []string) (cfg framework.Config, path string, err error) {
	path, sought := configPath(c)
	cfg, err = framework.LoadConfig(path)
	if errors.Is(err, fs.ErrNotExist) && !sought {
		cfg, path, err = framework.Config{}, "", nil
	}
	if err == nil {
		cfg, err = cfg.WithEnv(os.Environ(), flagged...)
	}
	return cfg, path, asUsage(err)
}

// configPath says which file to read, and whether somebody asked for it.
func configPath(c *cli.Context) (path string, sought bool) {
	if c.IsSet("config") {
		return c.String("config"), true
	}
	if path := os.Getenv(configVariable); path != "" {
		return path, true
	}
	return configFile, false
}

// clientConfig is what every command that talks to Redis needs: config file,
// environment, and the flags that all of them have. It is not validated yet.
func clientConfig(c *cli.Context, flagged ...string) (cfg framework.Config, path string, err error) {
	log, err := newLogger(c)
	if err != nil {
		return cfg, "", err
	}
	hearRedis(log)
	if len(c.StringSlice("redis")) > 0 {
		flagged = append(flagged, "redis.url", "redis.startup_nodes")
	}
	if c.IsSet("cluster") {
		flagged = append(flagged, "redis.is_colony")
	}
	if c.IsSet("namespace") {
		flagged = append(flagged, "namespace")
	}
	cfg, path, err = loadConfig(c, flagged)
	if err != nil {
		return cfg, path, err
	}
	namespaceFlag(c, &cfg)
	return cfg, path, redisFlags(c, &cfg)
}
