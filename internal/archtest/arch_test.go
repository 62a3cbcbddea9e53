package archtest

import (
	"strings"
	"testing"
)

// The module keeps every rule of the table.
func TestModuleKeepsItsRules(t *testing.T) {
	m, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.find(m.Path+"/framework/wire").Imports) == 0 {
		t.Fatalf("go list showed nothing of framework/wire; packages seen: %d", len(m.Packages))
	}
	for _, v := range violations(m) {
		t.Error(v)
	}
}

const base = "example.org/m"

// graph makes a module of "package: import import" lines. A package's Deps are
// closed over the graph, as go list closes them; "package!" is a main.
func graph(lines ...string) module {
	m := module{Path: base}
	for _, line := range lines {
		name, imports, _ := strings.Cut(line, ":")
		name, isMain := strings.CutSuffix(name, "!")
		p := pkg{Path: base + "/" + name, Main: isMain}
		for _, path := range strings.Fields(imports) {
			p.Imports = append(p.Imports, strings.Replace(path, "./", base+"/", 1))
		}
		p.Files = map[string][]string{"one.go": p.Imports}
		m.Packages = append(m.Packages, p)
	}
	for i := range m.Packages {
		m.Packages[i].Deps = closure(m, m.Packages[i], map[string]bool{})
	}
	return m
}

// closure is what lies behind p's imports, p's imports included.
func closure(m module, p pkg, seen map[string]bool) []string {
	var deps []string
	for _, path := range p.Imports {
		if !seen[path] {
			seen[path] = true
			deps = append(append(deps, path), closure(m, m.find(path), seen)...)
		}
	}
	return deps
}

// Each rule can fail: a graph that breaks it is refused in its name, naming the
// package at fault and what to do.
func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	broken := map[string][]module{
		"backends are siblings": {
			graph("queue: ./streams"), graph("streams: ./queue"),
			graph("queue: ./internal/moves", "internal/moves: ./streams"), // through another
			graph("queue/lua: ./streams/group"),
		},
		"backends do not know the runtime": {
			graph("queue: ./framework"), graph("streams: ./framework/internal/engine"),
			graph("queue: ./framework/backend", "framework/backend: ./framework"),
		},
		"one place knows the backends":          {graph("framework/internal/engine: ./queue"), graph("cmd/worker!: ./streams"), graph("framework/command: ./queue/x")},
		"wire is a leaf":                        {graph("framework/wire: ./internal/keys")},
		"the contract knows wire alone":         {graph("framework/backend: ./internal/keys")},
		"the suite knows no backend":            {graph("framework/backend/backendtest: ./queue"), graph("framework/backend/backendtest: ./framework")},
		"engine knows backend and wire":         {graph("framework/internal/engine: ./scheduler"), graph("framework/internal/engine/beat: ./framework/redisclient")},
		"producer knows backend and wire":       {graph("framework/internal/producer: ./framework/internal/engine")},
		"scheduler stands alone":                {graph("scheduler: ./framework"), graph("scheduler: ./queue")},
		"locks stand alone":                     {graph("locks: ./framework/redisclient")},
		"locks need redsync and go-redis only":  {graph("locks: golang.org/x/sync/errgroup")},
		"the client opens connections only":     {graph("framework/redisclient: ./framework/backend/x ./locks")},
		"shared internals are below the rooms":  {graph("internal/moves: ./queue"), graph("internal/keys: ./framework/internal/producer")},
		"checks stand beside the backends":      {graph("internal/fsck: ./queue"), graph("internal/doctor: ./x", "x: ./framework")},
		"checks are for the commands":           {graph("framework: ./internal/fsck"), graph("queue: ./internal/doctor")},
		"plugins are chosen by mains":           {graph("framework: ./framework/plugins/log"), graph("framework/command: ./framework/plugins/exec")},
		"plugins do not know the commands":      {graph("framework/plugins/exec: ./framework/command"), graph("framework/plugins/log: ./framework/internal/engine")},
		"the embedded server is for first runs": {graph("framework: ./framework/embedded"), graph("cmd/worker!: ./framework/embedded")},
		"miniredis is behind embedded":          {graph("framework/frameworktest: github.com/alicebob/miniredis/v2")},
		"the library does not carry miniredis": {
			graph("framework: ./x", "x: github.com/alicebob/miniredis/v2/server"), graph("queue: github.com/alicebob/miniredis/v2"),
			graph("framework/redisclient: ./framework/embedded", "framework/embedded: github.com/alicebob/miniredis/v2"),
		},
		"flags are for commands":                    {graph("framework: github.com/urfave/cli/v2"), graph("examples/emails!: github.com/urfave/cli/v2")},
		"the library does not carry the commands":   {graph("framework/plugins/x: ./y", "y: github.com/urfave/cli/v2"), graph("framework: ./framework/command")},
		"the core knows the OpenTelemetry API only": {graph("framework: ./x", "x: go.opentelemetry.io/otel/sdk/trace"), graph("framework/command: github.com/prometheus/client_golang/prometheus")},
		"test libraries stay in tests":              {graph("queue: testing"), graph("framework: go.uber.org/goleak"), graph("locks: testing/synctest")},
		"test servers stay in tests":                {graph("framework/embedded: ./internal/redistest"), graph("queue: ./framework/backend/backendtest")},
		"one file knows the backends":               {twoFiles()},
		"no replace":                                {{Path: base, Replaced: []string{"example.org/other"}}},
	}
	for _, r := range rules {
		if broken[r.name] == nil {
			t.Errorf("rule %q has no graph here that breaks it", r.name)
		}
	}
	for name, graphs := range broken {
		for _, m := range graphs {
			if found := violations(m); !anyHas(found, "rule "+`"`+name+`": `) {
				t.Errorf("rule %q let %+v pass; found: %q", name, m.Packages, found)
			}
		}
	}
}

// twoFiles is a package framework in which two files import backends.
func twoFiles() module {
	m := graph("framework: ./queue ./streams")
	m.Packages[0].Files = map[string][]string{
		"backends.go": {base + "/queue", base + "/streams"}, "app.go": {base + "/queue"},
	}
	return m
}

func anyHas(messages []string, prefix string) bool {
	for _, message := range messages {
		if strings.HasPrefix(message, prefix) {
			return true
		}
	}
	return false
}

// The design's own graph passes, so no rule forbids what the design asks for.
func TestDesignPasses(t *testing.T) {
	t.Parallel()
	m := graph(
		"cmd/worker!: ./framework/command ./framework/plugins/log ./framework/plugins/exec go.opentelemetry.io/otel/sdk/trace",
		"cmd/enqueue!: ./framework/command",
		"examples/emails!: flag ./framework ./framework/embedded ./framework/plugins/log",
		"framework/command: github.com/urfave/cli/v2 ./framework ./framework/embedded",
		"framework: ./framework/internal/engine ./framework/internal/producer ./queue ./streams ./scheduler ./framework/redisclient "+
			"./framework/backend ./framework/wire go.opentelemetry.io/otel/trace",
		"framework/internal/engine: context ./framework/backend ./framework/wire golang.org/x/sync/errgroup",
		"framework/internal/producer: ./framework/backend ./framework/wire",
		"framework/internal/strictyaml: go.yaml.in/yaml/v4",
		"queue: ./framework/backend ./framework/wire ./internal/keys ./internal/moves ./internal/script github.com/redis/go-redis/v9",
		"streams: ./framework/backend ./framework/wire ./internal/keys ./internal/moves ./framework/redisclient",
		"scheduler: ./internal/keys",
		"locks: context ./internal/keys ./internal/script github.com/go-redsync/redsync/v4 github.com/redis/go-redis/v9",
		"framework/redisclient: github.com/redis/go-redis/v9 ./framework/internal/strictyaml",
		"framework/backend: ./framework/wire",
		"framework/backend/backendtest: testing ./framework/backend ./framework/wire ./internal/redistest",
		"framework/wire: encoding/json",
		"framework/middleware: ./framework ./locks",
		"framework/plugins/log: ./framework",
		"framework/plugins/exec: ./framework ./framework/plugins/exec/internal/argv",
		"framework/plugins/exec/internal/argv: github.com/google/shlex",
		"framework/embedded: github.com/alicebob/miniredis/v2",
		"framework/frameworktest: testing ./framework ./framework/embedded",
		"internal/moves: ./framework/wire ./internal/keys ./internal/script",
		"internal/redistest: testing os/exec",
	)
	for _, v := range violations(m) {
		t.Error(v)
	}
}

// Patterns name what they say and nothing that merely begins alike.
func TestPatterns(t *testing.T) {
	t.Parallel()
	m := module{Path: base}
	for _, c := range []struct {
		pattern string
		path    string
		want    bool
	}{
		{"queue", base + "/queue", true},
		{"queue", base + "/queue/x", false},
		{"queue/...", base + "/queue", true},
		{"queue/...", base + "/queues", false},
		{"a queue/...", base + "/queue/x/y", true},
		{"./...", base + "/anything", true},
		{"./...", base + "more", false},
		{"std", "net/http", true},
		{"std", base + "/x", false},
		{"std", "golang.org/x/sync", false},
		{"std:testing/...", "testing/synctest", true},
		{"std:testing/...", base + "/testing", false},
		{"github.com/a/b/...", "github.com/a/b/v2", true},
		{"github.com/a/b/...", "github.com/a/bc", false},
		{"", base + "/queue", false},
	} {
		if got := m.matches(c.pattern, pkg{Path: c.path}); got != c.want {
			t.Errorf("%q names %s: %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
}
