package locks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/locks"
)

// open is a Redis in this process; use your own client.
func open() (m *locks.Manager, closeAll func()) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	m = locks.New(client, locks.Config{})
	return m, func() {
		_ = m.Close(context.Background())
		_ = client.Close()
		server.Close()
	}
}

func ExampleLock_Acquire() {
	m, closeAll := open()
	defer closeAll()
	l := m.Mutex("report:42", locks.Options{TTL: 5 * time.Second})

	held, err := l.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = l.TryAcquire(context.Background())
	fmt.Println(errors.Is(err, locks.ErrTaken))
	fmt.Println(l.Release(held))
	fmt.Println(errors.Is(l.Release(held), locks.ErrNotHeld))
	// Output:
	// true
	// <nil>
	// true
}

func ExampleLock_Do() {
	m, closeAll := open()
	defer closeAll()
	err := m.Mutex("report:42", locks.Options{AutoRenew: true}).Do(context.Background(), func(held context.Context) error {
		fmt.Println("working")
		return nil
	})
	fmt.Println(err)
	// Output:
	// working
	// <nil>
}

func ExampleLock_Fence() {
	m, closeAll := open()
	defer closeAll()
	l := m.Mutex("report:42", locks.Options{})
	var seen uint64 // by the resource
	write := func(held context.Context) {
		fence, _ := l.Fence(held)
		fmt.Println("accepted:", fence > seen)
		seen = max(seen, fence)
	}
	first, _ := l.Acquire(context.Background())
	_, _ = m.Break(context.Background(), "report:42") // or its time ran out
	second, _ := l.Acquire(context.Background())
	write(second)
	write(first) // a late word
	// Output:
	// accepted: true
	// accepted: false
}

func ExampleHandover() {
	m, closeAll := open()
	defer closeAll()
	l := m.Mutex("report:42", locks.Options{})
	held, _ := l.Acquire(context.Background())
	token, _ := locks.Handover(held) // send it along with a job

	adopted, err := l.Adopt(context.Background(), token) // in the job's handler
	fmt.Println(err, l.Release(adopted))
	// Output: <nil> <nil>
}

func ExampleManager_Semaphore() {
	m, closeAll := open()
	defer closeAll()
	l := m.Semaphore("downloads", 2, locks.Options{})
	for range 3 {
		_, err := l.TryAcquire(context.Background())
		fmt.Println(errors.Is(err, locks.ErrTaken))
	}
	// Output:
	// false
	// false
	// true
}

func ExampleManager_RWMutex() {
	m, closeAll := open()
	defer closeAll()
	rw := m.RWMutex("catalogue", locks.Options{})
	reader, _ := rw.Read.Acquire(context.Background())
	_, err := rw.Write.TryAcquire(context.Background())
	fmt.Println(errors.Is(err, locks.ErrTaken), rw.Read.Release(reader))
	// Output: true <nil>
}

func ExampleManager_Elect() {
	m, closeAll := open()
	defer closeAll()
	err := m.Elect(context.Background(), "cleaner", locks.Options{TTL: 15 * time.Second}, locks.Callbacks{
		Elected: func(held context.Context) error {
			fmt.Println("leading")
			return nil // resigns; a leader that stays waits for held.Done()
		},
	})
	fmt.Println(err)
	// Output:
	// leading
	// <nil>
}

func ExampleManager_Multi() {
	m, closeAll := open()
	defer closeAll()
	err := m.Multi([]string{"account:2", "account:1"}, locks.Options{}).Do(context.Background(), func(context.Context) error {
		fmt.Println("both")
		return nil
	})
	fmt.Println(err)
	// Output:
	// both
	// <nil>
}
