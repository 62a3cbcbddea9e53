// Command fence shows what a lock cannot do alone, and what its fence does: a
// worker that sleeps for longer than its lock's TTL wakes up and writes. The store
// has seen a greater fence by then, and refuses.
//
//	go run ./examples/fence
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/embedded"
	"github.com/colonyq/colony/locks"
)

var errStale = errors.New("refused: written by a later holder")

// Store is the resource. In SQL it is one statement:
//
//	UPDATE reports SET body = $1, fence = $2 WHERE id = $3 AND fence < $2
type Store struct {
	mu    sync.Mutex
	fence uint64
	body  string
}

// Write refuses a fence that is smaller than one it has seen.
func (s *Store) Write(fence uint64, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fence < s.fence {
		return errStale
	}
	s.fence, s.body = fence, body
	return nil
}

func main() {
	server, err := embedded.Start("127.0.0.1:0") // a Redis in this process, to try things out
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	defer client.Close()
	if err := run(context.Background(), client, os.Stdout); err != nil {
		log.Fatal(err) //nolint:gocritic // the process ends, and its server with it
	}
}

func run(ctx context.Context, client redis.UniversalClient, out io.Writer) error {
	m := locks.New(client, locks.Config{})
	defer m.Close(ctx)
	report := m.Mutex("report:42", locks.Options{TTL: time.Second})
	store := &Store{}

	slow, err := report.Acquire(ctx)
	if err != nil {
		return err
	}
	early, ok := report.Fence(slow)
	if !ok {
		return errors.New("no fence")
	}
	<-slow.Done() // asleep for longer than its TTL
	fmt.Fprintln(out, "slow:", context.Cause(slow))

	err = report.Do(ctx, func(held context.Context) error { // waits for the rest of the TTL
		fence, ok := report.Fence(held)
		if !ok {
			return errors.New("no fence")
		}
		return store.Write(fence, "new")
	})
	fmt.Fprintln(out, "next:", err)

	// Had it looked at its context, it would not even try.
	fmt.Fprintln(out, "slow:", store.Write(early, "old"))
	fmt.Fprintln(out, "slow:", report.Release(slow))
	fmt.Fprintln(out, "store:", store.body)
	return nil
}
