package backendtest

import (
	"time"

	"github.com/colonyq/colony/framework/backend"
)

var producerTests = []test{
	{"Resend", producerResend},
	{"ResendAfterSettle", producerResendAfterSettle},
	{"LostReply", producerLostReply},
	{"Gap", producerGap},
	{"GapAtStart", producerGapAtStart},
	{"OldNumber", producerOldNumber},
	{"OtherJobsSameNumber", producerOtherJobs},
	{"Forgotten", producerForgotten},
	{"FreshID", producerFreshID},
	{"Stale", producerStale},
	{"StaleResend", producerStaleResend},
	{"NotAfterAhead", producerNotAfterAhead},
}

// A resend of the last batch answers the same and changes nothing.
func producerResend(r *rig) {
	r.enqueue(r.job())
	b := r.batch(r.job(), delayed(r.job(), time.Hour), r.job())
	first, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
	before := r.snapshot()
	for range 2 {
		again, err := r.producer.Enqueue(r.Context(), b)
		r.must(err)
		r.want("answer to the resend", again, first)
	}
	r.unchanged(before)
	r.holds(byState{backend.Ready: 3, backend.Scheduled: 1}, 0)
}

// A resend that comes late, when the jobs are done already, does not bring them
// back.
func producerResendAfterSettle(r *rig) {
	b := r.batch(r.jobs(2)...)
	first, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
	w := r.join(Options{})
	w.done(w.takeN(2)...)
	again, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
	r.want("answer to the resend", again, first)
	w.none()
	r.holds(byState{}, 2)
}

// A reply that is lost on the way leaves an error; the resend finds the jobs
// accepted once.
func producerLostReply(r *rig) {
	client, lose := r.lossy()
	p := r.open(Options{Client: client})
	b := r.batch(r.jobs(3)...)
	lose()
	if _, err := p.Enqueue(r.Context(), b); err == nil {
		r.Fatal("the reply was lost and Enqueue reports success")
	}
	accepted, err := p.Enqueue(r.Context(), b)
	r.must(err)
	r.want("accepted", len(accepted), 3)
	r.holds(byState{backend.Ready: 3}, 0)
}

// refused checks that a batch answers ErrGap and changes nothing.
func (r *rig) refused(b backend.Batch, want error) {
	r.Helper()
	before := r.snapshot()
	_, err := r.producer.Enqueue(r.Context(), b)
	r.wantErr(err, want)
	r.unchanged(before)
}

// A number was left out: what was acknowledged under it is lost.
func producerGap(r *rig) {
	r.enqueue(r.job())
	r.number++
	r.refused(r.batch(r.job()), backend.ErrGap)
}

// A producer that the server has never seen begins with 1.
func producerGapAtStart(r *rig) {
	r.number++
	r.refused(r.batch(r.job()), backend.ErrGap)
}

// A number below the last one is not a resend of the last batch.
func producerOldNumber(r *rig) {
	first := r.batch(r.job())
	_, err := r.producer.Enqueue(r.Context(), first)
	r.must(err)
	r.enqueue(r.job())
	r.refused(first, backend.ErrGap)
}

// The last number with other jobs is no resend either: two processes share an id.
func producerOtherJobs(r *rig) {
	r.enqueue(r.job())
	r.number--
	r.refused(r.batch(r.job()), backend.ErrGap)
}

// The server forgot the producer (a failover, a deletion): its next batch is a
// gap, for nobody knows what became of the earlier ones.
func producerForgotten(r *rig) {
	r.enqueue(r.job())
	r.must(r.h.Client.Del(r.Context(), r.h.Key(r.queue, "producer:"+r.producerID)).Err())
	r.refused(r.batch(r.job()), backend.ErrGap)
}

// Producers number on their own: a fresh id begins with 1 beside others.
func producerFreshID(r *rig) {
	r.enqueue(r.job())
	r.enqueue(r.job())
	r.producerID, r.number = newID(), 0
	r.enqueue(r.job())
	r.holds(byState{backend.Ready: 3}, 0)
}

// A batch that comes after its time is refused, and its number stays free.
func producerStale(r *rig) {
	r.enqueue(r.job())
	b := r.batch(r.job())
	b.NotAfter = r.serverTime().Add(-time.Millisecond)
	r.refused(b, backend.ErrStale)
	b.NotAfter = time.Time{}
	_, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
	r.holds(byState{backend.Ready: 2}, 0)
}

// A resend after NotAfter doubles nothing, whichever way it is answered.
func producerStaleResend(r *rig) {
	b := r.batch(r.job())
	b.NotAfter = r.serverTime().Add(300 * time.Millisecond)
	_, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
	r.eventually("NotAfter passes", func() bool { return r.serverTime().After(b.NotAfter) })
	before := r.snapshot()
	if _, err := r.producer.Enqueue(r.Context(), b); err != nil {
		r.wantErr(err, backend.ErrStale)
	}
	r.unchanged(before)
}

// A batch before its time is accepted.
func producerNotAfterAhead(r *rig) {
	b := r.batch(r.job())
	b.NotAfter = r.serverTime().Add(time.Minute)
	_, err := r.producer.Enqueue(r.Context(), b)
	r.must(err)
}
