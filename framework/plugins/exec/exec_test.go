//go:build unix

package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
)

var errStop = errors.New("asked to stop")

// start provisions a plugin as the worker would and collects what its processes say.
func start(t *testing.T, command ...string) (*Exec, *syncBuffer) {
	t.Helper()
	e, out := New(), &syncBuffer{}
	e.Command, e.output = command, out
	provision(t, e)
	return e, out
}

func provision(t *testing.T, e *Exec) {
	t.Helper()
	cfg := framework.Config{Namespace: "ns", Redis: redisclient.Config{URL: "redis://example.org:7/1"}}
	if err := e.Provision(t.Context(), &framework.Env{Config: cfg}); err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Cleanup() })
}

func sh(t *testing.T, script string) (*Exec, *syncBuffer) {
	return start(t, "/bin/sh", "-c", script)
}

func job(payload string) *framework.Delivery {
	return &framework.Delivery{ID: "01A", Kind: "k", Queue: "q", Attempt: 2, MaxAttempts: 5, Payload: []byte(payload)}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The exit code is the verdict: 0 done, 65 dead, 75 not now, else a failure that
// carries what the process said last.
func TestExitCodeIsTheVerdict(t *testing.T) {
	for code, check := range map[int]func(error) bool{
		0:  func(err error) bool { return err == nil },
		65: func(err error) bool { _, ok := errors.AsType[*framework.DeadError](err); return ok },
		75: func(err error) bool { _, ok := errors.AsType[*framework.SnoozeError](err); return ok },
		1:  plainFailure,
		64: plainFailure,
	} {
		e, _ := sh(t, fmt.Sprintf("echo no such mailbox >&2; exit %d", code))
		err := e.Handle(t.Context(), job("null"))
		if !check(err) {
			t.Errorf("exit %d: got %#v", code, err)
		}
		if code != 0 && code != 75 && !strings.Contains(err.Error(), "no such mailbox") {
			t.Errorf("exit %d: %q does not say what the process said", code, err)
		}
	}
}

func plainFailure(err error) bool {
	_, dead := errors.AsType[*framework.DeadError](err)
	_, snooze := errors.AsType[*framework.SnoozeError](err)
	return err != nil && !dead && !snooze
}

// A process killed by somebody else has failed, whatever it had written.
func TestDeathBySignalIsAFailure(t *testing.T) {
	e, _ := sh(t, "kill -KILL $$")
	err := e.Handle(t.Context(), job("null"))
	if !plainFailure(err) || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("got %v, want a failure that names the signal", err)
	}
}

// Of a long error output, the last 4 KiB are kept, and only those.
func TestErrorKeepsTheTail(t *testing.T) {
	e, _ := sh(t, `i=0; while [ $i -lt 3000 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 1`)
	err := e.Handle(t.Context(), job("null"))
	if err == nil || !strings.HasSuffix(err.Error(), "line 2999") {
		t.Fatalf("error does not end with the last line: %v", err)
	}
	if n := len(err.Error()); n < tailBytes-100 || n > tailBytes+100 {
		t.Errorf("error of %d bytes, want about %d", n, tailBytes)
	}
}

// The payload reaches the process byte for byte, large and binary, and a process
// that never reads it is no failure.
func TestPayloadIsStandardInput(t *testing.T) {
	payload := make([]byte, 3<<20)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	e, _ := sh(t, "cat >"+copied)
	if err := e.Handle(t.Context(), job(string(payload))); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(copied)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("process read %d bytes (%v), want the same %d", len(got), err, len(payload))
	}
	e, _ = sh(t, "exit 0")
	if err := e.Handle(t.Context(), job(string(payload))); err != nil {
		t.Errorf("process that did not read its input: %v", err)
	}
}

// The process learns from its environment which job it runs and where Redis is,
// and nothing of a job that the worker itself may run in.
func TestEnvironment(t *testing.T) {
	t.Setenv("COLONY_JOB_HEADER_STALE", "x")
	t.Setenv("FROM_WORKER", "yes")
	e, out := New(), &syncBuffer{}
	e.Command, e.output = []string{"env"}, out
	e.Env = map[string]string{"FROM_CONFIG": "a b"}
	provision(t, e)
	d := job("null")
	d.Headers = map[string]string{"trace-Id.1": "42", "über": "ü"}
	if err := e.Handle(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"COLONY_JOB_ID=01A", "COLONY_JOB_KIND=k", "COLONY_JOB_QUEUE=q", "COLONY_JOB_ATTEMPT=2", "COLONY_JOB_MAX_ATTEMPTS=5",
		"COLONY_JOB_HEADER_TRACE_ID_1=42", "COLONY_JOB_HEADER__BER=ü",
		"COLONY_REDIS_URL=redis://example.org:7/1", "COLONY_NAMESPACE=ns", "FROM_CONFIG=a b", "FROM_WORKER=yes",
	} {
		if !strings.Contains(out.String(), "k 01A: "+want+"\n") {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "STALE") {
		t.Error("a variable of another job came through")
	}
}

// A header that no environment can carry kills its job; retries would not help.
func TestHeaderWithNULIsDead(t *testing.T) {
	e, _ := sh(t, "exit 0")
	d := job("null")
	d.Headers = map[string]string{"h": "a\x00b"}
	err := e.Handle(t.Context(), d)
	if _, ok := errors.AsType[*framework.DeadError](err); !ok {
		t.Errorf("got %v, want dead", err)
	}
}

// When the run's context ends, everybody in the group ends: the leader, children
// in the background, and those that ignore SIGTERM (after the grace).
func TestWholeGroupEnds(t *testing.T) {
	for name, trap := range map[string]string{"obeys": "", "ignores": `trap "" TERM;`} {
		t.Run(name, func(t *testing.T) {
			e, out := sh(t, trap+`sleep 1000 & sleep 1000 & echo $$ $! ; wait; wait`)
			e.grace = 300 * time.Millisecond
			ctx, cancel := context.WithCancelCause(t.Context())
			result := make(chan error, 1)
			go func() { result <- e.Handle(ctx, job("null")) }()
			pids := readPids(t, out)
			cancel(errStop)
			if err := <-result; !errors.Is(err, errStop) {
				t.Errorf("error %v does not carry the cause", err)
			}
			for _, pid := range pids {
				eventually(t, func() bool { return gone(pid) }, "process %d still runs", pid)
			}
		})
	}
}

// A process that uses the time after SIGTERM to finish has its word counted.
func TestExitCodeCountsAfterSIGTERM(t *testing.T) {
	e, out := sh(t, `trap "exit 75" TERM; echo $$ $$; while :; do sleep 0.05; done`)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { result <- e.Handle(ctx, job("null")) }()
	readPids(t, out)
	cancel(errStop)
	if _, ok := errors.AsType[*framework.SnoozeError](<-result); !ok {
		t.Error("exit 75 after SIGTERM was not taken as: not now")
	}
}

// A grandchild that keeps the output open does not hold the slot.
func TestGrandchildDoesNotHoldTheSlot(t *testing.T) {
	e, out := sh(t, `sleep 1000 & echo $$ $!`)
	e.grace = 100 * time.Millisecond
	result := make(chan error, 1)
	go func() { result <- e.Handle(t.Context(), job("null")) }()
	select {
	case err := <-result:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("Handle waits for the grandchild")
	}
	_ = syscall.Kill(readPids(t, out)[1], syscall.SIGKILL)
}

// Cleanup ends processes whose jobs the worker gave up waiting for.
func TestCleanupKills(t *testing.T) {
	e, out := sh(t, `echo $$ $$; exec sleep 1000`)
	result := make(chan error, 1)
	go func() { result <- e.Handle(t.Context(), job("null")) }()
	readPids(t, out)
	if err := e.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !plainFailure(err) {
		t.Errorf("got %v, want a failure", err)
	}
}

// A command that is not there, or that cannot be run, is an error at start that
// names it; so is no command at all.
func TestMissingCommandIsAnErrorAtStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("not executable"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"no-such-command-anywhere", "./no-such-file", plain} {
		e := New()
		e.Command = []string{command}
		err := e.Provision(t.Context(), &framework.Env{})
		if err == nil || !strings.Contains(err.Error(), strconv.Quote(command)) {
			t.Errorf("%s: got %v, want an error that names it", command, err)
		}
	}
	if err := New().Provision(t.Context(), &framework.Env{}); err == nil {
		t.Error("no command: no error")
	}
}

// A command with a slash stands relative to dir, where the process runs.
func TestCommandIsRelativeToDir(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nexec pwd\n"
	if err := os.WriteFile(filepath.Join(dir, "here"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	e, out := New(), &syncBuffer{}
	e.Command, e.Dir, e.output = []string{"./here"}, dir, out
	provision(t, e)
	if err := e.Handle(t.Context(), job("null")); err != nil {
		t.Fatal(err)
	}
	if real, _ := filepath.EvalSymlinks(dir); out.String() != "k 01A: "+real+"\n" {
		t.Errorf("ran in %q, want %s", out, real)
	}
}

// ARG is split as a shell would split it, and nothing in it is expanded.
func TestArgumentIsSplitIntoWords(t *testing.T) {
	e := New()
	if err := e.SetArgument(`printf '%s|' "two words" $HOME a\ b '*'`); err != nil {
		t.Fatal(err)
	}
	out := &syncBuffer{}
	e.output = out
	provision(t, e)
	if err := e.Handle(t.Context(), job("null")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "k 01A: two words|$HOME|a b|*|\n" {
		t.Errorf("got %q", got)
	}
	if err := New().SetArgument(`say "hello`); err == nil {
		t.Error("an open quote was accepted")
	}
	if err := e.SetArgument("other"); err == nil {
		t.Error("a second command was accepted")
	}
}

// Lines of processes that run side by side do not mix, and a last line without
// an end is not lost.
func TestOutputIsWholeLines(t *testing.T) {
	e, out := sh(t, `i=0; while [ $i -lt 50 ]; do printf abc; printf 'def\n' ; i=$((i+1)); done; printf end`)
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			if err := e.Handle(t.Context(), job("null")); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	count := map[string]int{}
	for l := range strings.Lines(out.String()) {
		count[l]++
	}
	if len(count) != 2 || count["k 01A: abcdef\n"] != 200 || count["k 01A: end\n"] != 4 {
		t.Errorf("got lines %v", count)
	}
}

// Options that cannot work are refused at start, by name, all at once.
func TestValidate(t *testing.T) {
	e := New()
	e.NotNowAfter, e.Env = -1, map[string]string{"A=B": ""}
	err := e.Validate()
	if err == nil || !strings.Contains(err.Error(), "not_now_after") || !strings.Contains(err.Error(), "A=B") {
		t.Errorf("got %v, want both problems", err)
	}
}

// readPids waits for the first line and returns the numbers in it.
func readPids(t *testing.T, out *syncBuffer) []int {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(out.String(), "\n") }, "process says nothing")
	var pids []int
	for _, f := range strings.Fields(out.String())[2:] {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// gone reports whether a process ended; one that nobody has waited for yet has.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

func eventually(t *testing.T, ok func() bool, format string, args ...any) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf(format, args...)
		}
	}
}
