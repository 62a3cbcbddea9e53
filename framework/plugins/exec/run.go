package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/colonyq/colony/framework"
)

// Exit codes with a meaning, from BSD's sysexits.h.
const (
	exitDead   = 65 // EX_DATAERR
	exitNotNow = 75 // EX_TEMPFAIL
)

// Handle runs the process of one job and waits for its end.
func (e *Exec) Handle(ctx context.Context, d *framework.Delivery) error {
	env, err := jobEnv(e.base, d)
	if err != nil {
		return err
	}
	out, errOut := e.newLines(d), e.newLines(d)
	tail := &tailWriter{next: errOut}
	cmd := e.command(ctx, env, d.Payload)
	cmd.Stdout, cmd.Stderr = out, tail
	if err := e.run(ctx, cmd); err != nil {
		return err
	}
	out.flush()
	errOut.flush()
	return e.verdict(ctx, cmd.ProcessState, tail)
}

// command is the process, not yet started. With a Cancel of its own, os/exec
// signals the group instead of killing the leader. WaitDelay bounds the time for
// which a grandchild that kept a pipe open can hold the slot.
func (e *Exec) command(ctx context.Context, env []string, stdin []byte) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.path)
	cmd.Args = append([]string{e.Command[0]}, e.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = e.Dir, env, bytes.NewReader(stdin)
	cmd.Cancel = func() error { return e.end(ctx, cmd.Process) }
	cmd.WaitDelay = e.grace
	ownGroup(cmd)
	return cmd
}

// end asks the group to end and sees to it that it does. A worker that stops
// leaves its handlers behind after two seconds, and of a lost job another run
// may have begun: there the grace is shorter. The timer needs no stopping: what
// it would do late, run has done by then.
func (e *Exec) end(ctx context.Context, p *os.Process) error {
	grace := e.grace
	if cause := context.Cause(ctx); errors.Is(cause, framework.ErrShutdown) || errors.Is(cause, framework.ErrLeaseLost) {
		grace = min(grace, hurriedGrace)
	}
	time.AfterFunc(grace, func() { e.running.killOne(p) })
	return terminate(p)
}

// run returns an error only when there is no exit code to judge by.
func (e *Exec) run(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", e.Command[0], errors.Join(err, context.Cause(ctx)))
	}
	e.running.add(cmd.Process)
	defer e.running.remove(cmd.Process)
	err := cmd.Wait()
	if ctx.Err() != nil {
		killGroup(cmd.Process) // whoever of the group ignored SIGTERM
	}
	if cmd.ProcessState == nil {
		return fmt.Errorf("wait for %s: %w", e.Command[0], err)
	}
	return nil
}

// verdict turns the exit code into what the runtime understands.
func (e *Exec) verdict(ctx context.Context, s *os.ProcessState, tail *tailWriter) error {
	switch code := s.ExitCode(); code {
	case 0:
		return nil
	case exitDead:
		return framework.Dead(e.failure(s, tail))
	case exitNotNow:
		return framework.Snooze(e.NotNowAfter)
	}
	err := e.failure(s, tail)
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (e *Exec) failure(s *os.ProcessState, tail *tailWriter) error {
	said := strings.TrimSpace(strings.ToValidUTF8(tail.String(), "\uFFFD"))
	if said == "" {
		return fmt.Errorf("%s: %s", e.Command[0], s)
	}
	return fmt.Errorf("%s: %s: %s", e.Command[0], s, said)
}
