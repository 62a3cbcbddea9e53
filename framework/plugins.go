package framework

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/colonyq/colony/framework/internal/strictyaml"
)

// scope is the instrumentation scope of what Colony and its plugins trace and measure.
const scope = "github.com/colonyq/colony/framework"

// role is what the config uses a plugin for.
type role uint8

const (
	brings  role = iota // plugins: kinds and middleware of its own
	wraps               // middleware:
	handles             // handlers:
)

// instance is one plugin that the config names, and how far its life went.
type instance struct {
	role        role
	plugin      Plugin
	conf        PluginConfig
	key         string // its name in plugins:, the kind in handlers:, its number in middleware:
	value       any
	provisioned bool
	started     bool
}

// plugins is the instances of a config, in the order of their lives: plugins,
// then middleware, then handlers, so that what others may need comes first.
type plugins struct {
	cfg      Config
	registry *Registry
	list     []*instance
	ready    bool
}

// newPlugins makes every instance and decodes its config; it joins all problems.
func newPlugins(cfg Config, r *Registry) (*plugins, error) {
	p := &plugins{cfg: cfg, registry: r}
	var errs []error
	add := func(role role, key string, conf PluginConfig) {
		in := &instance{role: role, conf: conf, key: key}
		if err := p.create(in); err != nil {
			errs = append(errs, in.located(err))
		}
		p.list = append(p.list, in)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Plugins)) {
		add(brings, name, cfg.Plugins[name])
	}
	for i, conf := range cfg.Middleware {
		add(wraps, fmt.Sprint(i), conf)
	}
	for _, kind := range slices.Sorted(maps.Keys(cfg.Handlers)) {
		add(handles, kind, cfg.Handlers[kind])
	}
	return p, errors.Join(errs...)
}

func (p *plugins) create(in *instance) error {
	var ok bool
	if in.plugin, ok = p.registry.Lookup(in.conf.Plugin); !ok {
		return p.unknown(in.conf.Plugin)
	}
	in.value = in.plugin.New()
	if err := p.fits(in); err != nil {
		return err
	}
	if err := DecodePlugin(in.conf, in.value); err != nil {
		return err
	}
	return in.setArgument()
}

func (p *plugins) unknown(name string) error {
	known := p.registry.Names()
	if len(known) == 0 {
		return fmt.Errorf("no plugin %q: this program has none; import one for its side effect (import _ \"…/plugins/%s\")", name, name)
	}
	hint := "it has " + strings.Join(known, ", ")
	if near := strictyaml.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	return fmt.Errorf("no plugin %q in this program: %s (a plugin is added by a blank import, import _ \"…/plugins/NAME\")", name, hint)
}

// fits says whether the plugin can do what the config wants of it.
func (p *plugins) fits(in *instance) error {
	_, canHandle := in.value.(HandlerPlugin)
	_, hasKinds := in.value.(HandlersPlugin)
	_, hasMiddleware := in.value.(MiddlewarePlugin)
	switch {
	case in.role == handles && !canHandle:
		return fmt.Errorf("plugin %s handles no jobs; %s", in.plugin.Name, p.those(func(v any) bool { _, ok := v.(HandlerPlugin); return ok }, "do"))
	case in.role == wraps && !hasMiddleware:
		return fmt.Errorf("plugin %s is no middleware; %s", in.plugin.Name, p.those(func(v any) bool { _, ok := v.(MiddlewarePlugin); return ok }, "are"))
	case in.role == brings && !hasKinds && !hasMiddleware:
		return fmt.Errorf("plugin %s brings neither kinds nor middleware of its own: bind it to a kind under handlers", in.plugin.Name)
	}
	return nil
}

// those lists the registered plugins that can do something.
func (p *plugins) those(can func(value any) bool, verb string) string {
	var names []string
	for _, name := range p.registry.Names() {
		if pl, ok := p.registry.Lookup(name); ok && can(pl.New()) {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none of this program does"
	}
	return "these " + verb + ": " + strings.Join(names, ", ")
}

func (in *instance) setArgument() error {
	if in.conf.Argument == "" {
		return nil
	}
	s, ok := in.value.(ArgumentSet)
	if !ok {
		return fmt.Errorf("plugin %s takes no argument, got %q", in.plugin.Name, in.conf.Argument)
	}
	return s.SetArgument(in.conf.Argument)
}

// located adds the instance's place to an error that does not name one itself.
func (in *instance) located(err error) error {
	if in.conf.path != "" && isDecodeError(err) {
		return err
	}
	return fmt.Errorf("%s: %w", in.where(), err)
}

// where is the instance's place, for messages.
func (in *instance) where() string {
	path := map[role]string{brings: "plugins.", wraps: "middleware.", handles: "handlers."}[in.role] + in.key
	if in.conf.Source == "" {
		return path
	}
	return in.conf.Source + ": " + path
}

// provision runs Provision and Validate of each, in order. What a failure leaves
// behind cleanUp sees to.
func (p *plugins) provision(ctx context.Context, a *App) error {
	if p.ready {
		return nil
	}
	p.ready = true
	for _, in := range p.list {
		if err := in.provision(ctx, a); err != nil {
			return fmt.Errorf("%s: plugin %s: %w", in.where(), in.plugin.Name, err)
		}
	}
	return nil
}

func (in *instance) provision(ctx context.Context, a *App) error {
	if v, ok := in.value.(Provisioner); ok {
		if err := v.Provision(ctx, in.env(a)); err != nil {
			return fmt.Errorf("provision: %w", err)
		}
	}
	in.provisioned = true
	if v, ok := in.value.(Validator); ok {
		return v.Validate()
	}
	return nil
}

func (in *instance) env(a *App) *Env {
	name := in.plugin.Name
	if in.role == handles {
		name = in.key
	}
	return &Env{
		Name:     name,
		Config:   a.cfg,
		Logger:   a.log.With(slog.String("plugin", in.plugin.Name)),
		Redis:    a.client,
		Enqueuer: a,
		Tracer:   otel.Tracer(scope),
		Meter:    otel.Meter(scope),
	}
}

// start starts each, in order; those that started before a failure are stopped.
func (p *plugins) start(ctx context.Context) error {
	for _, in := range p.list {
		if v, ok := in.value.(Starter); ok {
			if err := v.Start(ctx); err != nil {
				err = fmt.Errorf("%s: plugin %s: start: %w", in.where(), in.plugin.Name, err)
				return errors.Join(err, p.stop(ctx))
			}
		}
		in.started = true
	}
	return nil
}

// stop stops what was started, in reverse order, each even if others fail.
func (p *plugins) stop(ctx context.Context) error {
	var errs []error
	for _, in := range slices.Backward(p.list) {
		if !in.started {
			continue
		}
		in.started = false
		if v, ok := in.value.(Stopper); ok {
			if err := v.Stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("plugin %s: stop: %w", in.plugin.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// cleanUp cleans up what was provisioned, in reverse order, each even if others fail.
func (p *plugins) cleanUp() error {
	var errs []error
	for _, in := range slices.Backward(p.list) {
		if !in.provisioned {
			continue
		}
		in.provisioned = false
		if v, ok := in.value.(CleanerUp); ok {
			if err := v.Cleanup(); err != nil {
				errs = append(errs, fmt.Errorf("plugin %s: clean up: %w", in.plugin.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// handlers are what the config binds to kinds, and the kinds that plugins bring.
func (p *plugins) handlers() []bound {
	var all []bound
	for _, in := range p.list {
		switch v, own := in.value.(HandlersPlugin); {
		case in.role == handles:
			all = append(all, bound{in.key, in.value.(HandlerPlugin).Handle, in.where()})
		case in.role == brings && own:
			kinds := v.Handlers()
			for _, kind := range slices.Sorted(maps.Keys(kinds)) {
				all = append(all, bound{kind, kinds[kind], in.where()})
			}
		}
	}
	return all
}

// middleware is the config's, in its order, then what plugins bring.
func (p *plugins) middleware() []Middleware {
	var outer, inner []Middleware
	for _, in := range p.list {
		if v, ok := in.value.(MiddlewarePlugin); ok && in.role == wraps {
			outer = append(outer, v.Middleware()...)
		} else if ok && in.role == brings {
			inner = append(inner, v.Middleware()...)
		}
	}
	return append(outer, inner...)
}
