package locks_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

// holderEnv makes the test binary a process that holds a lock; see beHolder.
const holderEnv = "LOCKS_TEST_HOLDER"

// beHolder acquires the lock "a" at the server and namespace that the variable
// names, and tells on stdout what becomes of it.
func beHolder(where string) int {
	addr, ns, _ := strings.Cut(where, " ")
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: addr, DisableIdentity: true})
	l := locks.New(client, locks.Config{Namespace: ns}).Mutex("a", locks.Options{TTL: short, AutoRenew: true})
	held, err := l.Acquire(context.Background())
	fmt.Println("acquired", err)
	<-held.Done()
	fmt.Println("lost", errors.Is(context.Cause(held), locks.ErrLost))
	fmt.Println("refused", errors.Is(l.Release(held), locks.ErrNotOwned))
	return 0
}

// A process that is stopped for longer than its TTL loses the lock to the next one.
// When it runs again its context ends, and its release is refused.
func TestStoppedHolder(t *testing.T) {
	s := redistest.Shared(t)
	w := standalone(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderEnv+"="+s.Socket()+" "+w.ns)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	said := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the holder said %q, want %q", lines.Text(), want)
		}
	}
	said("acquired <nil>")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l := w.manager(t).Mutex("a", locks.Options{TTL: time.Minute})
	held := acquired(t, l, within(t))
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	said("lost true")
	said("refused true")
	if owned, err := l.Owned(held); !owned || err != nil {
		t.Fatalf("%v, %v", owned, err)
	}
}

// A quorum of five works with two dead, fences still growing; with three dead nobody
// acquires, and who renews loses the lock within its TTL.
func TestDeadServers(t *testing.T) {
	t.Parallel()
	w, servers := quorumOf(t, 5)
	ctx, m := within(t), w.manager(t)
	l := m.Mutex("a", locks.Options{})
	before := acquired(t, l, ctx)
	first, ok := l.Fence(before)
	if !ok {
		t.Fatal("no fence")
	}
	servers[0].Stop()
	servers[1].Stop()
	if err := errors.Join(l.Reacquire(before), l.Release(before)); err != nil {
		t.Fatal(err)
	}
	after := acquired(t, l, ctx)
	if second, ok := l.Fence(after); !ok || second <= first {
		t.Fatalf("fence %d (%v) after %d", second, ok, first)
	}
	if err := errors.Join(l.Reacquire(after), l.Release(after)); err != nil {
		t.Fatal(err)
	}
	renewing := acquired(t, m.Mutex("b", locks.Options{TTL: 5 * time.Second, AutoRenew: true}), ctx)
	servers[2].Stop()
	if cause := ended(t, renewing); !errors.Is(cause, locks.ErrLost) {
		t.Fatal(cause)
	}
	if got, err := l.Acquire(ctx); err == nil || errors.Is(err, locks.ErrTaken) || got != ctx {
		t.Fatalf("without a majority: %v", err)
	}
}

// A server that hangs does not hold up a quorum.
func TestHangingServer(t *testing.T) {
	t.Parallel()
	w, servers := quorumOf(t, 3)
	ctx, l := within(t), w.manager(t).Mutex("a", locks.Options{})
	if err := syscall.Kill(servers[1].PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	held := acquired(t, l, ctx)
	if _, ok := l.Fence(held); !ok {
		t.Fatal("no fence")
	}
	if err := errors.Join(l.Reacquire(held), l.Release(held)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(servers[1].PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, world{clients: w.clients[1:2], ns: w.ns}) // what it was asked while it hung is undone
}

// While the server is paused for writes, to which scripts belong, a wait still ends with its context, and who renews
// loses the lock when its TTL is over on its own clock; afterwards all is as before,
// and what the pause had held back is cleaned up.
func TestPausedServer(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	w := world{"paused", []redis.UniversalClient{s.Client(t)}, redistest.Namespace(t)}
	ctx, m := within(t), w.manager(t)
	held := acquired(t, m.Mutex("a", locks.Options{TTL: time.Second, AutoRenew: true}), ctx)
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	taken := m.Mutex("b", locks.Options{RetryEvery: 10 * time.Millisecond})
	other := acquired(t, taken, ctx)
	waiter := async(limited, taken)
	waiting(t, m, "b", 1)
	admin := s.Client(t)
	if err := admin.Do(ctx, "CLIENT", "PAUSE", 60000, "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	if cause := ended(t, held); !errors.Is(cause, locks.ErrLost) {
		t.Fatal(cause)
	}
	cancel()
	if r := <-waiter; !errors.Is(r.err, context.Canceled) {
		t.Fatal(r.err)
	}
	if err := admin.Do(ctx, "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	l := m.Mutex("a", locks.Options{})
	if err := errors.Join(l.Release(acquired(t, l, ctx)), taken.Release(other)); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, w)
}

// A server that forgot all scripts is told them again.
func TestScriptFlush(t *testing.T) {
	s := redistest.Standalone(t)
	w := world{"flushed", []redis.UniversalClient{s.Client(t)}, redistest.Namespace(t)}
	ctx, m := within(t), w.manager(t)
	for _, l := range []*locks.Lock{m.Mutex("a", locks.Options{}), m.Semaphore("a", 1, locks.Options{})} {
		flush := func() {
			if err := w.clients[0].ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
		flush()
		held := acquired(t, l, ctx)
		flush()
		if err := l.Reacquire(held); err != nil {
			t.Fatal(err)
		}
		flush()
		if err := l.Release(held); err != nil {
			t.Fatal(err)
		}
	}
}

// A full server lets holders renew and release, and waiters wait; it refuses the
// next acquisition and says why.
func TestFullServer(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{MaxMemory: "4mb"})
	w := world{"full", []redis.UniversalClient{s.Client(t)}, redistest.Namespace(t)}
	ctx, m := within(t), w.manager(t)
	all := []*locks.Lock{m.Mutex("a", locks.Options{}), m.Semaphore("a", 2, locks.Options{}), m.RWMutex("a", locks.Options{}).Read}
	var held []context.Context
	for _, l := range all {
		held = append(held, acquired(t, l, ctx))
	}
	for _, size := range []int{100_000, 1000, 10} {
		for i := 0; ; i++ {
			if err := w.clients[0].Set(ctx, fmt.Sprint("fill", size, i), strings.Repeat("x", size), 0).Err(); err != nil {
				break
			}
		}
	}
	if _, err := m.Mutex("b", locks.Options{}).Acquire(ctx); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Fatalf("acquire: %v", err)
	}
	if _, err := m.Mutex("a", locks.Options{MaxWait: 10 * time.Millisecond}).Acquire(ctx); !errors.Is(err, locks.ErrTaken) {
		t.Fatalf("wait: %v", err)
	}
	for i, l := range all {
		if err := errors.Join(l.Extend(held[i], time.Minute), l.Reacquire(held[i]), l.Release(held[i])); err != nil {
			t.Errorf("lock %d: %v", i, err)
		}
	}
}

// A key of another type is an error, not a lock, and stays as it was.
func TestForeignKey(t *testing.T) {
	redistest.Each(t, func(t *testing.T, x redistest.Target) {
		w := world{x.Name, []redis.UniversalClient{x.Client}, redistest.Namespace(t)}
		ctx, m := within(t), w.manager(t)
		if err := x.Client.RPush(ctx, w.ns+":lock:{a}", "x").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Mutex("a", locks.Options{}).Acquire(ctx); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Fatal(err)
		}
		if n, err := x.Client.LLen(ctx, w.ns+":lock:{a}").Result(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
}
