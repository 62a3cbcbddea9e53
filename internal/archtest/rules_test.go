package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// rule forbids imports. Its fields but name and why are lists of patterns, parted
// by blanks: a path inside the module ("queue"), in another one ("github.com/…")
// or in the standard library ("std:testing"); with "/..." at its end it means
// everything below as well. "./..." is the whole module, "std" the standard
// library, "main" every package main, "*" all there is.
type rule struct {
	name   string
	who    string // the packages it is about
	except string // of these, not
	forbid string // must not import this
	allow  string // of that, may
	deep   bool   // nor have it behind anything they import
	why    string // what to do about it
}

const (
	everything = "./..."
	backends   = "queue/... streams/..."
	runtime    = "framework framework/internal/... framework/middleware/... framework/command/... " +
		"framework/plugins/... framework/frameworktest/... framework/embedded/..."
	testLibraries = "std:testing/... go.uber.org/goleak/... pgregory.net/rapid/... github.com/rogpeppe/go-internal/..."
	testPackages  = "framework/backend/backendtest/... framework/frameworktest/... internal/redistest/... internal/moves/movestest/..."
)

// rules is the import graph of the design.
var rules = []rule{
	{
		name: "backends are siblings", who: "queue/...", forbid: "streams/...", deep: true,
		why: "what both backends need belongs in internal/moves, internal/keys or framework/backend",
	},
	{
		name: "backends are siblings", who: "streams/...", forbid: "queue/...", deep: true,
		why: "what both backends need belongs in internal/moves, internal/keys or framework/backend",
	},
	{
		name: "backends do not know the runtime", who: backends, forbid: runtime, deep: true,
		allow: "framework/internal/strictyaml/...", // behind redisclient; knows nothing itself
		why:   "a backend implements framework/backend and speaks framework/wire; what it needs of the runtime must be passed in",
	},
	{
		name: "one place knows the backends", who: everything, except: "framework " + backends, forbid: backends,
		why: "take a backend.Queue, or let package framework choose; only framework opens backends by name",
	},
	{
		name: "wire is a leaf", who: "framework/wire/...", forbid: everything, allow: "framework/wire/...",
		why: "wire is the vocabulary that everything else shares: move what needs more to where it is needed",
	},
	{
		name: "the contract knows wire alone", who: "framework/backend", forbid: everything, allow: "framework/wire",
		why: "the contract must not lean on a backend or on the runtime",
	},
	{
		name: "the suite knows no backend", who: "framework/backend/backendtest/...", forbid: backends + " " + runtime, deep: true,
		why: "backendtest gets its backend from the test that calls it",
	},
	{
		name: "engine knows backend and wire", who: "framework/internal/engine/...", forbid: everything,
		allow: "framework/internal/engine/... framework/backend framework/wire",
		why:   "the engine works with any backend: pass it what it needs as a function or an interface of its own",
	},
	{
		name: "producer knows backend and wire", who: "framework/internal/producer/...", forbid: everything,
		allow: "framework/internal/producer/... framework/backend framework/wire",
		why:   "the producer works with any backend: pass it what it needs as a function or an interface of its own",
	},
	{
		name: "scheduler stands alone", who: "scheduler/...", forbid: runtime + " " + backends, deep: true,
		why: "the scheduler declares its own Enqueuer; framework passes its producer in",
	},
	{
		name: "locks stand alone", who: "locks/...", forbid: everything,
		allow: "locks/... internal/keys internal/script",
		why:   "locks are usable without the framework: redsync and go-redis, and of this module internal/keys and internal/script",
	},
	{
		name: "locks need redsync and go-redis only", who: "locks/...", forbid: "*",
		allow: "std ./... github.com/go-redsync/redsync/v4/... github.com/redis/go-redis/v9/...",
		why:   "whoever wants a lock should not get other modules with it",
	},
	{
		name: "the client opens connections only", who: "framework/redisclient/...", forbid: runtime + " " + backends + " locks/... scheduler/...",
		allow: "framework/internal/strictyaml/...",
		why:   "redisclient is below everything that uses Redis; the caller passes in what it should do",
	},
	{
		name: "shared internals are below the rooms", who: "internal/keys/... internal/script/... internal/moves/...",
		forbid: runtime + " " + backends + " locks/... scheduler/...", deep: true,
		why: "keys, scripts and moves are what the backends are made of; they cannot know who uses them",
	},
	{
		name: "checks stand beside the backends", who: "internal/fsck/... internal/doctor/...", forbid: runtime + " " + backends + " locks/... scheduler/...", deep: true,
		allow: "framework/internal/strictyaml/...", // behind redisclient; knows nothing itself
		why:   "who checks the backends' work must not do it by their code: keys, moves' fragments and scripts of its own",
	},
	{
		name: "checks are for the commands", who: everything, except: "internal/fsck/... internal/doctor/... framework/command/...", forbid: "internal/fsck/... internal/doctor/...",
		why: "neither a worker nor a producer looks after itself: call them from framework/command or a _test.go file",
	},
	{
		name: "plugins are chosen by mains", who: everything, except: "main framework/plugins/...", forbid: "framework/plugins/...",
		why: "blank-import the plugin in the plugins.go of a main package; look others up by name in the registry",
	},
	{
		name: "plugins do not know the commands", who: "framework/plugins/...", forbid: "framework/command/... framework/internal/... " + backends,
		allow: "framework/internal/strictyaml/...",
		why:   "a plugin is written against package framework, as anyone's own plugin is",
	},
	{
		name: "the embedded server is for first runs", who: everything,
		except: "framework/embedded/... framework/command/... framework/frameworktest/... examples/...", forbid: "framework/embedded/...",
		why: "workers and producers of users must not link miniredis: let framework/command start it, or use it in a _test.go file",
	},
	{
		name: "miniredis is behind embedded", who: everything, except: "framework/embedded/... internal/redistest/...",
		forbid: "github.com/alicebob/miniredis/...",
		why:    "use framework/embedded",
	},
	{
		name:   "the library does not carry miniredis",
		who:    "framework framework/internal/... framework/middleware/... framework/plugins/... framework/redisclient/... framework/backend scheduler/... locks/... " + backends,
		forbid: "github.com/alicebob/miniredis/...", deep: true,
		why: "a bare producer would link it: import framework/embedded in framework/command, examples and tests only",
	},
	{
		name: "flags are for commands", who: everything, except: "framework/command/... cmd/...",
		forbid: "github.com/urfave/cli/...",
		why:    "keep flags and exit codes in framework/command; examples take theirs from the flag package",
	},
	{
		name: "the library does not carry the commands", who: everything,
		except: "framework/command/... cmd/... main framework/frameworktest/...", forbid: "github.com/urfave/cli/... framework/command/...", deep: true,
		why: "nothing but a main imports framework/command",
	},
	{
		name: "the core knows the OpenTelemetry API only", who: everything, except: "cmd/...",
		forbid: "go.opentelemetry.io/otel/sdk/... go.opentelemetry.io/otel/exporters/... github.com/prometheus/...", deep: true,
		why: "SDK and exporters are chosen by the program: set them up in cmd",
	},
	{
		name: "test libraries stay in tests", who: everything, except: testPackages, forbid: testLibraries,
		why: "move it to a _test.go file, or to one of the packages made for tests",
	},
	{
		name: "test servers stay in tests", who: everything, except: testPackages, forbid: "internal/redistest/... framework/backend/backendtest/...",
		why: "import it from a _test.go file",
	},
}

// violations are all that is wrong in m, one message each.
func violations(m module) []string {
	var found []string
	for _, r := range rules {
		for _, p := range m.Packages {
			found = append(found, r.check(m, p)...)
		}
	}
	found = append(found, oneFileKnowsBackends(m)...)
	for _, path := range m.Replaced {
		found = append(found, fmt.Sprintf("rule %q: go.mod replaces %s: it breaks `go install …@latest`; require a version instead", "no replace", path))
	}
	return found
}

// check holds one package against the rule.
func (r rule) check(m module, p pkg) []string {
	if !m.matches(r.who, p) || m.matches(r.except, p) {
		return nil
	}
	imports, verb := p.Imports, "imports"
	if r.deep {
		imports, verb = p.Deps, "has behind it"
	}
	var found []string
	for _, path := range imports {
		dep := m.find(path)
		if m.matches(r.forbid, dep) && !m.matches(r.allow, dep) {
			found = append(found, fmt.Sprintf("rule %q: %s %s %s: %s", r.name, p.Path, verb, path, r.why))
		}
	}
	return found
}

// oneFileKnowsBackends looks inside package framework, where both backends meet.
func oneFileKnowsBackends(m module) []string {
	var files []string
	for name, imports := range m.find(m.Path + "/framework").Files {
		knows := func(path string) bool { return m.matches(backends, pkg{Path: path}) }
		if slices.ContainsFunc(imports, knows) {
			files = append(files, name)
		}
	}
	if len(files) <= 1 {
		return nil
	}
	slices.Sort(files)
	return []string{fmt.Sprintf("rule %q: %s import backends: leave that to one of them, and give the others a backend.Queue",
		"one file knows the backends", strings.Join(files, " and "))}
}

// find returns the package of that path; all that is known of one from outside
// is its path.
func (m module) find(path string) pkg {
	i := slices.IndexFunc(m.Packages, func(p pkg) bool { return p.Path == path })
	if i < 0 {
		return pkg{Path: path}
	}
	return m.Packages[i]
}

// matches reports whether one of the patterns names p.
func (m module) matches(patterns string, p pkg) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(pattern string) bool { return m.matchesOne(pattern, p) })
}

func (m module) matchesOne(pattern string, p pkg) bool {
	switch pattern {
	case "*":
		return true
	case "main":
		return p.Main
	case "std":
		return !m.inside(p.Path) && !hasDomain(p.Path)
	case everything:
		return m.inside(p.Path)
	}
	pattern, isStd := strings.CutPrefix(pattern, "std:")
	if !isStd && !hasDomain(pattern) {
		pattern = m.Path + "/" + pattern
	}
	tree, below := strings.CutSuffix(pattern, "/...")
	return p.Path == tree || below && strings.HasPrefix(p.Path, tree+"/")
}

// hasDomain tells the path of somebody's module from a bare one.
func hasDomain(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// inside reports whether path belongs to the module.
func (m module) inside(path string) bool {
	return path == m.Path || strings.HasPrefix(path, m.Path+"/")
}
