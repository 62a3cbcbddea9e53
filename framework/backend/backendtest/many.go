package backendtest

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/colonyq/colony/framework/backend"
)

var manyTests = []test{
	{"OneWorker", manyOneWorker},
	{"TwoWorkers", manyTwoWorkers},
}

// manyJobs are enough that no step of a script can take them all.
const manyJobs = 10_000

// One worker gets 2,500 jobs in the order in which they were enqueued.
func manyOneWorker(r *rig) {
	want := r.enqueue(r.jobs(manyJobs / 4)...)
	w := r.join(Options{})
	var got []string
	for len(got) < len(want) {
		d := w.takeN(min(250, len(want)-len(got)))
		got = append(got, ids(d)...)
		w.done(d...)
	}
	if !slices.Equal(got, want) {
		r.Fatal("the order is not that of the producer")
	}
	r.holds(byState{}, manyJobs/4)
}

// Two workers that wait, take, settle and beat get 10,000 jobs, each once, while
// the producer is still at it; what was enqueued is what ended.
func manyTwoWorkers(r *rig) {
	var g errgroup.Group
	ctx, cancel := context.WithTimeout(r.Context(), 6*patience)
	defer cancel()
	runs := make([][]int, 2)
	for i := range runs {
		w := r.join(Options{})
		g.Go(func() (err error) {
			runs[i], err = w.work(ctx)
			return err
		})
	}
	var batches [][]backend.Job
	for chunk := range slices.Chunk(r.jobs(manyJobs), 500) {
		batches = append(batches, chunk)
	}
	for _, jobs := range batches {
		r.enqueue(jobs...)
	}
	last := []backend.Job{r.job(), r.job()} // one for each: the end
	for i := range last {
		last[i].Envelope.Kind = "test.end"
	}
	r.eventually("all is done", func() bool { return r.counts().Ended == manyJobs })
	r.enqueue(last...)
	r.must(g.Wait())

	seen := make([]int, manyJobs+1)
	for _, run := range runs {
		if !slices.IsSorted(run) {
			r.Error("a worker got a later job before an earlier one")
		}
		for _, n := range run {
			seen[n]++
		}
	}
	for n := 1; n <= manyJobs; n++ {
		if seen[n] != 1 {
			r.Fatalf("job %d was delivered %d times", n, seen[n])
		}
	}
	r.holds(byState{}, manyJobs+2)
}

// work runs a worker until it gets a job that says so; it returns the numbers of
// the jobs it got, in order.
func (w *worker) work(ctx context.Context) (got []int, err error) {
	for {
		taken, err := w.Take(ctx, 100, false)
		if err != nil {
			return got, err
		}
		ended := false
		deliveries := taken.Deliveries
		for i, d := range deliveries {
			if d.Kind == "test.end" && ended {
				// The other worker's: back to the line.
				return got, w.endWith(ctx, deliveries[:i], deliveries[i:])
			}
			ended = ended || d.Kind == "test.end"
			if d.Kind == "test.kind" {
				var n int
				if _, err := fmt.Sscan(string(d.Payload), &n); err != nil {
					return got, err
				}
				got = append(got, n)
			}
		}
		if len(deliveries) > 0 || ended {
			if err := w.endWith(ctx, deliveries, nil); err != nil || ended {
				return got, err
			}
			continue
		}
		p, err := w.Beat(ctx)
		if err != nil {
			return got, err
		}
		if len(p.Ghosts) > 0 {
			return got, fmt.Errorf("%d ghosts, though no reply was lost", len(p.Ghosts))
		}
		if err := w.Wait(ctx, patience); err != nil {
			return got, err
		}
	}
}

func (w *worker) endWith(ctx context.Context, done, back []*backend.Delivery) error {
	s := append(verdicts(backend.Done, done...), verdicts(backend.Release, back...)...)
	outcomes, err := w.Settle(ctx, s)
	for _, o := range outcomes {
		if o.State != backend.Applied {
			return fmt.Errorf("a settlement was %s: %w", stateName(o.State), o.Err)
		}
	}
	return err
}
