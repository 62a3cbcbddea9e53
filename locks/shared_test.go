package locks_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/colonyq/colony/locks"
)

// A semaphore has n holders, the next one gets the place that is released, and one
// that died gives its place back by itself.
func TestSemaphore(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		l := m.Semaphore("s", 2, locks.Options{TTL: time.Hour, RetryEvery: time.Hour})
		if w.name == "quorum" {
			if _, err := l.Acquire(ctx); !errors.Is(err, errors.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		a := acquired(t, l, ctx)
		dead := acquired(t, m.Semaphore("s", 2, locks.Options{TTL: short}), ctx)
		if _, err := l.TryAcquire(ctx); !errors.Is(err, locks.ErrTaken) {
			t.Fatal(err)
		}
		b := acquired(t, l, ctx) // waits for the end of the dead one's TTL
		if err := l.Release(dead); !errors.Is(err, locks.ErrNotOwned) {
			t.Fatalf("release of a place that was lost: %v", err)
		}
		next := async(ctx, w.manager(t).Semaphore("s", 2, locks.Options{TTL: time.Hour, RetryEvery: time.Hour}))
		waiting(t, m, "s", 1)
		if err := l.Release(a); err != nil {
			t.Fatal(err)
		}
		c := <-next
		if c.err != nil {
			t.Fatal(c.err)
		}
		if err := errors.Join(l.Reacquire(b), l.Release(b), l.SetTTL(c.held, locks.NoExpiry)); !errors.Is(err, locks.ErrNotHeld) {
			t.Fatalf("another manager's context: %v", err)
		}
	})
}

// The places of a semaphore, its fences and the renewals of each holder are its own.
func TestSemaphoreHolders(t *testing.T) {
	w := standalone(t)
	ctx, m := within(t), w.manager(t)
	l := m.Semaphore("s", 3, locks.Options{})
	a, b := acquired(t, l, ctx), acquired(t, l, ctx)
	first, _ := l.Fence(a)
	second, _ := l.Fence(b)
	if first >= second {
		t.Fatalf("fences %d, %d", first, second)
	}
	if err := errors.Join(l.SetTTL(a, locks.NoExpiry), l.Extend(b, time.Minute)); err != nil {
		t.Fatal(err)
	}
	infos, err := m.Inspect(ctx, "s")
	if err != nil || len(infos) != 1 || infos[0].Kind != "semaphore" || len(infos[0].Holders) != 2 {
		t.Fatal(infos, err)
	}
	for _, h := range infos[0].Holders {
		if h.TTL != locks.NoExpiry && (h.TTL < time.Minute || h.TTL > 90*time.Second) {
			t.Fatalf("TTL %v", h.TTL)
		}
	}
	if err := errors.Join(l.Release(a), l.Release(b)); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, w)
}

// Readers share, a writer is alone.
func TestRWMutex(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, rw := within(t), w.manager(t).RWMutex("f", locks.Options{})
		r1, r2 := acquired(t, rw.Read, ctx), acquired(t, rw.Read, ctx)
		if _, err := rw.Write.TryAcquire(ctx); !errors.Is(err, locks.ErrTaken) {
			t.Fatalf("a writer beside readers: %v", err)
		}
		if _, err := rw.Write.TryAcquire(r1); !errors.Is(err, locks.ErrAlreadyHeld) {
			t.Fatalf("a reader that wants to write: %v", err)
		}
		if err := rw.Write.Release(r1); !errors.Is(err, locks.ErrNotHeld) {
			t.Fatalf("the other side's release: %v", err)
		}
		if err := errors.Join(rw.Read.Release(r1), rw.Read.Release(r2)); err != nil {
			t.Fatal(err)
		}
		wr := acquired(t, rw.Write, ctx)
		if _, err := rw.Read.TryAcquire(ctx); !errors.Is(err, locks.ErrTaken) {
			t.Fatalf("a reader beside a writer: %v", err)
		}
		if err := errors.Join(rw.Write.Reacquire(wr), rw.Write.Release(wr)); err != nil {
			t.Fatal(err)
		}
	})
}

// A waiting writer goes before readers that come later; its release lets in all of
// them, each woken, not asking.
func TestWriterGoesFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		o := locks.Options{TTL: time.Hour, RetryEvery: 10 * time.Minute}
		rw := m.RWMutex("f", o)
		reader := acquired(t, rw.Read, ctx)
		writer := async(ctx, rw.Write)
		waiting(t, m, "f", 1)
		var readers []<-chan result
		for i := range 3 {
			readers = append(readers, async(ctx, rw.Read))
			waiting(t, m, "f", i+2)
		}
		if err := rw.Read.Release(reader); err != nil {
			t.Fatal(err)
		}
		wr := <-writer
		if wr.err != nil {
			t.Fatal(wr.err)
		}
		for _, r := range readers {
			select {
			case <-r:
				t.Fatal("a reader beside the writer")
			default:
			}
		}
		if err := rw.Write.Release(wr.held); err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			got := <-r
			if got.err != nil {
				t.Fatal(got.err)
			}
			if err := rw.Read.Release(got.held); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A writer that gives up lets the readers in that stood back for it.
func TestWriterGivesUp(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		rw := m.RWMutex("f", locks.Options{TTL: time.Hour, RetryEvery: 10 * time.Minute})
		acquired(t, rw.Read, ctx)
		limited, cancel := context.WithCancel(ctx)
		writer := async(limited, rw.Write)
		waiting(t, m, "f", 1)
		reader := async(ctx, rw.Read)
		waiting(t, m, "f", 2)
		cancel()
		if r := <-writer; !errors.Is(r.err, context.Canceled) {
			t.Fatal(r.err)
		}
		if r := <-reader; r.err != nil {
			t.Fatal(r.err)
		}
	})
}

// One leads at a time; the next leads when the first resigns or is deposed, and the
// callbacks say which.
func TestElect(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		type term struct {
			process int
			held    context.Context
			resign  chan error
		}
		terms, deposed := make(chan term), make(chan error, 10)
		var processes sync.WaitGroup
		outcome := make([]error, 2)
		for i := range outcome {
			mine := w.manager(t)
			processes.Go(func() {
				outcome[i] = mine.Elect(ctx, "leader", locks.Options{TTL: 3 * time.Second}, locks.Callbacks{
					Elected: func(held context.Context) error {
						x := term{i, held, make(chan error)}
						terms <- x
						select {
						case err := <-x.resign:
							return err
						case <-held.Done():
							return context.Cause(held)
						}
					},
					Deposed: func(err error) { deposed <- err },
				})
			})
		}
		first := <-terms
		if _, err := m.Break(ctx, "leader"); err != nil {
			t.Fatal(err)
		}
		if cause := ended(t, first.held); !errors.Is(cause, locks.ErrLost) {
			t.Fatal(cause)
		}
		if err := <-deposed; !errors.Is(err, locks.ErrLost) {
			t.Fatalf("deposed: %v", err)
		}
		tired := errors.New("tired")
		second := <-terms
		second.resign <- tired
		third := <-terms
		third.resign <- nil
		processes.Wait()
		if second.process == third.process || !errors.Is(outcome[second.process], tired) || outcome[third.process] != nil {
			t.Fatalf("terms of %d and %d, outcome %v", second.process, third.process, outcome)
		}
	})
}

// An election ends with its context, and gives up leadership.
func TestElectEnds(t *testing.T) {
	w := standalone(t)
	ctx, m := within(t), w.manager(t)
	limited, cancel := context.WithCancel(ctx)
	err := m.Elect(limited, "leader", locks.Options{}, locks.Callbacks{Elected: func(held context.Context) error {
		cancel()
		<-held.Done()
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := m.Elect(ctx, "leader", locks.Options{}, locks.Callbacks{}); err == nil {
		t.Fatal("an election without Elected")
	}
	nothingLeft(t, w)
}

// A multi-lock is held as a whole or not at all, and two that overlap, named in
// another order, do not block each other.
func TestMulti(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		busy := acquired(t, m.Mutex("c", locks.Options{}), ctx)
		x := m.Multi([]string{"b", "a", "c", "a"}, locks.Options{})
		if got, err := x.TryAcquire(ctx); !errors.Is(err, locks.ErrTaken) || got != ctx {
			t.Fatal(got, err)
		}
		impatient := m.Multi([]string{"a", "c"}, locks.Options{MaxWait: 20 * time.Millisecond})
		if _, err := impatient.Acquire(ctx); !errors.Is(err, locks.ErrTaken) {
			t.Fatal(err)
		}
		if locked, err := m.Mutex("a", locks.Options{}).Locked(ctx); locked || err != nil {
			t.Fatalf("a stayed behind: %v, %v", locked, err)
		}
		if err := m.Mutex("c", locks.Options{}).Release(busy); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		for _, names := range [][]string{{"a", "b"}, {"b", "a"}} {
			both.Go(func() {
				for range 5 {
					err := m.Multi(names, locks.Options{}).Do(ctx, func(held context.Context) error {
						return m.Mutex("b", locks.Options{}).Reacquire(held)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		both.Wait()
		if len(x.Locks()) != 3 {
			t.Fatal(x.Locks())
		}
		if _, err := m.Multi(nil, locks.Options{}).Acquire(ctx); err == nil {
			t.Fatal("a multi-lock of nothing")
		}
	})
}

// List names what is held or waited for, on all nodes of a cluster; Break frees it.
func TestList(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		ctx, m := within(t), w.manager(t)
		acquired(t, m.Mutex("b", locks.Options{}), ctx)
		acquired(t, m.RWMutex("a", locks.Options{}).Write, ctx)
		free := m.Mutex("c", locks.Options{})
		if err := free.Release(acquired(t, free, ctx)); err != nil {
			t.Fatal(err)
		}
		infos, err := m.List(ctx)
		if err != nil || len(infos) != 2 {
			t.Fatal(infos, err)
		}
		if a, b := infos[0], infos[1]; a.Name != "a" || a.Kind != "rwmutex" || a.Holders[0].Kind != locks.Write || b.Name != "b" || b.Fence == 0 {
			t.Fatalf("%+v", infos)
		}
		for _, name := range []string{"a", "b"} {
			if n, err := m.Break(ctx, name); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if infos, err := m.List(ctx); len(infos) != 0 || err != nil {
			t.Fatal(infos, err)
		}
	})
}
