package backendtest

import (
	"fmt"
	"strings"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

var junkTests = []test{
	{"Unreadable", junkUnreadable},
	{"Headless", junkHeadless},
	{"Headed", junkHeaded},
	{"Huge", junkHuge},
	{"BesideGood", junkBesideGood},
	{"Foreign", junkForeign},
	{"CountedOnce", junkCountedOnce},
	{"SameIDTwice", junkSameIDTwice},
	{"OnePlace", junkOnePlace},
}

// unreadable are entries that no reader can make a job of.
var unreadable = map[string]string{
	"text": "hello", "array": `[1,2]`, "empty": "", "number": "42", "null": "null", "string": `"x"`,
	"cut":      `{"kind":"test.kind","payl`,
	"cutHead":  `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,`,
	"trailing": `{"kind":"test.kind","payload":1}}`,
	"binary":   "\x00\xff\xfe{}",
}

// headless are JSON objects without a good head that are no jobs all the same:
// they get a head before anybody sees that.
var headless = map[string]string{
	"noKind":      `{"payload":1}`,
	"oddKind":     `{"kind":5,"payload":1}`,
	"brokenID":    `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FA","n":1,"s":0,"kind":5,"payload":1}`,
	"emptyObject": `{}`,
}

// headed are entries with a head that somebody made up, and nothing good behind
// it. They are believed, so they are not counted as enqueued.
var headed = map[string]string{
	"cut":    `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,"s":0,"kind":"test.kind","payl`,
	"noKind": `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAW","n":1,"s":0,"v":1,"payload":1}`,
	"newer":  `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAX","n":1,"s":7,"v":999,"payload":1}`,
}

func (r *rig) push(entries ...string) {
	r.Helper()
	for _, e := range entries {
		r.must(r.h.Push(r.Context(), r.queue, []byte(e)))
	}
}

// drain takes and settles until nothing is left, as a worker does: what cannot
// be read is dead, the rest is done. It returns what was done.
func (w *worker) drain() []*backend.Delivery {
	w.r.Helper()
	var good []*backend.Delivery
	for {
		taken, err := w.Take(w.r.Context(), 100, false)
		w.r.must(err)
		var s []backend.Settlement
		for _, d := range taken.Deliveries {
			if d.Bad != nil {
				s = append(s, backend.Settlement{Delivery: d, Verdict: backend.Dead, Reason: "unreadable", Error: d.Bad.Error()})
				continue
			}
			good = append(good, d)
			s = append(s, word(backend.Done, d))
		}
		if len(s) > 0 {
			w.settle(backend.Applied, s...)
		}
		if len(s) == 0 && !taken.More {
			return good
		}
	}
}

// What cannot be read ends in dead, with its bytes and the reason, counted as
// enqueued.
func junkUnreadable(r *rig) {
	for name, entry := range unreadable {
		r.sub(name, func(r *rig) { r.deadJunk(entry) })
	}
}

// Size is no excuse: an unreadable entry above every budget ends there too.
func junkHuge(r *rig) { r.deadJunk(strings.Repeat("x", backend.MaxSliceBytes+1)) }

func (r *rig) deadJunk(entry string) {
	r.Helper()
	if got := r.onlyDead(entry); got != entry {
		r.Fatalf("the payload of the dead job is %.200q, want the raw entry %.200q", got, entry)
	}
	r.holds(byState{backend.DeadState: 1}, 0)
}

// onlyDead pushes an entry that nobody can read, and returns the payload of the
// dead job that it became.
func (r *rig) onlyDead(entry string) string {
	r.Helper()
	r.push(entry)
	if good := r.join(Options{}).drain(); len(good) > 0 {
		r.Fatalf("%.200q was delivered as kind %q", entry, good[0].Kind)
	}
	dead, err := r.inspector().List(r.Context(), backend.DeadState, 0, 10)
	r.must(err)
	r.want("dead jobs", len(dead), 1)
	r.want("reason", dead[0].Reason, "unreadable")
	r.want("length of the id", len(dead[0].ID), 26)
	if dead[0].ContentType == "" || dead[0].ContentType == wire.JSON {
		r.Errorf("content type %q, want one that says it is no JSON", dead[0].ContentType)
	}
	return string(dead[0].Payload)
}

// An object that got a head and turns out to be no job is kept with all its
// bytes behind that head, and counted as enqueued.
func junkHeadless(r *rig) {
	for name, entry := range headless {
		r.sub(name, func(r *rig) {
			if got := r.onlyDead(entry); !strings.HasSuffix(got, entry[1:]) {
				r.Fatalf("the payload of the dead job is %q, want it to end in %q", got, entry[1:])
			}
			r.holds(byState{backend.DeadState: 1}, 0)
		})
	}
}

// An entry whose head is good and whose rest is not is kept as it is.
func junkHeaded(r *rig) {
	for name, entry := range headed {
		r.sub(name, func(r *rig) { r.want("payload", r.onlyDead(entry), entry) })
	}
}

// Junk does not stop, reorder or harm the good jobs around it.
func junkBesideGood(r *rig) {
	var want []string
	for _, entry := range unreadable {
		want = append(want, r.enqueue(r.job())...)
		r.push(entry)
	}
	want = append(want, r.enqueue(r.job())...)
	r.want("good jobs", ids(r.join(Options{}).drain()), want)
	r.holds(byState{backend.DeadState: int64(len(unreadable))}, int64(len(want)))
}

// An entry of a foreign producer is a job: with members in any order, with an
// id of its own or none.
func junkForeign(r *rig) {
	id := newID()
	for name, entry := range map[string]string{
		"OwnID":   fmt.Sprintf(`{ "kind": "test.kind", "payload": {"a": [1, 2.50, 12345678901234567890]}, "id": %q, "v": 1 }`, id),
		"NoID":    `{"v":1,"kind":"test.kind","payload":{"a": [1, 2.50, 12345678901234567890]}}`,
		"Unknown": `{"v":1,"flavour":{"x":[]},"kind":"test.kind","payload":{"a": [1, 2.50, 12345678901234567890]}}`,
		"Space":   "\n\t{\"v\":1,\"kind\":\"test.kind\",\"payload\":{\"a\": [1, 2.50, 12345678901234567890]}}\n",
	} {
		r.sub(name, func(r *rig) {
			r.push(entry)
			w := r.join(Options{})
			d := w.one()
			if d.Bad != nil {
				r.Fatal(d.Bad)
			}
			if name == "OwnID" {
				r.want("id", d.ID, id)
			}
			r.want("length of the id", len(d.ID), 26)
			r.want("kind, n, s", []any{d.Kind, d.N, d.S}, []any{"test.kind", 1, 0})
			if got := strings.ReplaceAll(string(d.Payload), " ", ""); got != `{"a":[1,2.50,12345678901234567890]}` {
				r.Errorf("payload %s: numbers or members were changed", d.Payload)
			}
			r.holds(byState{backend.Active: 1}, 0)
			w.done(d)
			r.holds(byState{}, 1)
		})
	}
}

// A foreign entry is counted as enqueued by its first delivery alone.
func junkCountedOnce(r *rig) {
	r.push(`{"v":1,"kind":"test.kind","payload":1}`)
	w := r.join(Options{})
	first := w.one()
	r.want("enqueued", r.counts().Enqueued, 1)
	w.settle(backend.Applied, word(backend.Release, first))
	r.want("enqueued after a release", r.counts().Enqueued, 1)
	again := w.one()
	r.want("id of the second delivery", again.ID, first.ID)
	if again.N <= first.N {
		r.Errorf("n went from %d to %d", first.N, again.N)
	}
	w.done(again)
	r.holds(byState{}, 1)
}

// Two foreign entries of one id in one hand are one delivery, and the counts
// know it.
func junkSameIDTwice(r *rig) {
	entry := fmt.Sprintf(`{"kind":"test.kind","id":%q,"payload":1}`, newID())
	r.push(entry, entry)
	w := r.join(Options{})
	d := w.one()
	r.want("enqueued", r.counts().Enqueued, 2)
	r.holds(byState{backend.Active: 1}, 1)
	w.done(d)
	r.holds(byState{}, 2)
}

// Whatever an entry holds, it is delivered or dead, once, and leaves the hand
// when it is settled.
func junkOnePlace(r *rig) {
	entries := []string{
		`{}`,
		`{"id":"x","kind":"test.kind"}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","id":"01BX5ZZKBKACTAV9WEVGEMMVRZ","kind":"test.kind","payload":1}`,
		`{"id":"00000000000000000000000:%1","n":1,"s":0,"kind":"a","payload":1}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAX","n":99999999999999999999,"s":0,"v":1,"kind":"a","payload":1}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAY","n":-1,"s":-5,"v":1,"kind":"a","payload":1}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAZ","n":01,"s":0,"v":1,"kind":"a","payload":1}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FB0","n":1,"s":00,"v":1,"kind":"a","payload":1}`,
		`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FB1", "n":1,"s":0,"v":1,"kind":"a","payload":1}`,
		`{"kind":"a","payload":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
		"{\"kind\":\"a\",\"payload\":\"\xff\"}",
	}
	r.push(entries...)
	good := len(r.join(Options{}).drain())
	c := r.counts()
	r.want("enqueued", c.Enqueued, len(entries))
	r.want("delivered and dead together", int64(good)+c.Dead, len(entries))
	r.want("ended", c.Ended, good)
}
