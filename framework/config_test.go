package framework

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
)

// block returns the first fenced block of a language in docs/configuration.md.
func block(t *testing.T, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(configDoc(t), "\n```"+language+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/configuration.md has no block of %q", language)
	}
	return text + "\n"
}

func configDoc(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The file that the documentation shows is read, is valid, and means what it says.
func TestDocumentedFile(t *testing.T) {
	t.Parallel()
	c, err := ParseConfig("colony.yaml", []byte(block(t, "yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if want := (WorkerConfig{20, 15 * time.Second, 25 * time.Second, false}); c.Worker != want {
		t.Errorf("worker: got %+v", c.Worker)
	}
	if want := map[string]QueueConfig{"emails": {Weight: 5}, "reports": {Backend: "list"}}; !reflect.DeepEqual(c.Queues, want) {
		t.Errorf("queues: got %+v", c.Queues)
	}
	if got := c.Handlers["email.send"]; got.Plugin != "exec" || got.Source != "colony.yaml:17:15" || got.With.IsZero() {
		t.Errorf("handler: got %+v", got)
	}
	if got := c.Handlers["*"]; got.Plugin != "log" || !got.With.IsZero() {
		t.Errorf("handler of all: got %+v", got)
	}
	if c.Plugins["mailer"].Plugin != "acme.smtp" || len(c.Middleware) != 1 || c.Middleware[0].Plugin != "timeout" {
		t.Errorf("got %+v", c)
	}
}

// Every key of the file, and the variable that sets it, is documented.
func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	doc := configDoc(t)
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key := f.Tag.Get("yaml")
			if key == "" || key == "-" {
				continue
			}
			p := strings.TrimPrefix(path+"."+key, ".")
			switch elem := f.Type; {
			case elem.Kind() == reflect.Map:
				walk(p+"."+map[string]string{"handlers": "KIND"}[key]+map[bool]string{true: "NAME"}[key != "handlers"], elem.Elem())
			case elem.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.Struct:
				walk(p+"[]", elem.Elem())
			case elem.Kind() == reflect.Struct && key != "with":
				walk(p, elem)
			default:
				if !strings.Contains(doc, "\n| `"+p+"` |") {
					t.Errorf("docs/configuration.md has no row for `%s`", p)
				}
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	for _, k := range envKeys() {
		if !strings.Contains(doc, "| `"+strings.Join(k.path, ".")+"` | `"+k.name+"` |") {
			t.Errorf("docs/configuration.md has no row for `%s`", k.name)
		}
	}
}

// A file that says nothing is the zero Config, and the zero Config is valid.
func TestEmptyConfig(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "redis:\nqueues:\nworker: {}\nhandlers: {}\n"} {
		c, err := ParseConfig("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if c.Worker != (WorkerConfig{}) || len(c.Queues)+len(c.Handlers) > 0 || c.Validate() != nil {
			t.Errorf("%q: got %+v", text, c)
		}
	}
}

// What is wrong in a file is told at once, each with its place.
func TestParseConfigErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`redis: {sentinal: {master: m}, is_colony: yes}
worker:
  concurency: 5
  lease: 15
queues:
  emails: {wieght: 5, backend: list, backend: list}
handlers:
  email.send: {plugn: exec}
middleware: {plugin: timeout}
`: `f.yaml:1:9: redis.sentinal: unknown key, did you mean sentinel?
f.yaml:1:43: redis.is_colony: must be true or false, got "yes": write true
f.yaml:3:3: worker.concurency: unknown key, did you mean concurrency?
f.yaml:4:10: worker.lease: must be a duration with a unit, got 15: write 15s
f.yaml:6:12: queues.emails.wieght: unknown key, did you mean weight?
f.yaml:6:38: queues.emails.backend: given twice, first in line 6
f.yaml:8:16: handlers["email.send"].plugn: unknown key, did you mean plugin?
f.yaml:9:13: middleware: must be a list, got a mapping`,
		"queue: {}\n":         "f.yaml:1:1: queue: unknown key, did you mean queues?",
		"worker:\n\tlease: 1": "f.yaml:2:1: not YAML: found character that cannot start any token (while scanning for the next token); indent with spaces, tabs are not allowed",
		"- a\n":               "f.yaml:1:1: must be a mapping (key: value), got a list",
	} {
		if _, err := ParseConfig("f.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
}

// LoadConfig reads a file and names it; a missing one can be told apart.
func TestLoadConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if _, err := LoadConfig(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("namespace: ns\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := LoadConfig(path); err != nil || c.Namespace != "ns" {
		t.Errorf("got %+v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("namspace: ns\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(path); err == nil || err.Error() != path+":1:1: namspace: unknown key, did you mean namespace?" {
		t.Errorf("got %v", err)
	}
}

// Values that make no sense are errors by their path, all at once; those at the
// limits are fine.
func TestConfigValidate(t *testing.T) {
	t.Parallel()
	bad := Config{
		Redis:     redisclient.Config{URL: "localhost"},
		Namespace: "a:b",
		Worker:    WorkerConfig{Concurrency: -1, Lease: 99 * time.Millisecond, ShutdownTimeout: -time.Second},
		Queues:    map[string]QueueConfig{"a b": {}, "emails": {Backend: "stream", Weight: 1001}, "x": {Weight: -1}},
		Handlers: map[string]PluginConfig{
			"*": {}, "a/b": {Plugin: "log"}, "email.send": {Plugin: "no/name", Source: "--handler"},
		},
		Plugins:    map[string]PluginConfig{"-m": {Plugin: "p"}},
		Middleware: []PluginConfig{{Plugin: "timeout"}, {Source: "f.yaml:3:5"}},
	}
	const want = `redis.url: not a redis URL: write redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss://… for TLS, or unix:///PATH/TO/SOCKET[?db=N]; special characters in a password are written as %XX
namespace: name "a:b" has ':' at position 2: only letters, digits, _ . and - are allowed
worker.concurrency: must be at least 1, got -1
worker.lease: must be at least 100ms, got 99ms
worker.shutdown_timeout: must not be negative, got -1s
queues["a b"]: name "a b" has ' ' at position 2: only letters, digits, _ . and - are allowed
queues.emails.backend: must be list, got "stream"
queues.emails.weight: must be 1 to 1000, got 1001
queues.x.weight: must be 1 to 1000, got -1
handlers["*"].plugin: is missing: name the plugin
handlers["a/b"]: name "a/b" has '/' at position 2: only letters, digits, _ . and - are allowed
--handler: handlers["email.send"].plugin: name "no/name" has '/' at position 3: only letters, digits, _ . and - are allowed
plugins.-m: name "-m" begins with '-': begin with a letter, a digit or _
f.yaml:3:5: middleware[1].plugin: is missing: name the plugin`
	if err := bad.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	good := Config{
		Worker: WorkerConfig{Concurrency: 1, Lease: 100 * time.Millisecond},
		Queues: map[string]QueueConfig{"a": {Backend: "list", Weight: 1}, "b": {Weight: 1000}},
	}
	if err := errors.Join(good.Validate(), good.withDefaults().Validate(), Config{}.withDefaults().Validate()); err != nil {
		t.Error(err)
	}
}

// Defaults fill what was left open, keep the rest, and touch only the copy.
func TestWithDefaults(t *testing.T) {
	t.Parallel()
	want := Config{
		Redis:     redisclient.Config{URL: "redis://localhost:6379/0"},
		Namespace: "colony",
		Worker:    WorkerConfig{Concurrency: 20, Lease: 15 * time.Second, ShutdownTimeout: 25 * time.Second},
	}
	if got := (Config{}).withDefaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	set := Config{
		Redis: redisclient.Config{URL: "redis://a"}, Namespace: "n",
		Worker: WorkerConfig{1, time.Second, time.Second, true},
		Queues: map[string]QueueConfig{"a": {"list", 7}, "b": {}},
	}
	got := set.withDefaults()
	if got.Queues["b"].Weight != 1 || set.Queues["b"].Weight != 0 {
		t.Errorf("queues: got %v, of %v", got.Queues, set.Queues)
	}
	got.Queues = set.Queues
	if !reflect.DeepEqual(got, set) {
		t.Errorf("got %+v, want %+v", got, set)
	}
}

type pluginForTest struct {
	Command []string      `yaml:"command"`
	After   time.Duration `yaml:"after"`

	state int
}

// A with: block is decoded over the plugin's defaults; its mistakes carry the
// file's place and the path from its root.
func TestDecodePlugin(t *testing.T) {
	t.Parallel()
	c, err := ParseConfig("f.yaml", []byte(`
handlers:
  email.send: {plugin: p, with: {command: [a, b]}}
  bare: {plugin: p}
  null.with: {plugin: p, with: }
  bad: {plugin: p, with: {comand: [a], after: 5}}
middleware:
  - plugin: p
    with: [x]
plugins:
  m: {plugin: p, with: {state: 1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	preset := pluginForTest{After: time.Second, state: 3}
	for kind, want := range map[string]pluginForTest{
		"email.send": {[]string{"a", "b"}, time.Second, 3}, "bare": preset, "null.with": preset,
	} {
		got := preset
		if err := DecodePlugin(c.Handlers[kind], &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", kind, got, err, want)
		}
	}
	for want, pc := range map[string]PluginConfig{
		`f.yaml:6:27: handlers.bad.with.comand: unknown key, did you mean command?
f.yaml:6:47: handlers.bad.with.after: must be a duration with a unit, got 5: write 5s`: c.Handlers["bad"],
		"f.yaml:9:11: middleware[0].with: must be a mapping (key: value), got a list": c.Middleware[0],
		"f.yaml:11:25: plugins.m.with.state: unknown key; known are command, after":   c.Plugins["m"],
		"line 11, column 25: with.state: unknown key; known are command, after":       {With: c.Plugins["m"].With},
	} {
		if err := DecodePlugin(pc, &pluginForTest{}); err == nil || err.Error() != want {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
	if err := DecodePlugin(c.Handlers["bad"], new(int)); err == nil || !strings.HasPrefix(err.Error(), "plugin p: ") {
		t.Errorf("got %v", err)
	}
}

// Whoever takes a Config validates it before it connects, and names the place of
// a bad with: block once.
func TestConfigIsCheckedOnTheWayIn(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	bad := Config{Worker: WorkerConfig{Concurrency: -1}}
	for name, open := range map[string]func() error{
		"Open":         func() error { _, err := Open(t.Context(), bad); return err },
		"New":          func() error { _, err := New(client, bad); return err },
		"OpenProducer": func() error { _, err := OpenProducer(t.Context(), bad); return err },
		"NewProducer":  func() error { _, err := NewProducer(client, bad); return err },
	} {
		if err := open(); err == nil || err.Error() != "worker.concurrency: must be at least 1, got -1" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	var r Registry
	if err := r.Register(Plugin{Name: "p", New: func() any { return &handlerForTest{} }}); err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig("f.yaml", []byte(`handlers: {a: {plugin: p, with: {afer: 1s}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(client, c, WithRegistry(&r)); err == nil || err.Error() != "f.yaml:1:34: handlers.a.with.afer: unknown key, did you mean after?" {
		t.Errorf("got %v", err)
	}
}

type handlerForTest struct {
	pluginForTest `yaml:",inline"`
}

func (*handlerForTest) Handle(context.Context, *Delivery) error { return nil }

// Variables fill the groups sentinel and tls piece by piece, a URL among them puts
// the file's aside, and what Environ writes is read back as the same.
func TestSentinelAndTLSFromEnv(t *testing.T) {
	t.Parallel()
	file := Config{Redis: redisclient.Config{
		Sentinel: redisclient.SentinelConfig{Master: "file", Addresses: []string{"f:1"}},
		URL:      "rediss://a", TLS: redisclient.TLSConfig{CAFile: "ca"},
	}}
	c, err := file.WithEnv([]string{"COLONY_REDIS_SENTINEL_MASTER=m", "COLONY_REDIS_SENTINEL_ADDRESSES=a:1, b:2",
		"COLONY_REDIS_TLS_CERT_FILE=c", "COLONY_REDIS_TLS_KEY_FILE=k", "REDIS_URL=redis://elsewhere"})
	want := redisclient.Config{
		URL: "rediss://a", Sentinel: redisclient.SentinelConfig{Master: "m", Addresses: []string{"a:1", "b:2"}},
		TLS: redisclient.TLSConfig{CAFile: "ca", CertFile: "c", KeyFile: "k"},
	}
	if err != nil || !reflect.DeepEqual(c.Redis, want) {
		t.Errorf("got %v, %v\nwant %v", c.Redis, err, want)
	}
	no := false
	want.IsColony = &no
	if again, err := (Config{}).WithEnv(c.Redis.Environ()); err != nil || !reflect.DeepEqual(again.Redis, want) {
		t.Errorf("read back: %v, %v\nwant %v", again.Redis, err, want)
	}
	for url, want := range map[string]redisclient.Config{
		"redis://b":  {URL: "redis://b"},
		"rediss://b": {URL: "rediss://b", TLS: file.Redis.TLS},
	} {
		if c, err := file.WithEnv([]string{"COLONY_REDIS_URL=" + url}); err != nil || !reflect.DeepEqual(c.Redis, want) {
			t.Errorf("%s: got %v, %v\nwant %v", url, c.Redis, err, want)
		}
	}
	c, err = (Config{}).WithEnv([]string{"COLONY_REDIS_SENTINEL_MASTER=m"})
	if err != nil || c.Validate() == nil {
		t.Errorf("a master without sentinels: %v, then %v", err, c.Validate())
	}
}
