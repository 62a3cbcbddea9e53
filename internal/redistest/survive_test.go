package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// deathEnv makes TestChild start servers and end in the way it names.
const deathEnv = "REDISTEST_DEATH"

// TestChild is not a test of its own: TestNothingSurvives runs it in a process
// of its own.
func TestChild(t *testing.T) {
	how := os.Getenv(deathEnv)
	if how == "" {
		t.Skip("runs only as the child of TestNothingSurvives")
	}
	servers := []*redistest.Server{redistest.Standalone(t), redistest.Shared(t)}
	if how != "missing" {
		servers = append(servers, redistest.SharedCluster(t).Nodes...)
	}
	for _, s := range servers {
		fmt.Println("SERVER", s.PID(), s.Dir())
	}
	fmt.Println("STARTED")
	switch how {
	case "panic":
		panic("as asked")
	case "exit":
		os.Exit(3)
	case "fatal":
		t.Fatal("as asked")
	case "wait": // for SIGKILL, or for the time limit
		<-t.Context().Done()
	}
}

// However the test binary ends, no server of it is left, and no directory.
func TestNothingSurvives(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, how, timeout string
		kill               bool
	}{
		{"Normal", "return", "1m", false},
		{"Fatal", "fatal", "1m", false},
		{"Panic", "panic", "1m", false},
		{"Exit", "exit", "1m", false},
		{"Timeout", "wait", "4s", false},
		{"SIGKILL", "wait", "1m", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			child := child(t, c.how, c.timeout)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			servers := started(t, bufio.NewScanner(out))
			if c.kill {
				if err := child.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
			err = child.Wait()
			if want := c.how == "return"; (err == nil) != want {
				t.Errorf("the child ended with %v", err)
			}
			if len(servers) != 5 {
				t.Fatalf("the child started %d servers, want 5", len(servers))
			}
			for pid, dir := range servers {
				mustBeGone(t, pid, dir)
			}
		})
	}
}

func child(t *testing.T, how, timeout string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$", "-test.v", "-test.timeout="+timeout)
	cmd.Env = append(os.Environ(), deathEnv+"="+how)
	return cmd
}

// started reads the servers that the child names, until it says that all run.
func started(t *testing.T, out *bufio.Scanner) map[int]string {
	servers := map[int]string{}
	for out.Scan() && !strings.HasPrefix(out.Text(), "STARTED") {
		var pid int
		var dir string
		if _, err := fmt.Sscanf(out.Text(), "SERVER %d %s", &pid, &dir); err == nil {
			servers[pid] = dir
		}
	}
	if err := out.Err(); err != nil {
		t.Fatal(err)
	}
	return servers
}

// mustBeGone waits until neither the process nor the directory is there.
func mustBeGone(t *testing.T, pid int, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for tick := time.Tick(5 * time.Millisecond); ; <-tick {
		errPID := syscall.Kill(pid, 0)
		_, errDir := os.Stat(dir)
		if errors.Is(errPID, syscall.ESRCH) && os.IsNotExist(errDir) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("still there: process %d (%v), directory %s (%v)", pid, errPID, dir, errDir)
		}
	}
}

// Where redis-server is missing, the test fails, and says what to type.
func TestMissingServer(t *testing.T) {
	t.Parallel()
	cmd := child(t, "missing", "1m")
	cmd.Env = append(cmd.Env, "REDIS_SERVER=no-such-redis-server")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("the child passed without a server")
	}
	for _, want := range []string{"no-such-redis-server", "apt-get install -y redis-server", "REDIS_SERVER", "--- FAIL"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}
