// Command hello is the smallest worker: one kind of job and its handler.
//
//	go run ./examples/hello
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/embedded"
)

// Greeting is the payload: any type that encoding/json can write and read.
type Greeting struct {
	Name string `json:"name"`
}

// Hello is the kind: its name, its payload's type, its queue.
var Hello = framework.DefineKind[Greeting]("hello", framework.Queue("greetings"))

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once

	// A Redis inside this process, where Redis is expected: for trying things out. It fails where a real one listens
	// already, which then is used.
	if server, err := embedded.Start("127.0.0.1:6379"); err == nil {
		defer server.Close()
	}

	app, err := framework.Open(ctx, framework.Config{Queues: map[string]framework.QueueConfig{"greetings": {}}})
	if err != nil {
		log.Fatal(err)
	}
	framework.Handle(app, Hello, func(ctx context.Context, j *framework.Job[Greeting]) error {
		fmt.Printf("hello, %s (job %s, attempt %d)\n", j.Payload.Name, j.ID, j.Attempt)
		return nil // an error would run it again, after a growing delay
	})
	if _, err := Hello.Enqueue(ctx, app, Greeting{Name: "Ada"}); err != nil {
		log.Fatal(err)
	}
	if err := app.Run(ctx); err != nil { // until Ctrl-C
		log.Fatal(err)
	}
	if err := app.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
}
