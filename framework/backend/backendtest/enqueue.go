package backendtest

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/wire"
)

var enqueueTests = []test{
	{"EveryMember", enqueueEveryMember},
	{"Order", enqueueOrder},
	{"In", enqueueIn},
	{"AtFuture", enqueueAtFuture},
	{"AtPast", enqueueAtPast},
	{"InOverridesAt", enqueueInOverridesAt},
	{"LargestBatch", enqueueLargestBatch},
	{"OneLargeJob", enqueueOneLargeJob},
	{"TooMuch", enqueueTooMuch},
	{"EndedContext", enqueueEndedContext},
	{"WithoutJoining", enqueueWithoutJoining},
	{"NamesTheBackend", enqueueNamesTheBackend},
}

// A job arrives with everything that it was enqueued with.
func enqueueEveryMember(r *rig) {
	jobs := r.jobs(2)
	jobs[0].Envelope.Headers = map[string]string{"traceparent": "00-1-2-3", "x": "ü\"\\\n"}
	jobs[0].Envelope.Timeout = 1500 * time.Millisecond
	jobs[0].Envelope.MaxAttempts = 7
	jobs[0].Envelope.Payload = []byte(`{"big":12345678901234567890,"empty":[],"s":"</script>"}`)
	jobs[1].Envelope.ContentType = "application/octet-stream"
	jobs[1].Envelope.Payload = []byte{0, 255, '"', '\n', 128}
	r.want("accepted ids", r.enqueue(jobs...), []string{jobs[0].Envelope.ID, jobs[1].Envelope.ID})

	for i, d := range r.join(Options{}).takeN(2) {
		want := jobs[i].Envelope
		if d.Bad != nil {
			r.Fatal(d.Bad)
		}
		if !bytes.Equal(d.Payload, want.Payload) {
			r.Errorf("payload %q, want %q", d.Payload, want.Payload)
		}
		r.want("id, kind and queue", []string{d.ID, d.Kind, d.Queue}, []string{want.ID, want.Kind, r.queue})
		r.want("headers", d.Headers, want.Headers)
		r.want("budgets", []any{d.MaxAttempts, d.Timeout, d.Attempt}, []any{want.MaxAttempts, want.Timeout, 0})
		r.want("content type", d.ContentType, want.ContentType)
		r.want("n and s of a first delivery", []int64{d.N, d.S}, []int64{1, 0})
		if back, err := wire.Parse(d.Raw()); err != nil || back.ID != d.ID {
			r.Errorf("Raw does not read back: %v", err)
		}
	}
}

// Jobs come out in the order in which they went in, over batches.
func enqueueOrder(r *rig) {
	want := append(r.enqueue(r.jobs(3)...), r.enqueue(r.jobs(4)...)...)
	r.want("order", ids(r.join(Options{}).takeN(7)), want)
}

// A delayed job is due by the server's clock, and nobody gets it before.
func enqueueIn(r *rig) {
	before := r.serverTime()
	id := r.enqueue(delayed(r.job(), time.Hour))[0]
	after := r.serverTime()
	r.join(Options{}).none()
	r.dueBetween(id, before.Add(time.Hour), after.Add(time.Hour))
	r.holds(byState{backend.Scheduled: 1}, 0)
}

// A job with a time of its own is due at exactly that.
func enqueueAtFuture(r *rig) {
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	job := r.job()
	job.Envelope.At = at
	id := r.enqueue(job)[0]
	r.join(Options{}).none()
	r.dueBetween(id, at, at)
	r.holds(byState{backend.Scheduled: 1}, 0)
}

// A time in the past means now.
func enqueueAtPast(r *rig) {
	job := r.job()
	job.Envelope.At = time.Now().Add(-time.Hour)
	id := r.enqueue(job)[0]
	r.want("taken", r.join(Options{}).one().ID, id)
}

// In wins over At, in both directions.
func enqueueInOverridesAt(r *rig) {
	early, late := delayed(r.job(), time.Hour), delayed(r.job(), time.Hour)
	early.Envelope.At = time.Now().Add(-time.Hour)
	late.Envelope.At = time.Now().Add(100 * time.Hour)
	before := r.serverTime()
	for _, id := range r.enqueue(early, late) {
		r.dueBetween(id, before.Add(time.Hour), before.Add(2*time.Hour))
	}
}

// A batch of MaxBatchJobs is accepted, all of it, with ready and delayed mixed.
func enqueueLargestBatch(r *rig) {
	jobs := r.jobs(backend.MaxBatchJobs)
	for i := range jobs {
		if i%2 == 1 {
			jobs[i].In = time.Hour
		}
	}
	r.want("accepted", len(r.enqueue(jobs...)), len(jobs))
	r.holds(byState{backend.Ready: int64(len(jobs) / 2), backend.Scheduled: int64(len(jobs) / 2)}, 0)
}

// One job may be larger than the byte limit of a batch.
func enqueueOneLargeJob(r *rig) {
	job := r.job()
	job.Envelope.Payload = []byte(`"` + strings.Repeat("x", 2*backend.MaxBatchBytes) + `"`)
	r.enqueue(job)
	d := r.join(Options{}).one()
	if !bytes.Equal(d.Payload, job.Envelope.Payload) {
		r.Fatalf("a payload of %d bytes came back as %d", len(job.Envelope.Payload), len(d.Payload))
	}
}

// A batch beyond the limits is an error and accepts nothing.
func enqueueTooMuch(r *rig) {
	large := r.jobs(3)
	for i := range large {
		large[i].Envelope.Payload = []byte(`"` + strings.Repeat("x", backend.MaxBatchBytes/2) + `"`)
	}
	before := r.snapshot()
	for name, jobs := range map[string][]backend.Job{
		"no job": nil, "one job too many": r.jobs(backend.MaxBatchJobs + 1), "too many bytes": large,
	} {
		_, err := r.producer.Enqueue(r.Context(), backend.Batch{Producer: r.producerID, Number: 1, Jobs: jobs})
		if err == nil {
			r.Errorf("%s: accepted", name)
		}
		r.unchanged(before)
	}
}

// A context that has ended is the error; the same batch can be sent again.
func enqueueEndedContext(r *rig) {
	b := r.batch(r.jobs(2)...)
	_, err := r.producer.Enqueue(r.ended(), b)
	r.wantErr(err, context.Canceled)
	_, err = r.producer.Enqueue(r.Context(), b)
	r.must(err)
	r.want("taken", len(r.join(Options{}).take(10)), 2)
}

// Enqueue needs no Beat, and makes nobody a worker.
func enqueueWithoutJoining(r *rig) {
	r.enqueue(r.job())
	r.want("workers", r.join(Options{}).beat().Workers, 1)
}

// Whoever comes first writes into meta which backend the queue has.
func enqueueNamesTheBackend(r *rig) {
	r.enqueue(r.job())
	got, err := r.h.Client.HGet(r.Context(), r.h.Key(r.queue, "meta"), "backend").Result()
	r.must(err)
	r.want("backend in meta", got, r.counts().Backend)
}

func delayed(job backend.Job, in time.Duration) backend.Job {
	job.In = in
	return job
}

// serverTime asks the node that keeps the queue: the hosts' clocks may differ.
func (r *rig) serverTime() time.Time {
	r.Helper()
	now, err := r.h.Client.Time(r.Context()).Result()
	r.must(err)
	return now.Truncate(time.Millisecond)
}

// dueBetween checks the time at which a parked job is due, as the server keeps it.
func (r *rig) dueBetween(id string, from, to time.Time) {
	r.Helper()
	score, err := r.h.Client.ZScore(r.Context(), r.h.Key(r.queue, "scheduled"), id).Result()
	r.must(err)
	if at := time.UnixMilli(int64(score)); at.Before(from) || at.After(to.Add(time.Millisecond)) {
		r.Fatalf("due at %v, want between %v and %v", at, from, to)
	}
}

// moveDue sets when a parked job is due, counted from now on the server's clock.
func (r *rig) moveDue(zset, id string, in time.Duration) {
	r.Helper()
	at := r.serverTime().Add(in).UnixMilli()
	r.must(r.h.Client.ZAdd(r.Context(), r.h.Key(r.queue, zset), redis.Z{Score: float64(at), Member: id}).Err())
}
