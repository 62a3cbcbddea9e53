package framework

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/colonyq/colony/framework/internal/strictyaml"
	"github.com/colonyq/colony/framework/redisclient"
)

const (
	envPrefix   = "COLONY_"
	urlName     = "COLONY_REDIS_URL"
	bareURLName = "REDIS_URL"
)

var (
	sentinelKeys = []string{"redis.sentinel"}
	tlsKeys      = []string{"redis.tls"}
)

var urlKey = envKey{name: urlName, path: []string{"redis", "url"}}

// WithEnv returns c, which is what a config file says, with the settings of an
// environment (os.Environ()) above it: COLONY_ and the path in capitals, so
// COLONY_WORKER_CONCURRENCY for worker.concurrency. It reads the keys of redis
// (a list separates its entries by commas), namespace and worker; queues,
// handlers, plugins and middleware are for the file alone. An empty variable
// counts as not set, and one that names no key is none of ours.
//
// COLONY_REDIS_URL drops the file's startup_nodes and sentinel, which would stand
// above it, and its tls unless the URL is a rediss:// one; variables for those count beside it. REDIS_URL counts where neither the
// file nor a COLONY_ variable says where Redis is. Errors name the variable.
//
// flagged are the paths, worker.lease or the whole of redis, that flags have
// set: their variables are not looked at.
func (c Config) WithEnv(environ []string, flagged ...string) (Config, error) {
	env := parseEnviron(environ)
	var errs []error
	for _, k := range envKeys() {
		// Whom to trust is no part of where Redis is, which a flag may have said.
		if value := env[k.name]; value != "" && (!k.under(flagged) || k.under(tlsKeys)) {
			errs = append(errs, c.set(k, value))
			if k.name == urlName {
				c.Redis = c.Redis.Moved()
			}
		}
	}
	if !c.Redis.Placed() && !urlKey.under(flagged) {
		c.Redis.URL = env[bareURLName]
		errs = append(errs, at(bareURLName, redisclient.Config{URL: c.Redis.URL}.Validate()))
	}
	return c, errors.Join(errs...)
}

// parseEnviron maps names to values; of a name given twice, the last counts, as
// it does for processes that Go starts.
func parseEnviron(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// envKey is a key of the config that a variable can set.
type envKey struct {
	name string
	path []string
	typ  reflect.Type
}

// envKeys are all of them, in the order of the file.
func envKeys() []envKey { return appendEnvKeys(nil, nil, reflect.TypeFor[Config]()) }

func appendEnvKeys(all []envKey, path []string, t reflect.Type) []envKey {
	for i := range t.NumField() {
		f := t.Field(i)
		p := append(slices.Clip(path), f.Tag.Get("yaml"))
		switch {
		case f.Type.Kind() == reflect.Struct:
			all = appendEnvKeys(all, p, f.Type)
		case f.Type.Kind() == reflect.Map, f.Type == reflect.TypeFor[[]PluginConfig]():
		default:
			all = append(all, envKey{envPrefix + strings.ToUpper(strings.Join(p, "_")), p, f.Type})
		}
	}
	return all
}

// under says whether the key is one of paths or inside of one.
func (k envKey) under(paths []string) bool {
	path := strings.Join(k.path, ".")
	return slices.ContainsFunc(paths, func(p string) bool { return path == p || strings.HasPrefix(path, p+".") })
}

// set decodes a value as the file's decoder would, so that both accept and
// refuse the same. The value is validated on its own, while its variable can
// still be named; but one of a group means nothing alone, and waits for all.
func (c *Config) set(k envKey, value string) error {
	d := strictyaml.Decoder{File: k.name}
	n := k.node(value)
	var alone Config
	if err := d.Decode("", n, &alone); err != nil {
		return err
	}
	if err := alone.Validate(); err != nil && !k.under(sentinelKeys) && !k.under(tlsKeys) {
		return at(k.name, err)
	}
	return d.Decode("", n, c)
}

// node is the config file that holds this key alone.
func (k envKey) node(value string) *yaml.Node {
	n := scalarNode(value)
	switch k.typ.Kind() {
	case reflect.String:
		n = textNode(value)
	case reflect.Slice:
		n = &yaml.Node{Kind: yaml.SequenceNode}
		for part := range strings.SplitSeq(value, ",") {
			n.Content = append(n.Content, textNode(strings.TrimSpace(part)))
		}
	}
	for _, name := range slices.Backward(k.path) {
		n = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{textNode(name), n}}
	}
	return n
}

// scalarNode is a value as it would be read from a file, where it may be a number or
// true. It has no place there.
func scalarNode(s string) *yaml.Node {
	doc, err := strictyaml.Parse("", []byte(s))
	if err != nil || doc == nil || doc.Content[0].Kind != yaml.ScalarNode {
		return textNode(s)
	}
	n := doc.Content[0]
	n.Line, n.Column = 0, 0
	return n
}

// textNode is a value that is never taken for a number or null.
func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}
