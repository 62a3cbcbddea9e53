// Package exec is the plugin "exec": it runs one process per job, in any
// language. The payload's bytes are the process' standard input; what it is
// about stands in its environment; its exit code is the verdict.
//
//	handlers:
//	  email.send: {plugin: exec, with: {command: [./send-email, --fast]}}
//
//	worker run --handler 'email.send=exec:./send-email --fast'
//
// # Verdicts
//
//   - exit 0: done.
//   - exit 65 (EX_DATAERR): dead. The job will never work; it is not tried again.
//   - exit 75 (EX_TEMPFAIL): not now. Snoozed for not_now_after, no attempt counted.
//   - anything else, also death by a signal: a failure, retried with growing
//     delays. The last 4 KiB of standard error go into the job's error history.
//
// # Environment
//
// The worker's own environment, then with.env, then COLONY_JOB_ID,
// COLONY_JOB_KIND, COLONY_JOB_QUEUE, COLONY_JOB_ATTEMPT, COLONY_JOB_MAX_ATTEMPTS,
// and COLONY_JOB_HEADER_<NAME> for each header, its name in capitals with _ for
// whatever is not a letter or digit. COLONY_REDIS_URL and COLONY_NAMESPACE (on a
// cluster COLONY_REDIS_IS_COLONY too) are as the worker resolved them, so that
// `enqueue` inside a job reaches the same place.
//
// # Output
//
// Both outputs of the process go to the worker's standard error, whole lines
// only, each behind "KIND ID: ". Standard output is left to plugins that print
// data.
//
// # The end
//
// Each process leads a process group of its own. When the run's context ends
// (timeout, cancel, lost lease, shutdown) the group gets SIGTERM, and SIGKILL
// five seconds later (1.5 when the worker stops or lost the job); the exit code
// still counts, so a process may use the time to finish. Ctrl-C in the worker's terminal does not reach it. What a
// process leaves running behind it is its own affair after a normal exit, and
// holds the slot for at most those five seconds when it kept an output open.
// A worker that is killed outright (kill -9) cannot end its processes: they may
// still run when another worker starts the job again.
package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/shlex"

	"github.com/colonyq/colony/framework"
)

const (
	defaultNotNow = 30 * time.Second
	killGrace     = 5 * time.Second
	hurriedGrace  = 1500 * time.Millisecond
)

func init() {
	framework.Register(framework.Plugin{
		Name:    "exec",
		Summary: "runs one process per job: payload on stdin, verdict by exit code",
		New:     func() any { return New() },
	})
}

// Exec is the plugin and its config.
type Exec struct {
	// Command is the program and its arguments, as they are: no shell. A program
	// without a slash is looked up in PATH, one with a slash stands relative to Dir.
	Command []string `yaml:"command"`
	// Dir is where the process runs; "" is the worker's own directory.
	Dir string `yaml:"dir"`
	// Env is added to the worker's environment.
	Env map[string]string `yaml:"env"`
	// NotNowAfter is how long a job is put off when its process exits 75. Default 30s.
	NotNowAfter time.Duration `yaml:"not_now_after"`

	path    string   // of the program, absolute
	base    []string // environment that all jobs share
	grace   time.Duration
	output  io.Writer // worker's standard error
	outLock sync.Mutex
	running groups
}

// New returns an Exec with its defaults.
func New() *Exec {
	return &Exec{NotNowAfter: defaultNotNow, grace: killGrace, output: os.Stderr}
}

// SetArgument takes the command from --handler KIND=exec:ARG. ARG is split into
// words as a shell would (quotes, backslashes), but nothing is expanded.
func (e *Exec) SetArgument(arg string) error {
	if len(e.Command) > 0 {
		return errors.New("the command stands in with.command already; give it once")
	}
	words, err := shlex.Split(arg)
	if err != nil {
		return fmt.Errorf("split %q into words: %w", arg, err)
	}
	e.Command = words
	return nil
}

// Provision looks the command up, so that a missing one is an error at start
// and not one of every job.
func (e *Exec) Provision(_ context.Context, env *framework.Env) error {
	if len(e.Command) == 0 || e.Command[0] == "" {
		return errors.New("no command; name it, as in --handler 'KIND=exec:./run-job' or with: {command: [./run-job]}")
	}
	path, err := lookPath(e.Dir, e.Command[0])
	if err != nil {
		return err
	}
	e.path, e.base = path, baseEnv(os.Environ(), e.Env, env.Config)
	return nil
}

// Validate reports options that cannot work.
func (e *Exec) Validate() error {
	var errs []error
	if e.NotNowAfter <= 0 {
		errs = append(errs, fmt.Errorf("not_now_after: must be more than 0, got %s", e.NotNowAfter))
	}
	for k := range e.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") {
			errs = append(errs, fmt.Errorf("env: %q cannot be the name of an environment variable", k))
		}
	}
	return errors.Join(errs...)
}

// Cleanup kills what is left: processes of jobs that the worker gave up
// waiting for.
func (e *Exec) Cleanup() error {
	e.running.kill()
	return nil
}

// lookPath finds the program as the process itself would see it: relative to dir.
func lookPath(dir, name string) (string, error) {
	at := name
	if dir != "" && strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		at = filepath.Join(dir, name)
		if !filepath.IsAbs(at) {
			at = "." + string(filepath.Separator) + at // still a path, not a name to look up
		}
	}
	path, err := exec.LookPath(at)
	if err != nil {
		return "", fmt.Errorf("command %q cannot be run: %w", name, unwrapExec(err))
	}
	return filepath.Abs(path)
}

// unwrapExec drops the command's name from the error: the caller has said it.
func unwrapExec(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
