// Command bench measures Colony beside asynq and beside the bare moves in
// go-redis, in one run, and prints a Markdown table of medians with ratios.
//
// Every measurement starts a redis-server of its own, without persistence. The
// rounds of the systems are interleaved, so that what else the
// machine does hits all of them. Jobs carry 100 bytes, handlers do nothing but
// count. A system that loses or doubles a job makes the run fail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"
)

type flags struct {
	rounds             int
	jobs               int
	waiting, delayed   int
	enqueueFor         time.Duration
	pickupFor, idleFor time.Duration
	only, systems      string
	redis, network     string
	cpuProfile         string
	memProfile         string
}

func parse(args []string, errs io.Writer) (flags, error) {
	var f flags
	s := flag.NewFlagSet("bench", flag.ContinueOnError)
	s.SetOutput(errs)
	s.IntVar(&f.rounds, "rounds", 3, "how often everything is measured; the table has medians")
	s.IntVar(&f.jobs, "jobs", 150_000, "jobs of a drain; asynq drains a tenth of them")
	s.IntVar(&f.waiting, "waiting", 50_000, "jobs that lie in the queue when memory is measured")
	s.IntVar(&f.delayed, "delayed", 100, "delayed jobs in a round")
	s.DurationVar(&f.enqueueFor, "enqueue-for", 700*time.Millisecond, "how long producers enqueue")
	s.DurationVar(&f.pickupFor, "pickup-for", 4*time.Second, "how long idle workers are asked")
	s.DurationVar(&f.idleFor, "idle-for", 10*time.Second, "how long an idle worker is watched")
	s.StringVar(&f.only, "only", "", "the experiments to run, with commas: "+names(experiments))
	s.StringVar(&f.systems, "systems", "", "the systems to measure, with commas: "+names(contenders))
	s.StringVar(&f.redis, "redis", "redis-server", "the server's binary")
	s.StringVar(&f.network, "network", "tcp", "how the server is reached: tcp (loopback) or unix (socket)")
	s.StringVar(&f.cpuProfile, "cpuprofile", "", "write a CPU profile of this process to a file")
	s.StringVar(&f.memProfile, "memprofile", "", "write a profile of all allocations to a file")
	if err := s.Parse(args); err != nil {
		return f, err
	}
	return f, f.validate()
}

func (f flags) validate() error {
	if f.rounds < 1 || f.jobs < 100 || f.waiting < 1 || f.delayed < 1 {
		return errors.New("-rounds, -waiting and -delayed must be at least 1, -jobs at least 100")
	}
	if f.enqueueFor <= 0 || f.pickupFor <= 0 || f.idleFor <= 0 {
		return errors.New("durations must be positive")
	}
	if f.network != "tcp" && f.network != "unix" {
		return fmt.Errorf("-network must be tcp or unix, not %q", f.network)
	}
	_, e := pick(f.only, experiments)
	_, s := pick(f.systems, contenders)
	return errors.Join(e, s)
}

type named interface{ title() string }

func (e experiment) title() string { return e.name }
func (c contender) title() string  { return c.name }

func names[T named](all []T) string {
	var n []string
	for _, x := range all {
		n = append(n, x.title())
	}
	return strings.Join(n, ",")
}

// pick returns those that a list names; all for an empty list.
func pick[T named](list string, all []T) (picked []T, err error) {
	if list == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(x T) bool { return x.title() == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no %q: choose from %s", name, names(all))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

func main() {
	f, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = profiled(f, func() error { return run(ctx, f, os.Stdout, os.Stderr) })
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// profiled runs measure and writes the profiles that were asked for.
func profiled(f flags, measure func() error) error {
	if f.cpuProfile != "" {
		file, err := os.Create(f.cpuProfile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	err := measure()
	if f.memProfile != "" {
		file, open := os.Create(f.memProfile)
		if open != nil {
			return errors.Join(err, open)
		}
		err = errors.Join(err, pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
	}
	return err
}

// run measures everything and prints the table.
func run(ctx context.Context, f flags, out, progress io.Writer) error {
	todo, _ := pick(f.only, experiments)
	systems, _ := pick(f.systems, contenders)
	var r results
	began := time.Now()
	for round := range f.rounds {
		for _, e := range todo {
			fmt.Fprintf(progress, "round %d of %d, %s (%.0f s)\n", round+1, f.rounds, e.name, time.Since(began).Seconds())
			if err := perform(ctx, e, systems, round, f, &r); err != nil {
				return err
			}
		}
	}
	r.print(out, systems)
	return nil
}

// perform runs an experiment with every system, each round in another order.
func perform(ctx context.Context, e experiment, systems []contender, round int, f flags, r *results) error {
	n := len(systems)
	if e.idle {
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i, c := range systems {
			wg.Go(func() { errs[i] = try(ctx, e, c, f, r) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	for i := range systems {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := try(ctx, e, systems[(i+round)%n], f, r); err != nil {
			return err
		}
	}
	return nil
}
