package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/goleak"

	"github.com/colonyq/colony/framework"
)

// childEnv tells this test binary that it is a worker process, and what it is to do.
const childEnv = "COLONY_FAULTS_WORKER"

const kind = "faults.work"

// orders is what a worker process is told.
type orders struct {
	Config  framework.Config
	History string
}

// payload is what a job asks of its handler.
type payload struct {
	Job int    `json:"job"`
	MS  int    `json:"ms"` // how long the run takes
	Do  string `json:"do,omitempty"`
}

// Deaths that a job asks for in its first delivery.
const (
	dieBefore = "die-before" // taken, not started
	dieIn     = "die-in"     // started
	dieAfter  = "die-after"  // finished, not settled
)

// worker is a worker process: a plain App whose handlers keep a history.
type worker struct {
	history *os.File
	pid     int
}

func (w *worker) tell(e Event) {
	e.At, e.PID = Now(), w.pid
	if err := e.Append(w.history); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is main for a worker process; it returns the exit code.
func child() int {
	var o orders
	err := json.Unmarshal([]byte(os.Getenv(childEnv)), &o)
	if err == nil {
		err = work(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

func work(o orders) error {
	f, err := os.OpenFile(o.History, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &worker{history: f, pid: os.Getpid()}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	watched := w.watchClock()
	err = w.serve(ctx, o.Config)
	watched()
	if leak := goleak.Find(); leak != nil {
		w.tell(Event{Type: Leak, Note: leak.Error()})
	}
	return err
}

func (w *worker) serve(ctx context.Context, c framework.Config) error {
	log := slog.New(listener{slog.NewTextHandler(os.Stderr, nil), w})
	app, err := open(ctx, c, log)
	if err != nil {
		return err
	}
	framework.HandleRaw(app, kind, w.handle)
	err = app.Run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, app.Close(last))
}

// open tries until Redis is there, as whatever supervises workers would.
func open(ctx context.Context, c framework.Config, log *slog.Logger) (*framework.App, error) {
	for {
		app, err := framework.Open(ctx, c, framework.WithLogger(log))
		if err == nil || ctx.Err() != nil {
			return app, err
		}
		fmt.Fprintln(os.Stderr, "worker: open:", err)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *worker) handle(ctx context.Context, d *framework.Delivery) error {
	var p payload
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return framework.Dead(err)
	}
	first := d.Fence == 1
	if p.Do == dieBefore && first {
		w.die(p, d)
	}
	e := Event{Job: p.Job, ID: d.ID, Fence: d.Fence}
	e.Type = Started
	w.tell(e)
	if p.Do == Poison || p.Do == dieIn && first {
		w.die(p, d)
	}
	err := pause(ctx, time.Duration(p.MS)*time.Millisecond)
	if err == nil && p.Do == Fails && d.Attempt == 1 {
		err = framework.RetryIn(50*time.Millisecond, errors.New("as asked"))
	}
	e.Type, e.Note = Finished, outcome(ctx, err)
	w.tell(e)
	if p.Do == dieAfter && first {
		w.die(p, d)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func outcome(ctx context.Context, err error) string {
	switch {
	case errors.Is(context.Cause(ctx), framework.ErrLeaseLost):
		return RunLost
	case err == nil:
		return RunOK
	case errors.Is(context.Cause(ctx), framework.ErrShutdown):
		return RunInterrupted
	}
	return RunFailed
}

func (w *worker) die(p payload, d *framework.Delivery) {
	w.tell(Event{Type: Dying, Job: p.Job, ID: d.ID, Fence: d.Fence})
	_ = syscall.Kill(w.pid, syscall.SIGKILL)
	select {}
}

// watchClock notes when the process was not allowed to run: a lease that is lost
// then is the machine's doing. It returns what ends it.
func (w *worker) watchClock() (end func()) {
	const every = 50 * time.Millisecond
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if gap := time.Since(last); gap > starvation {
				w.tell(Event{Type: Starved, Job: int(gap.Milliseconds())})
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// starvation is a gap in a process's time that may cost it a beat or two.
const starvation = 400 * time.Millisecond

// listener hears in the log that a lease was lost.
type listener struct {
	slog.Handler
	w *worker
}

func (l listener) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "lease lost") {
		note := ""
		r.Attrs(func(a slog.Attr) bool { note += a.String() + " "; return true })
		l.w.tell(Event{Type: LeaseLost, Note: note})
	}
	return l.Handler.Handle(ctx, r)
}

func (l listener) WithAttrs(a []slog.Attr) slog.Handler {
	return listener{l.Handler.WithAttrs(a), l.w}
}
