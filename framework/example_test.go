package framework_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/embedded"
	"github.com/colonyq/colony/framework/middleware"
	"github.com/colonyq/colony/framework/redisclient"
)

type Email struct {
	To string `json:"to"`
}

var SendEmail = framework.DefineKind[Email]("email.send", framework.Queue("emails"), framework.MaxAttempts(5))

// A whole program: enqueue two jobs and handle them. It uses an in-process Redis
// and Drain, which ends when all is done; a worker calls Run instead.
func Example() {
	ctx := context.Background()
	server, err := embedded.Start("")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	app, err := framework.Open(ctx, framework.Config{
		Redis:  redisclient.Config{URL: server.URL()},
		Worker: framework.WorkerConfig{Concurrency: 1},
		Queues: map[string]framework.QueueConfig{"emails": {}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = app.Close(ctx) }()

	framework.Handle(app, SendEmail, func(ctx context.Context, j *framework.Job[Email]) error {
		fmt.Printf("attempt %d of %d: mail to %s\n", j.Attempt, j.MaxAttempts, j.Payload.To)
		return nil
	})
	app.Use(middleware.Timeout(time.Minute))

	ids, err := framework.EnqueueMany(ctx, app, SendEmail.New(Email{"ada@example.org"}), SendEmail.New(Email{"bob@example.org"}))
	fmt.Println(len(ids), "jobs enqueued,", err)
	report, err := app.Drain(ctx)
	fmt.Println(report.Done, "done,", err)
	// Output:
	// 2 jobs enqueued, <nil>
	// attempt 1 of 5: mail to ada@example.org
	// attempt 1 of 5: mail to bob@example.org
	// 2 done, <nil>
}

// What a handler returns decides what becomes of the job. Execute shows it
// without a worker.
func ExampleExecute() {
	errBusy := errors.New("the server is busy")
	for _, answer := range []error{
		nil,
		framework.RetryIn(10*time.Second, errBusy),
		framework.Snooze(time.Minute),
		framework.Dead(errors.New("no such mailbox")),
		errors.Join(framework.Snooze(time.Minute), framework.Dead(errBusy)), // the gravest counts
	} {
		handler := SendEmail.Handler(func(context.Context, *framework.Job[Email]) error { return answer })
		delivery, err := SendEmail.New(Email{"ada@example.org"}).Delivery()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(framework.Execute(context.Background(), handler, delivery))
	}
	// Output:
	// done
	// retry in 10s
	// snooze in 1m0s
	// dead (failed)
	// dead (failed)
}

// A wrong option is an error when the job is enqueued; it fails its job alone.
func ExampleNewJob_Err() {
	fmt.Println(SendEmail.New(Email{}, framework.MaxAttempts(0)).Err())
	// Output: max attempts: must be at least 1, got 0
}

// A handler that runs for long asks why its context ended.
func ExampleErrShutdown() {
	ctx, stop := context.WithCancelCause(context.Background())
	stop(framework.ErrShutdown) // as a worker does
	handler := func(ctx context.Context, d *framework.Delivery) error {
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), framework.ErrShutdown) {
			fmt.Println("saving what is done so far")
		}
		return ctx.Err()
	}
	fmt.Println(framework.Execute(ctx, handler, &framework.Delivery{Attempt: 1, MaxAttempts: 25}))
	// Output:
	// saving what is done so far
	// release
}
