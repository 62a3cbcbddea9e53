package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
)

const (
	maxWeight = 1000
	minWeight = 1
)

// commonFlags are those of every command that talks to Redis.
func commonFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read settings from `FILE` (default: $COLONY_CONFIG, else ./colony.yaml if it exists)"},
		&cli.StringSliceFlag{Name: "redis", Usage: "`URL` of Redis: redis://, rediss:// or unix://; several are the nodes of one cluster (default: " + redisclient.DefaultURL + ")"},
		&cli.BoolFlag{Name: "cluster", Usage: "Redis is a cluster (--cluster=false: it is not, whatever the config says)", DisableDefaultText: true},
		&cli.StringFlag{Name: "namespace", Usage: "`PREFIX` of every key (default: colony)"},
	}, outputFlags()...)
}

// outputFlags are those of every command.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of what goes to standard output: text or json"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say only warnings and errors on standard error", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "say more on standard error", DisableDefaultText: true},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of what goes to standard error: text or json"},
	}
}

func versionFlag() cli.Flag {
	return &cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true}
}

// oneOf is a flag's value if it is one of the words.
func oneOf(c *cli.Context, flag string, words ...string) (string, error) {
	v := c.String(flag)
	if !slices.Contains(words, v) {
		return "", usagef("--%s: must be %s, got %q", flag, strings.Join(words, " or "), v)
	}
	return v, nil
}

// wantsJSON reads --output.
func wantsJSON(c *cli.Context) (bool, error) {
	v, err := oneOf(c, "output", "text", "json")
	return v == "json", err
}

// redisFlags puts what --redis and --cluster say in the place of what the other
// sources say.
func redisFlags(c *cli.Context, cfg *framework.Config) error {
	cluster := cfg.Redis.IsColony
	if c.IsSet("cluster") {
		on := c.Bool("cluster")
		cluster = &on
	}
	if urls := c.StringSlice("redis"); len(urls) > 0 {
		r, err := redisclient.FromURLs(urls, cluster)
		if err != nil {
			return usagef("--redis: %w", err)
		}
		if strings.HasPrefix(r.URL, "rediss:") {
			r.TLS = cfg.Redis.TLS // says whom to trust, not where Redis is
		}
		cfg.Redis = r
		return nil
	}
	cfg.Redis.IsColony = cluster
	if err := cfg.Redis.Validate(); err != nil && c.IsSet("cluster") {
		return usagef("--cluster: %w", err)
	}
	return nil
}

func namespaceFlag(c *cli.Context, cfg *framework.Config) {
	if c.IsSet("namespace") {
		cfg.Namespace = c.String("namespace")
	}
}

// queueFlags selects queues: what --queue names, with the config's settings for
// each, else the config's queues, else the default one. --backend holds for all
// of them.
func queueFlags(c *cli.Context, cfg *framework.Config) error {
	selected := map[string]framework.QueueConfig{}
	for _, arg := range c.StringSlice("queue") {
		name, weight, err := parseQueue(arg)
		if err != nil {
			return usagef("--queue %s: %w", arg, err)
		}
		if _, twice := selected[name]; twice {
			return usagef("--queue %s: queue %s is named twice", arg, name)
		}
		q := cfg.Queues[name]
		if weight != 0 {
			q.Weight = weight
		}
		selected[name] = q
	}
	switch {
	case len(selected) > 0:
		cfg.Queues = selected
	case len(cfg.Queues) == 0:
		cfg.Queues = map[string]framework.QueueConfig{framework.DefaultQueue: {}}
	}
	if c.IsSet("backend") {
		for name, q := range cfg.Queues {
			q.Backend = c.String("backend")
			cfg.Queues[name] = q
		}
	}
	return nil
}

// parseQueue reads NAME[:WEIGHT]; weight 0 means that none was given.
func parseQueue(arg string) (name string, weight int, err error) {
	name, w, given := strings.Cut(arg, ":")
	if err := framework.CheckName(name); err != nil {
		return "", 0, err
	}
	if !given {
		return name, 0, nil
	}
	weight, err = strconv.Atoi(w)
	if err != nil || weight < minWeight || weight > maxWeight {
		return "", 0, fmt.Errorf("weight must be a number from %d to %d, got %q", minWeight, maxWeight, w)
	}
	return name, weight, nil
}

// handlerFlags binds what --handler says, over what the config says of the same kind.
func handlerFlags(c *cli.Context, cfg *framework.Config, known *framework.Registry) error {
	bound := map[string]framework.PluginConfig{}
	for _, arg := range c.StringSlice("handler") {
		kind, p, err := parseHandler(arg, known)
		if err != nil {
			return usagef("--handler %s: %w", arg, err)
		}
		if _, twice := bound[kind]; twice {
			return usagef("--handler %s: kind %s has a handler already", arg, kind)
		}
		bound[kind] = p
	}
	if cfg.Handlers == nil {
		cfg.Handlers = bound
		return nil
	}
	for kind, p := range bound {
		cfg.Handlers[kind] = p
	}
	return nil
}

// parseHandler reads KIND=PLUGIN[:ARG]: KIND ends at the first =, PLUGIN at the
// first : after it, ARG is the rest as it is.
func parseHandler(arg string, known *framework.Registry) (kind string, p framework.PluginConfig, err error) {
	kind, rest, ok := strings.Cut(arg, "=")
	if !ok {
		return "", p, fmt.Errorf("must be KIND=PLUGIN[:ARG], for instance '*=log'")
	}
	if kind != framework.Any {
		if err := framework.CheckName(kind); err != nil {
			return "", p, fmt.Errorf("kind: %w", err)
		}
	}
	plugin, argument, _ := strings.Cut(rest, ":")
	if _, ok := known.Lookup(plugin); !ok {
		return "", p, fmt.Errorf("no plugin %q; this program has %s", plugin, strings.Join(known.Names(), ", "))
	}
	return kind, framework.PluginConfig{Plugin: plugin, Argument: argument, Source: "--handler " + arg}, nil
}

// noArguments refuses what a command would ignore.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("%s takes no arguments, got %q", c.Command.Name, c.Args().First())
	}
	return nil
}
