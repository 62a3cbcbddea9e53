package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// lastWord is how long a second signal waits for what a stop at once still does:
// giving jobs back and ending processes.
const lastWord = time.Second

// echo is how soon after the first a signal is the same one again: timeout(1)
// sends its signal to the process and then to its group, and a wrapper may pass
// on what the terminal sent as well.
const echo = 100 * time.Millisecond

// Main runs an app of this package and returns the exit code. args is os.Args.
//
// The first SIGINT or SIGTERM ends the context of the app, which then stops as
// it should; a second one, if it is
// no echo of the first, makes Main return within a second, whatever still runs.
func Main(app *cli.App, args []string) int {
	s := watchSignals()
	defer s.stop()
	result := make(chan error, 1)
	go func() { result <- run(s.ctx, app, args) }() // outlives Main only after a second signal, when the process ends
	select {
	case err := <-result:
		return report(s.ctx, app, args, err)
	case <-s.second:
	}
	select {
	case <-result:
	case <-time.After(lastWord):
	}
	fmt.Fprintf(app.ErrWriter, "%s: ended at once by a second signal\n", app.Name)
	return exitInterrupted
}

func run(ctx context.Context, app *cli.App, args []string) error {
	if completing(args) && slices.Contains(args, "--") {
		return nil // urfave/cli would take this for a real call
	}
	ordered, err := order(app, args)
	if err != nil {
		return err
	}
	return app.RunContext(ctx, ordered)
}

func report(ctx context.Context, app *cli.App, args []string, err error) int {
	code := exitCode(ctx, err)
	if err != nil {
		fmt.Fprintf(app.ErrWriter, "%s: %v\n", app.Name, err)
	}
	if code == exitUsage {
		fmt.Fprintf(app.ErrWriter, "Run '%s --help' for what it takes.\n", named(app, args))
	}
	return code
}

// named is the program, with the command if args name one.
func named(app *cli.App, args []string) string {
	for _, a := range args {
		if c := app.Command(a); c != nil {
			return app.Name + " " + c.Name
		}
	}
	return app.Name
}

// newApp is what both programs share.
func newApp(name, usage string) *cli.App {
	return &cli.App{
		Name:  name,
		Usage: usage,
		// -v is verbose here, so the version flag is our own.
		HideVersion:     true,
		HideHelpCommand: true,
		// A header's value, or a kind's argument, may hold a comma.
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		Writer:                    os.Stdout,
		ErrWriter:                 os.Stderr,
		OnUsageError:              onUsageError,
		ExitErrHandler:            func(*cli.Context, error) {}, // only main exits
		Reader:                    os.Stdin,
	}
}

// onUsageError puts package flag's words for a value that does not parse into
// ours; what is wrong with a name never gets here (order).
func onUsageError(c *cli.Context, err error, _ bool) error {
	m := invalidValue.FindStringSubmatch(err.Error())
	if m == nil {
		return asUsage(err)
	}
	value, name := m[1], m[2]
	must := "a whole number"
	known := append(slices.Clip(c.App.Flags), c.Command.Flags...)
	switch find(known, name).(type) {
	case *cli.DurationFlag:
		must = "a duration with a unit, such as 500ms, 30s, 5m or 1h30m"
	case *cli.BoolFlag:
		must = "true or false"
	}
	return usagef("%s: must be %s, got %s", dashed(name), must, value)
}

var invalidValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([a-z-]+): `)

// signals turns the first signal into the end of ctx, with a *signalError as its
// cause, and the second one into the close of second.
type signals struct {
	ctx    context.Context
	second chan struct{}
	stop   func()
}

type secondKey struct{}

func watchSignals() *signals {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &signals{second: make(chan struct{})}
	s.ctx = context.WithValue(ctx, secondKey{}, (<-chan struct{})(s.second))
	got, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(got, done, cancel) })
	s.stop = func() {
		signal.Stop(got)
		close(done)
		watcher.Wait()
		cancel(nil)
	}
	return s
}

func (s *signals) watch(got <-chan os.Signal, done <-chan struct{}, cancel context.CancelCauseFunc) {
	var first time.Time
	for {
		select {
		case sig := <-got:
			switch {
			case first.IsZero():
				first = time.Now()
				cancel(&signalError{sig})
			case time.Since(first) > echo:
				close(s.second)
				got = nil
			}
		case <-done:
			return
		}
	}
}

// secondSignal is closed when the user asked twice; nil, and so never, outside
// of Main.
func secondSignal(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(secondKey{}).(<-chan struct{})
	return c
}

// reading makes a Reader end with ctx. A read that blocks (on a terminal, say)
// cannot be called back: its goroutine ends with the process.
func reading(ctx context.Context, r io.Reader) io.Reader { return &ctxReader{ctx: ctx, r: r} }

type ctxReader struct {
	ctx  context.Context // of one command's run; a Reader has no other way to get it
	r    io.Reader
	buf  []byte
	rest []byte
	err  error
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if len(c.rest) == 0 && c.err == nil {
		c.fill()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, c.err
}

func (c *ctxReader) fill() {
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	done := make(chan struct{})
	var n int
	var err error
	go func() { // see reading
		defer close(done)
		n, err = c.r.Read(c.buf)
	}()
	select {
	case <-done:
		c.rest, c.err = c.buf[:n], err
		if n == 0 && err == nil {
			c.err = io.ErrNoProgress
		}
	case <-c.ctx.Done():
		c.err = errors.Join(context.Cause(c.ctx), context.Canceled)
	}
}
