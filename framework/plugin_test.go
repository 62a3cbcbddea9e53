package framework

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/colonyq/colony/framework/embedded"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
)

// journal is what the plugins of a test were called for, in order.
type journal struct {
	calls  []string
	failAt string // the call that fails, "b.Start" for instance
}

var errInjected = errors.New("injected")

func (j *journal) note(call string) error {
	j.calls = append(j.calls, call)
	if call == j.failAt {
		return errInjected
	}
	return nil
}

// recorder is a plugin with every interface there is.
type recorder struct {
	ID string `yaml:"id"`

	journal *journal
	env     *Env
}

func (r *recorder) SetArgument(arg string) error { return r.journal.note(r.ID + ".SetArgument " + arg) }

func (r *recorder) Provision(_ context.Context, env *Env) error {
	r.env = env
	return r.journal.note(r.ID + ".Provision")
}
func (r *recorder) Validate() error             { return r.journal.note(r.ID + ".Validate") }
func (r *recorder) Start(context.Context) error { return r.journal.note(r.ID + ".Start") }
func (r *recorder) Stop(context.Context) error  { return r.journal.note(r.ID + ".Stop") }
func (r *recorder) Cleanup() error              { return r.journal.note(r.ID + ".Cleanup") }

func (r *recorder) Handle(_ context.Context, d *Delivery) error {
	return r.journal.note(r.ID + ".Handle " + d.Kind)
}

func (r *recorder) Handlers() map[string]Handler {
	return map[string]Handler{r.ID + ".own": r.Handle}
}

func (r *recorder) Middleware() []Middleware {
	return []Middleware{func(next Handler) Handler {
		return func(ctx context.Context, d *Delivery) error {
			_ = r.journal.note(r.ID + ".middleware")
			return next(ctx, d)
		}
	}}
}

// plain can do nothing.
type plain struct{}

func registryOf(t *testing.T, j *journal) *Registry {
	t.Helper()
	r := &Registry{}
	for _, p := range []Plugin{
		{Name: "recorder", New: func() any { return &recorder{journal: j} }},
		{Name: "plain", New: func() any { return &plain{} }},
	} {
		if err := r.Register(p); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// pluginConf is a plugin's entry at a line of colony.yaml.
func pluginConf(t *testing.T, plugin, with, source string) PluginConfig {
	t.Helper()
	c := PluginConfig{Plugin: plugin, Source: source}
	if with != "" {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(with), &doc); err != nil {
			t.Fatal(err)
		}
		c.With = *doc.Content[0]
	}
	return c
}

// threeRoles has a recorder in each role: a under plugins, b as middleware, c
// bound to the kind bound.
func threeRoles(t *testing.T, url string) Config {
	t.Helper()
	c := pluginConf(t, "recorder", "{id: c}", "colony.yaml:9:3")
	c.Argument = "arg"
	return Config{
		Redis:      redisclient.Config{URL: url},
		Plugins:    map[string]PluginConfig{"first": pluginConf(t, "recorder", "{id: a}", "colony.yaml:3:3")},
		Middleware: []PluginConfig{pluginConf(t, "recorder", "{id: b}", "colony.yaml:6:5")},
		Handlers:   map[string]PluginConfig{"bound": c},
	}
}

func startRedis(t *testing.T) string {
	t.Helper()
	s, err := embedded.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL()
}

func quiet() Option { return WithLogger(slog.New(slog.DiscardHandler)) }

func shut(t *testing.T, closer interface{ Close(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := closer.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

var life = []string{
	"c.SetArgument arg",
	"a.Provision", "a.Validate", "b.Provision", "b.Validate", "c.Provision", "c.Validate",
	"a.Start", "b.Start", "c.Start",
	"b.middleware", "a.middleware", "c.Handle bound",
	"b.middleware", "a.middleware", "a.Handle a.own",
	"c.Stop", "b.Stop", "a.Stop",
	"c.Cleanup", "b.Cleanup", "a.Cleanup",
}

// Every interface of a plugin is called, each once and in the order of the
// lifecycle; the ends of life in reverse. Middleware of the middleware list is
// outside of that of the plugins block.
func TestPluginLife(t *testing.T) {
	j := &journal{}
	cfg := threeRoles(t, startRedis(t))
	cfg.Worker.Concurrency = 1
	app, err := Open(t.Context(), cfg, WithRegistry(registryOf(t, j)), quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"bound", "a.own"} {
		if _, err := EnqueueRaw(t.Context(), app, kind, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := app.Drain(t.Context()); err != nil || r.Done != 2 {
		t.Errorf("drained with %+v, %v", r, err)
	}
	shut(t, app)
	shut(t, app)
	if !slices.Equal(j.calls, life) {
		t.Errorf("got  %v\nwant %v", j.calls, life)
	}
}

// Wherever a plugin fails, what was provisioned before is cleaned up, in reverse
// and once, what was started is stopped, and the error names plugin and place.
func TestPluginFailure(t *testing.T) {
	url := startRedis(t)
	for failAt, want := range map[string]struct {
		calls []string
		named string
	}{
		"c.SetArgument arg": {life[:1], "colony.yaml:9:3: handlers.bound"},
		"b.Provision":       {[]string{"c.SetArgument arg", "a.Provision", "a.Validate", "b.Provision", "a.Cleanup"}, "colony.yaml:6:5: middleware.0: plugin recorder: provision"},
		"b.Validate":        {[]string{"c.SetArgument arg", "a.Provision", "a.Validate", "b.Provision", "b.Validate", "b.Cleanup", "a.Cleanup"}, "colony.yaml:6:5: middleware.0: plugin recorder"},
		"b.Start":           {append(slices.Clone(life[:9]), "a.Stop", "c.Cleanup", "b.Cleanup", "a.Cleanup"), "colony.yaml:6:5: middleware.0: plugin recorder: start"},
		"b.Stop":            {append(slices.Clone(life[:10]), life[16:]...), "plugin recorder: stop"},
		"b.Cleanup":         {append(slices.Clone(life[:10]), life[16:]...), "plugin recorder: clean up"},
	} {
		for _, how := range []string{"Open", "New"} {
			t.Run(failAt+"/"+how, func(t *testing.T) {
				j := &journal{failAt: failAt}
				err := liveOnce(t, how, threeRoles(t, url), registryOf(t, j))
				if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), want.named) {
					t.Errorf("got %v, want it to say %q", err, want.named)
				}
				if !slices.Equal(j.calls, want.calls) {
					t.Errorf("got  %v\nwant %v", j.calls, want.calls)
				}
			})
		}
	}
}

// liveOnce opens, drains and closes an app and joins what went wrong.
func liveOnce(t *testing.T, how string, cfg Config, r *Registry) error {
	t.Helper()
	var app *App
	var err error
	if how == "Open" {
		app, err = Open(t.Context(), cfg, WithRegistry(r), quiet())
	} else {
		client, openErr := redisclient.Open(t.Context(), cfg.Redis)
		if openErr != nil {
			t.Fatal(openErr)
		}
		defer func() { _ = client.Close() }()
		app, err = New(client, cfg, WithRegistry(r), quiet())
	}
	if err != nil {
		return err
	}
	_, err = app.Drain(t.Context())
	return errors.Join(err, app.Close(t.Context()))
}

// A plugin gets an Env to work with.
func TestPluginEnv(t *testing.T) {
	j := &journal{}
	app, err := Open(t.Context(), threeRoles(t, startRedis(t)), WithRegistry(registryOf(t, j)), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, app)
	for i, name := range []string{"recorder", "recorder", "bound"} {
		env := app.plugins.list[i].value.(*recorder).env
		if env.Name != name || env.Redis == nil || env.Logger == nil || env.Tracer == nil || env.Meter == nil || len(env.Config.Handlers) != 1 {
			t.Errorf("plugin %d got %+v", i, env)
		}
		if _, err := EnqueueRaw(t.Context(), env.Enqueuer, "kind", nil); err != nil {
			t.Error(err)
		}
	}
}

// What the config asks of a plugin that it cannot do is an error that names the
// place and what could; all such errors come at once.
func TestPluginMisfits(t *testing.T) {
	cfg := Config{
		Plugins: map[string]PluginConfig{"p": pluginConf(t, "plain", "", "colony.yaml:2:3")},
		Middleware: []PluginConfig{
			pluginConf(t, "plain", "", "colony.yaml:4:3"),
			pluginConf(t, "recordr", "", "colony.yaml:5:3"),
		},
		Handlers: map[string]PluginConfig{
			"k": pluginConf(t, "plain", "", "colony.yaml:7:3"),
			"l": pluginConf(t, "nothing.like.it", "", "colony.yaml:8:3"),
			"m": pluginConf(t, "recorder", "{idd: x}", "colony.yaml:9:3"),
		},
	}
	_, err := Open(t.Context(), cfg, WithRegistry(registryOf(t, &journal{})))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"colony.yaml:2:3: plugins.p: plugin plain brings neither kinds nor middleware of its own",
		"colony.yaml:4:3: middleware.0: plugin plain is no middleware; these are: recorder",
		`colony.yaml:5:3: middleware.1: no plugin "recordr" in this program: did you mean recorder?`,
		"colony.yaml:7:3: handlers.k: plugin plain handles no jobs; these do: recorder",
		`colony.yaml:8:3: handlers.l: no plugin "nothing.like.it" in this program: it has plain, recorder`,
		"colony.yaml:9:3: handlers.m: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	empty := Config{Handlers: map[string]PluginConfig{"k": {Plugin: "log"}}}
	if _, err := Open(t.Context(), empty, WithRegistry(&Registry{})); err == nil || !strings.Contains(err.Error(), `this program has none; import one`) {
		t.Errorf("got %v", err)
	}
}

// A plugin without an argument refuses one.
func TestNoArgument(t *testing.T) {
	r := &Registry{}
	if err := r.Register(Plugin{Name: "h", New: func() any { return &deaf{} }}); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Handlers: map[string]PluginConfig{"k": {Plugin: "h", Argument: "x"}}}, WithRegistry(r))
	if err == nil || !strings.Contains(err.Error(), `plugin h takes no argument, got "x"`) {
		t.Errorf("got %v", err)
	}
}

type deaf struct{}

func (*deaf) Handle(context.Context, *Delivery) error { return nil }

// A kind with handlers in the code and in the config is an error of Run that
// names file and line; so are two in the config.
func TestHandlerClash(t *testing.T) {
	cfg := threeRoles(t, startRedis(t))
	cfg.Plugins["second"] = pluginConf(t, "recorder", "{id: a}", "colony.yaml:4:3")
	app, err := Open(t.Context(), cfg, WithRegistry(registryOf(t, &journal{})), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, app)
	HandleRaw(app, "bound", (&deaf{}).Handle)
	err = app.Run(t.Context())
	for _, want := range []string{
		"colony.yaml:9:3: handlers.bound: bound has a handler already, by the program's code",
		"colony.yaml:4:3: plugins.second: a.own has a handler already, by colony.yaml:3:3: plugins.first",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// A plugin that brings what is no kind, or no handler, is an error of Run.
func TestWrongHandlers(t *testing.T) {
	r := &Registry{}
	if err := r.Register(Plugin{Name: "p", New: func() any { return &careless{} }}); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Redis: redisclient.Config{URL: startRedis(t)}, Plugins: map[string]PluginConfig{"x": {Plugin: "p", Source: "colony.yaml:2:3"}}}
	app, err := Open(t.Context(), cfg, WithRegistry(r), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, app)
	err = app.Run(t.Context())
	for _, want := range []string{"colony.yaml:2:3: plugins.x: kind: ", "colony.yaml:2:3: plugins.x: the handler of k is nil"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

type careless struct{}

func (*careless) Handlers() map[string]Handler {
	return map[string]Handler{"a b": (&deaf{}).Handle, "k": nil}
}

// A registry refuses what could not be used, lists by name, and the global
// convenience panics where it fails.
func TestRegistry(t *testing.T) {
	r := registryOf(t, &journal{})
	for name, p := range map[string]Plugin{
		"twice":    {Name: "plain", New: func() any { return nil }},
		"bad name": {Name: "a b", New: func() any { return nil }},
		"no New":   {Name: "x"},
	} {
		if r.Register(p) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := r.Names(); !slices.Equal(got, []string{"plain", "recorder"}) {
		t.Errorf("names %v", got)
	}
	once := Plugin{Name: "test." + wire.NewID(time.Now()), New: func() any { return nil }} // the test may run twice
	Register(once)
	if _, ok := DefaultRegistry().Lookup(once.Name); !ok {
		t.Error("Register did not register")
	}
	defer func() {
		if recover() == nil {
			t.Error("a duplicate did not panic")
		}
	}()
	Register(once)
}
