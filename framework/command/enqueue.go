package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
)

const enqueueHint = "start a Redis there, name another one with --redis URL, or run `worker run --embedded --handler '*=log'` in another terminal"

// Enqueue is the program enqueue.
func Enqueue() *cli.App {
	app := newApp("enqueue", "enqueues jobs and prints their ids")
	app.UsageText = "enqueue [FLAGS] KIND [PAYLOAD|-]\n   enqueue [FLAGS] --file FILE.ndjson|-"
	app.Description = "PAYLOAD is JSON, - reads it from standard input, and without it the payload is null.\n\n" +
		"A line of --file is one job: {\"kind\": \"email.send\", \"payload\": {…}}, and if needed queue, at\n" +
		"(RFC 3339), in (\"5m\"), max_attempts, timeout (\"30s\") and headers. Flags hold for lines that say nothing else."
	app.Flags = append([]cli.Flag{
		&cli.StringFlag{Name: "queue", Usage: "`QUEUE` to enqueue to (default: default)"},
		&cli.StringFlag{Name: "backend", Usage: "`BACKEND` of that queue: list (default: what the queue has)"},
		&cli.DurationFlag{Name: "in", Usage: "make the job due `DURATION` from now, such as 90s or 2h30m", DefaultText: "at once"},
		&cli.StringFlag{Name: "at", Usage: "make the job due at `TIME`, such as 2030-01-31T08:00:00Z"},
		&cli.IntFlag{Name: "max-attempts", Usage: "the job is dead after `N` failures", DefaultText: "25"},
		&cli.DurationFlag{Name: "timeout", Usage: "end each run after `DURATION`", DefaultText: "never"},
		&cli.StringSliceFlag{Name: "header", Usage: "`KEY=VALUE` that travels with the job; may be repeated"},
		&cli.StringFlag{Name: "content-type", Usage: "the payload is not JSON but `TYPE`, such as text/plain"},
		&cli.StringFlag{Name: "file", Usage: "enqueue the jobs in `FILE`, one JSON object a line; - is standard input"},
		&cli.StringFlag{Name: "on-error", Value: "stop", Usage: "what to `DO` at a line of --file that is no job: stop, or skip it and exit 1 at the end"},
		&cli.StringFlag{Name: "completion", Usage: "print the completion script of `SHELL`: bash, zsh or fish"},
		versionFlag(),
	}, commonFlags()...)
	app.Action = enqueueAction
	return app
}

func enqueueAction(c *cli.Context) error {
	switch {
	case c.Bool("version"):
		return readVersion().print(c.App.Writer, c.App.Name)
	case c.IsSet("completion"):
		return writeCompletion(c.App, c.App.Writer, c.String("completion"))
	case c.IsSet("file"):
		return enqueueFile(c)
	case c.IsSet("on-error"):
		return usagef("--on-error is for --file")
	default:
		return enqueueOne(c)
	}
}

func enqueueOne(c *cli.Context) error {
	print, err := newPrinter(c)
	if err != nil {
		return err
	}
	opts, err := jobFlags(c)
	if err != nil {
		return err
	}
	job, err := jobOf(c, opts)
	if err != nil {
		return err
	}
	return withProducer(c, func(p *framework.Producer) error {
		ids, err := p.Enqueue(c.Context, job)
		if err != nil {
			return explain(err, func(int) string { return "" })
		}
		return print.job(ids[0], job)
	})
}

// withProducer opens a producer, and sends all that is left before it returns.
func withProducer(c *cli.Context, do func(*framework.Producer) error) (err error) {
	p, closeProducer, err := openProducer(c, enqueueHint, func(cfg *framework.Config) error {
		return backendFlag(c, cfg)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeProducer()) }()
	return do(p)
}

// backendFlag states the backend of the one queue that --queue names.
func backendFlag(c *cli.Context, cfg *framework.Config) error {
	if !c.IsSet("backend") {
		return nil
	}
	name := orDefault(c.String("queue"), framework.DefaultQueue)
	q := cfg.Queues[name]
	q.Backend = c.String("backend")
	if cfg.Queues == nil {
		cfg.Queues = map[string]framework.QueueConfig{}
	}
	cfg.Queues[name] = q
	return nil
}

// jobFlags are the options that flags give a job.
func jobFlags(c *cli.Context) ([]framework.JobOption, error) {
	var opts []framework.JobOption
	if c.IsSet("queue") {
		opts = append(opts, framework.Queue(c.String("queue")))
	}
	if c.IsSet("max-attempts") {
		opts = append(opts, framework.MaxAttempts(c.Int("max-attempts")))
	}
	if c.IsSet("timeout") {
		opts = append(opts, framework.Timeout(c.Duration("timeout")))
	}
	if c.IsSet("content-type") {
		opts = append(opts, framework.ContentType(c.String("content-type")))
	}
	for _, h := range c.StringSlice("header") {
		k, v, ok := strings.Cut(h, "=")
		if !ok {
			return nil, usagef("--header: must be KEY=VALUE, got %q", h)
		}
		opts = append(opts, framework.Header(k, v))
	}
	due, err := dueFlags(c)
	return append(opts, due...), err
}

func dueFlags(c *cli.Context) ([]framework.JobOption, error) {
	switch {
	case c.IsSet("in") && c.IsSet("at"):
		return nil, usagef("--in and --at exclude each other")
	case c.IsSet("in"):
		return []framework.JobOption{framework.In(c.Duration("in"))}, nil
	case c.IsSet("at"):
		t, err := parseTime(c.String("at"))
		if err != nil {
			return nil, usagef("--at: %w", err)
		}
		return []framework.JobOption{framework.At(t)}, nil
	}
	return nil, nil
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("must be a time such as 2030-01-31T08:00:00Z or 2030-01-31T09:00:00+01:00 (RFC 3339), got %q", s)
	}
	return t, nil
}

// jobOf reads KIND [PAYLOAD|-].
func jobOf(c *cli.Context, opts []framework.JobOption) (framework.NewJob, error) {
	var none framework.NewJob
	switch {
	case c.NArg() == 0:
		return none, usagef("name the KIND of the job: enqueue KIND [PAYLOAD]")
	case c.NArg() > 2:
		return none, usagef("one PAYLOAD at most, got %d arguments after %s: put quotes around a payload with spaces", c.NArg()-1, c.Args().First())
	}
	payload, err := payloadOf(c)
	if err != nil {
		return none, err
	}
	job := framework.NewRaw(c.Args().First(), payload, opts...)
	return job, asUsage(job.Err())
}

// payloadOf returns nil, which means null, only where no payload was given.
func payloadOf(c *cli.Context) ([]byte, error) {
	if c.NArg() < 2 {
		return nil, nil
	}
	payload, from := []byte(c.Args().Get(1)), "PAYLOAD"
	if c.Args().Get(1) == "-" {
		var err error
		from = "standard input"
		if payload, err = io.ReadAll(reading(c.Context, c.App.Reader)); err != nil {
			return nil, fmt.Errorf("read the payload from standard input: %w", err)
		}
	}
	if !c.IsSet("content-type") && !json.Valid(payload) {
		return nil, usagef("%s is not JSON: write it as JSON (a text needs its quotes: '\"hello\"'), or say what it is with --content-type, for instance --content-type text/plain", from)
	}
	return payload, nil
}

// explain names what failed, each by where it came from, and what nobody knows.
func explain(err error, where func(index int) string) error {
	var many *framework.EnqueueError
	if !errors.As(err, &many) {
		return err
	}
	const shown = 3
	var errs []error
	for i, f := range many.Failed {
		if i == shown && len(many.Failed) > shown+1 {
			errs = append(errs, fmt.Errorf("and %d more", len(many.Failed)-shown))
			break
		}
		if f.ID != "" {
			f.Err = fmt.Errorf("job %s: %w", f.ID, f.Err)
		}
		errs = append(errs, fmt.Errorf("%s%w", where(f.Index), f.Err))
	}
	return errors.Join(errs...)
}

// printer prints what was enqueued, one job a line.
type printer struct {
	out    io.Writer
	asJSON bool
}

func newPrinter(c *cli.Context) (*printer, error) {
	asJSON, err := wantsJSON(c)
	return &printer{out: c.App.Writer, asJSON: asJSON}, err
}

func (p *printer) job(id string, j framework.NewJob) error {
	if !p.asJSON {
		_, err := fmt.Fprintln(p.out, id)
		return err
	}
	return json.NewEncoder(p.out).Encode(struct {
		ID    string `json:"id"`
		Queue string `json:"queue"`
	}{id, j.Queue()})
}

// stopped says whether ctx has ended, and by what.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return errors.Join(context.Cause(ctx), ctx.Err())
}
