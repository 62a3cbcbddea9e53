package framework

import (
	"errors"
	"fmt"
	"os"

	"github.com/colonyq/colony/framework/internal/strictyaml"
)

// LoadConfig reads a config file; see ParseConfig. An error of a file that does
// not exist matches fs.ErrNotExist.
func LoadConfig(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the config file: %w", err)
	}
	return ParseConfig(path, data)
}

// ParseConfig reads a config file's content. Unknown and repeated keys and
// values of a wrong type or unit are errors, all of them at once, a line each,
// with name, line, column and path. The content of with: blocks is read by Open
// or Run, when the plugin is known (DecodePlugin).
//
// An empty file is the zero Config. What the values mean is checked later, by
// Config.Validate, because flags and environment may still change them.
func ParseConfig(name string, data []byte) (Config, error) {
	n, err := strictyaml.Parse(name, data)
	if err != nil {
		return Config{}, err
	}
	var c Config
	d := strictyaml.Decoder{File: name, Visit: func(into any, at strictyaml.Position) {
		if p, ok := into.(*PluginConfig); ok {
			p.file, p.Source = at.File, at.String()
		}
	}}
	if err := d.Decode("", n, &c); err != nil {
		return Config{}, err
	}
	c.setPaths()
	return c, nil
}

// setPaths tells every plugin's entry where it stands.
func (c *Config) setPaths() {
	for kind, p := range c.Handlers {
		p.path = strictyaml.Join("handlers", kind)
		c.Handlers[kind] = p
	}
	for name, p := range c.Plugins {
		p.path = strictyaml.Join("plugins", name)
		c.Plugins[name] = p
	}
	for i := range c.Middleware {
		c.Middleware[i].path = fmt.Sprintf("middleware[%d]", i)
	}
}

// DecodePlugin decodes the with: block of pc into the plugin that into points
// to, as strictly as the rest of the file. Without such a block it leaves the
// plugin's defaults as they are. Its errors are lines that name file, line,
// column and path themselves.
func DecodePlugin(pc PluginConfig, into any) error {
	if pc.With.IsZero() {
		return nil
	}
	path := "with"
	if pc.path != "" {
		path = pc.path + ".with"
	}
	d := strictyaml.Decoder{File: pc.file}
	err := d.Decode(path, &pc.With, into)
	if err != nil && !isDecodeError(err) {
		return fmt.Errorf("plugin %s: %w", pc.Plugin, err)
	}
	return err
}

// isDecodeError says whether err is about a place in a file, which it names.
func isDecodeError(err error) bool {
	var known *strictyaml.Error
	return errors.As(err, &known)
}
