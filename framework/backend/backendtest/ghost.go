package backendtest

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/colonyq/colony/framework/backend"
)

var ghostTests = []test{
	{"LostReply", ghostLostReply},
	{"NotStolenFromATake", ghostNotStolen},
	{"Released", ghostReleased},
}

// lost is a worker whose take of so many jobs went through while its reply was
// lost.
func (r *rig) lost(n int) (*worker, []string) {
	r.Helper()
	client, lose := r.lossy()
	want := r.enqueue(r.jobs(n)...)
	w := r.join(Options{Client: client})
	lose()
	if _, err := w.Take(r.Context(), n, false); err == nil {
		r.Fatal("the reply was lost and Take reports success")
	}
	r.holds(byState{backend.Active: int64(n)}, 0)
	return w, want
}

// What a lost reply delivered comes back from a later beat, once, and can be
// settled.
func ghostLostReply(r *rig) {
	w, want := r.lost(3)
	w.none()
	var got []*backend.Delivery
	r.eventually("the ghosts appear", func() bool {
		got = append(got, w.beat().Ghosts...)
		return len(got) >= len(want)
	})
	for range 4 {
		got = append(got, w.beat().Ghosts...)
	}
	r.want("ghosts", sorted(ids(got)), sorted(want))
	for _, d := range got {
		r.want("n, s", []int64{d.N, d.S}, []int64{1, 0})
	}
	w.done(got...)
	r.holds(byState{}, 3)
}

// A beat beside a take never calls a delivery a ghost that the take returns.
func ghostNotStolen(r *rig) {
	const n = 400
	r.enqueue(r.jobs(n)...)
	w := r.join(Options{})
	seen := map[string]int{}
	ctx, stop := context.WithCancel(r.Context())
	var ghosts []*backend.Delivery
	var g errgroup.Group
	g.Go(func() error {
		for ctx.Err() == nil {
			p, err := w.Beat(r.Context())
			if err != nil {
				return err
			}
			ghosts = append(ghosts, p.Ghosts...)
		}
		return nil
	})
	for taken := 0; taken < n; {
		got := w.take(5)
		taken += len(got)
		for _, d := range got {
			seen[d.ID]++
		}
		if len(got) == 0 {
			r.Errorf("%d of %d jobs came from Take", taken, n)
			break
		}
	}
	stop()
	r.must(g.Wait())
	r.want("ghosts", len(ghosts), 0)
	r.want("jobs", len(seen), n)
}

// A worker that leaves releases its ghosts like all that it holds.
func ghostReleased(r *rig) {
	w, want := r.lost(2)
	r.must(w.Close(r.Context()))
	r.want("jobs", ids(r.join(Options{}).takeN(2)), want)
}
