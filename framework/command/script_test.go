package command_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/colonyq/colony/framework/command"
	"github.com/colonyq/colony/internal/redistest"

	_ "github.com/colonyq/colony/framework/plugins/exec"
	_ "github.com/colonyq/colony/framework/plugins/log"
	_ "github.com/colonyq/colony/framework/plugins/timeout"
)

// patience is how long anything may take before a test gives it up.
const patience = 60 * time.Second

// TestMain makes the programs of this test binary: whoever runs worker or
// enqueue, by script or by os/exec, gets a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(servers{m}, map[string]func(){
		"worker":   func() { os.Exit(command.Main(command.Worker(), os.Args)) },
		"enqueue":  func() { os.Exit(command.Main(command.Enqueue(), os.Args)) },
		"holdlock": func() { os.Exit(holdLock(os.Args[1])) },
	})
}

type servers struct{ m *testing.M }

func (s servers) Run() int { return redistest.Main(s.m) }

// noRaceSleep spares every process of a test the second for which the race
// detector waits at its end, in case somebody still has something to report.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// The programs do what docs/cli.md says, the same on every kind of Redis.
func TestScripts(t *testing.T) {
	redistest.Each(t, runScripts)
	redistest.EachSentinel(t, runScripts)
}

func runScripts(t *testing.T, target redistest.Target) {
	p := params("testdata/anywhere", func(e *testscript.Env) error {
		e.Setenv("COLONY_NAMESPACE", redistest.Namespace(t))
		for _, kv := range redisEnv(target) {
			name, value, _ := strings.Cut(kv, "=")
			e.Setenv(name, value)
		}
		return nil
	})
	p.Cmds["redis"] = raw(target)
	testscript.Run(t, p)
}

// raw makes the command redis COMMAND KEY ARGS…: it is sent as it is, with the
// namespace before the key.
func raw(target redistest.Target) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: redis COMMAND KEY [ARGS...]")
		}
		words := []any{args[0], ts.Getenv("COLONY_NAMESPACE") + ":" + args[1]}
		for _, a := range args[2:] {
			words = append(words, a)
		}
		ts.Check(target.Client.Do(context.Background(), words...).Err())
	}
}

// What needs no Redis, or one of a particular sort.
func TestScriptsAlone(t *testing.T) {
	testscript.Run(t, params("testdata/alone", func(e *testscript.Env) error {
		locked := redistest.StandaloneWith(t, redistest.Options{Password: "secret"})
		e.Setenv("LOCKED_URL", strings.Replace(locked.URL(), ":secret@", "", 1))
		e.Setenv("LOCKED_ADDR", locked.Addr())
		e.Setenv("CLUSTER_URL", redistest.SharedCluster(t).Nodes[0].URL())
		e.Setenv("STANDALONE_URL", redistest.Shared(t).URL())
		e.Setenv("FREE_ADDR", freeAddr(t))
		kept := redistest.StandaloneWith(t, redistest.Options{AOF: true})
		e.Setenv("KEPT_URL", kept.URL())
		e.Setenv("KEPT_ADDR", kept.Addr())
		return nil
	}))
}

// redisEnv is how a process reaches the target.
func redisEnv(target redistest.Target) []string {
	if target.Master != "" {
		return []string{
			"COLONY_REDIS_SENTINEL_MASTER=" + target.Master,
			"COLONY_REDIS_SENTINEL_ADDRESSES=" + strings.Join(target.Addrs, ","),
		}
	}
	return []string{
		"COLONY_REDIS_URL=" + target.URL,
		"COLONY_REDIS_IS_COLONY=" + strconv.FormatBool(target.Name == "cluster"),
	}
}

func params(dir string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			name, value, _ := strings.Cut(noRaceSleep, "=")
			e.Setenv(name, value)
			return setup(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"eventually": eventually,
		},
	}
}

// exits CODE PROGRAM ARGS…: the program ends with this very code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := code(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func code(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// eventually PATTERN PROGRAM ARGS…: sooner or later the program prints a match.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM [ARGS...]")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %s within %s; last: %v", want, patience, err)
		}
	}
}

// freeAddr is an address where nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
