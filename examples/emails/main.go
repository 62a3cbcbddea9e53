// Command emails shows Colony at work without anything to install: it starts a
// Redis inside the process, enqueues 5,000 emails and works them off. Some fail
// and are retried, some bounce and are dead, some are due a little later.
//
//	go run ./examples/emails
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/embedded"
	"github.com/colonyq/colony/framework/redisclient"
)

// Email is what a job carries.
type Email struct {
	To   string
	Mood string // how the pretended mail server takes it: "", busy or bounce
}

// SendEmail is the kind of job: its name, its payload, and what holds for all of them.
var SendEmail = framework.DefineKind[Email]("email.send", framework.Queue("emails"), framework.MaxAttempts(5))

// outbox counts what became of the emails. Handlers run side by side.
type outbox struct{ sent, retried, dead atomic.Int64 }

// send is the handler. What it returns decides: nil is done, an error is tried
// again after a growing delay, Dead is given up.
func (o *outbox) send(_ context.Context, j *framework.Job[Email]) error {
	time.Sleep(2 * time.Millisecond) // mail servers take their time
	switch {
	case j.Payload.Mood == "bounce":
		o.dead.Add(1)
		return framework.Dead(errors.New("no such mailbox: " + j.Payload.To))
	case j.Payload.Mood == "busy" && j.Attempt == 1:
		o.retried.Add(1)
		return errors.New("mail server is busy")
	}
	o.sent.Add(1)
	return nil
}

// emails are n jobs: every 50th meets a busy server, every 100th bounces, every
// 25th is due in a second.
func emails(n int) (jobs []framework.NewJob, delayed int) {
	for i := range n {
		e := Email{To: fmt.Sprintf("user%d@example.org", i)}
		switch i % 100 {
		case 10, 60:
			e.Mood = "busy"
		case 20:
			e.Mood = "bounce"
		case 0, 25, 50, 75:
			delayed++
			jobs = append(jobs, SendEmail.New(e, framework.In(time.Second)))
			continue
		}
		jobs = append(jobs, SendEmail.New(e))
	}
	return jobs, delayed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, 5000); err != nil {
		fmt.Fprintln(os.Stderr, "emails:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, n int) error {
	server, err := embedded.Start("") // a Redis of our own, at any free port
	if err != nil {
		return err
	}
	defer server.Close()
	app, err := framework.Open(ctx, framework.Config{
		Redis:  redisclient.Config{URL: server.URL()},
		Worker: framework.WorkerConfig{Concurrency: 100},
		Queues: map[string]framework.QueueConfig{"emails": {}},
	}, framework.WithLogger(slog.New(slog.DiscardHandler))) // it would tell of every email that bounced
	if err != nil {
		return err
	}
	defer app.Close(context.WithoutCancel(ctx))

	start := time.Now()
	jobs, delayed := emails(n)
	if _, err := framework.EnqueueMany(ctx, app, jobs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "enqueued %d emails in %s, %d of them for a second later\n", n, since(start), delayed)

	start = time.Now()
	var o outbox
	if err := workOff(ctx, app, &o, n); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Fprintf(out, "worked them off in %s, %.0f a second: %d sent, %d retried on the way, %d dead\n",
		since(start), float64(n)/took.Seconds(), o.sent.Load(), o.retried.Load(), o.dead.Load())
	return check(ctx, app, out)
}

// workOff runs the worker until every email has been sent or given up.
func workOff(ctx context.Context, app *framework.App, o *outbox, n int) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))))
	framework.Handle(app, SendEmail, func(ctx context.Context, j *framework.Job[Email]) error {
		err := o.send(ctx, j)
		if ended := o.sent.Load() + o.dead.Load(); ended == int64(n) {
			done() // Run still settles what is running
		} else if ended%50 == 0 {
			_ = bar.Set64(ended) // a bar that cannot be drawn is no reason to fail
		}
		return err
	})
	err := app.Run(ctx)
	return errors.Join(err, bar.Finish())
}

// check compares what Redis counted on the way in with what it counted on the
// way out: nothing is lost, nothing ran to its end twice.
func check(ctx context.Context, app *framework.App, out io.Writer) error {
	queues, err := app.Stats(ctx)
	if err != nil {
		return err
	}
	q := queues["emails"]
	fmt.Fprintf(out, "check: %d enqueued = %d done + %d dead\n", q.Enqueued, q.Ended, q.Dead)
	if q.Enqueued != q.Ended+q.Dead {
		return fmt.Errorf("%d emails are missing", q.Enqueued-q.Ended-q.Dead)
	}
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
