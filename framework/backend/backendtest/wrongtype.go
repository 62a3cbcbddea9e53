package backendtest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var wrongTypeTests = []test{
	{"Enqueue", wrongTypeEnqueue},
	{"Take", wrongTypeTake},
	{"Settle", wrongTypeSettle},
	{"SettleOne", wrongTypeSettleOne},
	{"Beat", wrongTypeBeat},
	{"Reap", wrongTypeReap},
	{"Promote", wrongTypePromote},
	{"Close", wrongTypeClose},
	{"Cancel", wrongTypeCancel},
}

// spoil puts another type in the place of a key and returns what brings the old
// content back. The old one waits in the same slot meanwhile.
func (r *rig) spoil(key string) (mend func()) {
	r.Helper()
	ctx, c := r.Context(), r.h.Client
	kind, err := c.Type(ctx, key).Result()
	r.must(err)
	aside := r.h.Key(r.queue, "aside")
	if kind != "none" {
		r.must(c.Rename(ctx, key, aside).Err())
	}
	if kind == "string" || strings.HasSuffix(key, ":promoter") {
		r.must(c.LPush(ctx, key, "wrong").Err())
	} else {
		r.must(c.Set(ctx, key, "wrong", 0).Err())
	}
	return func() {
		r.Helper()
		r.must(c.Del(ctx, key).Err())
		if kind != "none" {
			r.must(c.Rename(ctx, aside, key).Err())
		}
	}
}

// eachKey runs a check for every key that a method must report. names are the
// ids that stand in for <inc>, <producer> and <dead>.
func (r *rig) eachKey(method string, run func(r *rig, key func(names ...string) string)) {
	r.Helper()
	suffixes := slices.Sorted(slices.Values(r.h.Touches[method]))
	if len(suffixes) == 0 {
		r.Fatalf("the harness names no key for %s", method)
	}
	for _, suffix := range suffixes {
		r.sub(strings.NewReplacer("<", "", ">", "", ":", "-").Replace(suffix), func(r *rig) {
			run(r, func(names ...string) string {
				return r.h.Key(r.queue, strings.NewReplacer(names...).Replace(suffix))
			})
		})
	}
}

// complains checks that a call reports the key and changes nothing, twice; and
// that it works when the key is mended.
func (r *rig) complains(key string, call func() error) {
	r.Helper()
	mend := r.spoil(key)
	before := r.snapshot()
	for range 2 {
		err := call()
		r.wantErr(err, backend.ErrWrongType)
		if !strings.Contains(err.Error(), key) {
			r.Errorf("the message does not name %s: %v", key, err)
		}
		r.unchanged(maps.Clone(before))
	}
	mend()
	r.must(call())
}

// A batch that meets a wrong type is not accepted, not even in part; mended, the
// same batch is.
func wrongTypeEnqueue(r *rig) {
	r.eachKey("Enqueue", func(r *rig, key func(...string) string) {
		r.enqueue(r.job())
		b := r.batch(r.job(), delayed(r.job(), time.Hour))
		r.complains(key("<producer>", r.producerID), func() error {
			_, err := r.producer.Enqueue(r.Context(), b)
			return err
		})
		r.holds(byState{backend.Ready: 2, backend.Scheduled: 1}, 0)
	})
}

// A take that meets a wrong type takes nothing.
func wrongTypeTake(r *rig) {
	r.eachKey("Take", func(r *rig, key func(...string) string) {
		r.enqueue(r.jobs(2)...)
		w := r.join(Options{})
		w.takeN(1)
		r.push("junk")
		got := 0
		r.complains(key("<inc>", w.id), func() error {
			taken, err := w.Take(r.Context(), 10, false)
			got = len(taken.Deliveries)
			return err
		})
		r.want("taken when mended", got, 1)
		r.holds(byState{backend.Active: 2, backend.DeadState: 1}, 0)
	})
}

// A key that every settlement needs refuses all of them.
func wrongTypeSettle(r *rig) {
	r.eachKey("Settle", func(r *rig, key func(...string) string) {
		w, d := r.held()
		r.complains(key("<inc>", w.id), func() error {
			_, err := w.Settle(r.Context(), verdicts(backend.Done, d))
			return err
		})
		r.holds(byState{}, 1)
	})
}

// A key that one verdict needs refuses that settlement alone: it is still held,
// the others are applied, and it can be settled when the key is mended.
func wrongTypeSettleOne(r *rig) {
	for _, x := range allVerdicts {
		if len(r.h.Touches["Settle/"+x.name]) == 0 {
			continue
		}
		r.sub(x.name, func(r *rig) {
			r.eachKey("Settle/"+x.name, func(r *rig, key func(...string) string) {
				r.enqueue(r.jobs(2)...)
				w := r.join(Options{})
				d := w.takeN(2)
				wrong := key("<inc>", w.id)
				mend := r.spoil(wrong)
				got, err := w.Settle(r.Context(), []backend.Settlement{word(x.v, d[0]), word(backend.Done, d[1])})
				r.must(err)
				r.want("outcomes", []backend.OutcomeState{got[0].State, got[1].State}, []backend.OutcomeState{backend.Refused, backend.Applied})
				r.wantErr(got[0].Err, backend.ErrWrongType)
				if !strings.Contains(got[0].Err.Error(), wrong) {
					r.Errorf("the message does not name %s: %v", wrong, got[0].Err)
				}
				mend()
				r.holds(byState{backend.Active: 1}, 1)
				w.settle(backend.Applied, word(x.v, d[0]))
				places, ended := after(x.v)
				r.holds(places, ended+1)
			})
		})
	}
}

// A beat that meets a wrong type renews the lease all the same and says what is
// wrong; only where leases themselves lie, it is an error.
func wrongTypeBeat(r *rig) {
	r.eachKey("Beat", func(r *rig, key func(...string) string) {
		w, d := r.held()
		r.enqueue(r.jobs(2)...)
		wrong := key("<inc>", w.id)
		except := "workers"
		if wrong == r.h.Key(r.queue, "workers") {
			except = "-"
		}
		mend := r.spoil(wrong)
		before := r.snapshot()
		p, err := w.Beat(r.Context())
		if err == nil {
			err = p.Trouble
		} else if except == "workers" {
			r.Errorf("the beat failed, so the lease was not renewed: %v", err)
		}
		r.wantErr(err, backend.ErrWrongType)
		if !strings.Contains(err.Error(), wrong) {
			r.Errorf("the message does not name %s: %v", wrong, err)
		}
		r.unchanged(before, except)
		mend()
		if p := w.beat(); p.Trouble != nil || p.Waiting != 2 {
			r.Errorf("mended, the beat says %+v", p)
		}
		w.done(d)
	})
}

// A dead worker's hand stays whole while a key has a wrong type, and is put back
// when it is mended.
func wrongTypeReap(r *rig) {
	r.eachKey("Reap", func(r *rig, key func(...string) string) {
		r.enqueue(r.jobs(2)...)
		dead, _ := r.doomed(2, false)
		w := r.join(Options{})
		r.overdueLease(dead)
		mend := r.spoil(key("<dead>", dead.id, "<inc>", w.id))
		before := r.snapshot()
		for range 2 {
			p := w.beat()
			r.wantErr(p.Trouble, backend.ErrWrongType)
			r.want("reaped", p.Reaped, 0)
			r.unchanged(maps.Clone(before), "workers")
		}
		mend()
		r.want("reaped when mended", w.bury(dead), 1)
		r.holds(byState{backend.Ready: 2}, 0)
	})
}

// A promotion that meets a wrong type moves nothing.
func wrongTypePromote(r *rig) {
	r.eachKey("Promote", func(r *rig, key func(...string) string) {
		r.enqueue(r.job())
		r.overdue(time.Second)
		w := r.join(Options{})
		r.complains(key("<inc>", w.id), func() error {
			_, err := w.Promote(r.Context(), 10)
			return err
		})
		r.holds(byState{backend.Ready: 2}, 0)
	})
}

// A Close that meets a wrong type releases nothing and can be called again.
func wrongTypeClose(r *rig) {
	r.eachKey("Close", func(r *rig, key func(...string) string) {
		w, _ := r.held()
		r.complains(key("<inc>", w.id), func() error { return w.Close(r.Context()) })
		r.holds(byState{backend.Ready: 1}, 0)
	})
}

// A cancellation that meets a wrong type ends nothing.
func wrongTypeCancel(r *rig) {
	r.eachKey("Cancel", func(r *rig, key func(...string) string) {
		id := r.overdue(time.Second)
		w := r.join(Options{})
		r.complains(key("<inc>", w.id), func() error { return r.control().Cancel(r.Context(), id) })
		r.gone(id)
		r.holds(byState{}, 1)
	})
}
