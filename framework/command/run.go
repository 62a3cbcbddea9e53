package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/embedded"
)

// closeTimeout is for what is said at the very end, when the run's context is
// over.
const closeTimeout = 5 * time.Second

const workerHint = "start a Redis there, name another one with --redis URL, or try --embedded, which brings a Redis along"

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "take jobs from queues and handle them, until SIGTERM or Ctrl-C",
		Description: "A signal makes the worker take no more jobs, finish those it has within --shutdown-timeout,\n" +
			"give back the rest and exit 0. A second signal ends it at once.",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action:          runAction,
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "queue", Usage: "serve queue `NAME[:WEIGHT]`, may be repeated (default: the config's queues, else default)"},
			&cli.StringFlag{Name: "backend", Usage: "`BACKEND` of these queues: list (default: what each queue has)"},
			&cli.BoolFlag{Name: "strict", Usage: "take weights for priorities: serve a queue only while all heavier ones are empty", DisableDefaultText: true},
			&cli.IntFlag{Name: "concurrency", Usage: "run `N` jobs at a time", DefaultText: "20"},
			&cli.StringSliceFlag{Name: "handler", Usage: "`KIND=PLUGIN[:ARG]`: handle jobs of KIND (* for all others) with PLUGIN; may be repeated"},
			&cli.BoolFlag{Name: "drain", Usage: "end when nothing is left to do, and print counts", DisableDefaultText: true},
			&cli.BoolFlag{Name: "embedded", Usage: "bring a Redis along, at the address where one is expected; nothing in it is kept", DisableDefaultText: true},
			&cli.DurationFlag{Name: "shutdown-timeout", Usage: "let jobs go on for `DURATION` after the signal", DefaultText: "25s"},
			&cli.DurationFlag{Name: "lease", Usage: "jobs of a dead worker run again after `DURATION`", DefaultText: "15s"},
		}, commonFlags()...),
	}
}

// runSettings are all that run needs to begin.
type runSettings struct {
	cfg      framework.Config
	file     string // the config was read from; "" = none
	log      *slog.Logger
	drain    bool
	embedded bool
	asJSON   bool
	out      io.Writer
	errOut   io.Writer
}

func runAction(c *cli.Context) error {
	s, err := newRunSettings(c)
	if err != nil {
		return err
	}
	return s.run(c.Context)
}

func newRunSettings(c *cli.Context) (*runSettings, error) {
	s := &runSettings{drain: c.Bool("drain"), embedded: c.Bool("embedded"), out: c.App.Writer, errOut: c.App.ErrWriter}
	var err error
	if err = noArguments(c); err != nil {
		return nil, err
	}
	if s.asJSON, err = wantsJSON(c); err != nil {
		return nil, err
	}
	if s.log, err = newLogger(c); err != nil {
		return nil, err
	}
	if s.cfg, s.file, err = clientConfig(c, flaggedWorker(c)...); err != nil {
		return nil, err
	}
	err = errors.Join(workerFlags(c, &s.cfg.Worker), queueFlags(c, &s.cfg), handlerFlags(c, &s.cfg, registry()))
	if err == nil {
		err = asUsage(s.cfg.Validate())
	}
	if err == nil && len(s.cfg.Handlers)+len(s.cfg.Plugins) == 0 {
		err = usagef("no handler is bound to any kind of job: bind one with --handler KIND=PLUGIN[:ARG], for instance --handler '*=log', or under handlers: in the config file")
	}
	return s, err
}

// workerPaths are the flags that stand for a key of the worker: block.
var workerPaths = map[string]string{
	"concurrency":      "worker.concurrency",
	"lease":            "worker.lease",
	"shutdown-timeout": "worker.shutdown_timeout",
	"strict":           "worker.strict",
}

func flaggedWorker(c *cli.Context) []string {
	var paths []string
	for flag, path := range workerPaths {
		if c.IsSet(flag) {
			paths = append(paths, path)
		}
	}
	return paths
}

// workerFlags puts flags above the config. A 0 means the default there; who types
// it means something else.
func workerFlags(c *cli.Context, w *framework.WorkerConfig) error {
	var errs []error
	if c.IsSet("concurrency") {
		w.Concurrency = c.Int("concurrency")
		errs = append(errs, notZero("concurrency", w.Concurrency))
	}
	if c.IsSet("lease") {
		w.Lease = c.Duration("lease")
		errs = append(errs, notZero("lease", w.Lease))
	}
	if c.IsSet("shutdown-timeout") {
		w.ShutdownTimeout = c.Duration("shutdown-timeout")
		errs = append(errs, notZero("shutdown-timeout", w.ShutdownTimeout))
	}
	if c.IsSet("strict") {
		w.Strict = c.Bool("strict")
	}
	return errors.Join(errs...)
}

func notZero[T int | time.Duration](flag string, v T) error {
	if v == 0 {
		return usagef("--%s: must be more than 0", flag)
	}
	return nil
}

func (s *runSettings) run(ctx context.Context) (err error) {
	if s.file != "" {
		s.log.Info("read the config", "file", s.file)
	}
	if s.embedded {
		server, err := s.startEmbedded()
		if err != nil {
			return err
		}
		defer server.Close()
	}
	app, err := framework.Open(ctx, s.cfg, framework.WithLogger(s.log))
	if errors.Is(err, framework.ErrConfig) {
		return asUsage(err)
	}
	if err != nil {
		return unreachable(err, workerHint)
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, app.Close(last))
	}()
	return s.serve(ctx, app)
}

// startEmbedded starts a Redis where one is expected.
func (s *runSettings) startEmbedded() (*embedded.Server, error) {
	network, addr, err := s.cfg.Redis.Server()
	if err == nil && network != "tcp" {
		err = fmt.Errorf("it listens over TCP, not on a %s socket", network)
	}
	if err != nil {
		return nil, usagef("--embedded: %w: leave it out, or give --redis redis://HOST:PORT", err)
	}
	server, err := embedded.Start(addr)
	if err != nil {
		return nil, err
	}
	s.log.Warn("embedded Redis started: nothing in it survives this process", "address", server.Addr())
	return server, nil
}

// serve runs the app until a signal, or until nothing is left to do.
func (s *runSettings) serve(ctx context.Context, app *framework.App) error {
	defer s.watch(ctx, app)()
	if !s.drain {
		err := app.Run(ctx)
		if err == nil {
			s.log.Info("worker stopped")
		}
		return err
	}
	report, err := app.Drain(ctx)
	return errors.Join(err, s.printReport(report))
}

// watch passes a second signal on. The function that it returns ends the watch.
func (s *runSettings) watch(ctx context.Context, app *framework.App) (end func()) {
	done := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() {
		select {
		case <-secondSignal(ctx):
			app.Abort()
		case <-done:
		}
	})
	return func() {
		close(done)
		g.Wait()
	}
}

// printReport says what a drain came to: as JSON on standard output if that was
// asked for, else as a line for people on standard error, because handlers may
// print data of their own.
func (s *runSettings) printReport(r framework.Report) error {
	if s.asJSON {
		return json.NewEncoder(s.out).Encode(r)
	}
	var left int64
	for _, c := range r.Queues {
		left += c.Ready + c.Suspect + c.Active + c.Scheduled + c.Retry
	}
	_, err := fmt.Fprintf(s.errOut, "%d done, %d failed and retried, %d snoozed, %d dead; %d left for later\n", r.Done, r.Retried, r.Snoozed, r.Dead, left)
	return err
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
