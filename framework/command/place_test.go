//go:build unix

package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/internal/redistest"
)

// place is a namespace on a Redis, and a directory, in which a test runs
// programs.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T, redis ...string) *place {
	p := &place{t: t, dir: t.TempDir()}
	p.env = append(os.Environ(), append(redis, noRaceSleep, "COLONY_NAMESPACE="+redistest.Namespace(t), "DIR="+p.dir)...)
	return p
}

// process is a program at work. It is killed when the test ends.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout locked
	stderr locked
	done   chan struct{}
}

func (p *place) start(program string, args ...string) *process {
	p.t.Helper()
	x := &process{t: p.t, cmd: exec.Command(program, args...), done: make(chan struct{})}
	x.cmd.Dir, x.cmd.Env, x.cmd.Stdout, x.cmd.Stderr = p.dir, p.env, &x.stdout, &x.stderr
	// Children of a killed worker may hold its outputs for as long as they like.
	x.cmd.WaitDelay = time.Second
	var err error
	if x.stdin, err = x.cmd.StdinPipe(); err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	go func() { // ends with the process, which Cleanup kills
		defer close(x.done)
		_ = x.cmd.Wait() // the exit code is looked at by exits
	}()
	p.t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.done
		if p.t.Failed() {
			p.t.Logf("%s:\n%s%s", x.cmd, x.stdout.String(), x.stderr.String())
		}
	})
	return x
}

func (x *process) signal(s os.Signal) {
	x.t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil {
		x.t.Fatal(err)
	}
}

// exits waits for the end and checks the exit code.
func (x *process) exits(want int) {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		x.t.Fatalf("%s still runs after %s", x.cmd, patience)
	}
	if got := x.cmd.ProcessState.ExitCode(); got != want {
		x.t.Fatalf("%s: %s, want exit code %d", x.cmd, x.cmd.ProcessState, want)
	}
}

// run runs a program to its end and returns its output.
func (p *place) run(program string, args ...string) string {
	p.t.Helper()
	x := p.start(program, args...)
	x.exits(0)
	return x.stdout.String()
}

// enqueue enqueues n jobs and returns their ids, sorted.
func (p *place) enqueue(n int) []string {
	p.t.Helper()
	file := filepath.Join(p.dir, "jobs.ndjson")
	if err := os.WriteFile(file, bytes.Repeat([]byte("{\"kind\": \"k\"}\n"), n), 0o644); err != nil {
		p.t.Fatal(err)
	}
	ids := strings.Fields(p.run("enqueue", "--file", file))
	slices.Sort(ids)
	return ids
}

func (p *place) stats() framework.Counts {
	p.t.Helper()
	var s struct{ Queues map[string]framework.Counts }
	if err := json.Unmarshal([]byte(p.run("worker", "stats", "-o", "json")), &s); err != nil {
		p.t.Fatal(err)
	}
	return s.Queues["default"]
}

// ran are the jobs that handlers noted in a file as "ID ATTEMPT", sorted.
func (p *place) ran(file string) []string {
	b, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	slices.Sort(lines)
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// until waits for a condition.
func (p *place) until(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// firstAttempts is what ran must show when each job ran once and none counted an
// attempt before.
func firstAttempts(ids []string) []string {
	lines := make([]string, len(ids))
	for i, id := range ids {
		lines[i] = id + " 1"
	}
	return lines
}

type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// noting is a handler that notes its job in a file and then does what follows.
func noting(file, then string) string {
	return fmt.Sprintf(`k=exec:sh -c 'echo "$COLONY_JOB_ID $COLONY_JOB_ATTEMPT" >>"$DIR"/%s; %s'`, file, then)
}

// untilGo keeps a job running until the test says go.
const untilGo = `while [ ! -e "$DIR"/go ]; do sleep 0.05; done`

func (p *place) sayGo() {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) namespace() string {
	for _, kv := range slices.Backward(p.env) {
		if name, ok := strings.CutPrefix(kv, "COLONY_NAMESPACE="); ok {
			return name
		}
	}
	p.t.Fatal("the place has no namespace")
	return ""
}
