// Package framework is Colony's public API: define kinds of jobs, enqueue them,
// handle them.
//
//	var SendEmail = framework.DefineKind[Email]("email.send", framework.Queue("emails"))
//
//	app, err := framework.Open(ctx, cfg)
//	framework.Handle(app, SendEmail, func(ctx context.Context, j *framework.Job[Email]) error {
//		return smtp.Send(ctx, j.Payload)
//	})
//	err = app.Run(ctx) // until ctx ends
//
//	id, err := SendEmail.Enqueue(ctx, app, Email{To: "ada@example.org"}, framework.In(5*time.Minute))
//
// # Guarantees
//
// At least once: a job whose Enqueue returned nil is delivered until it is
// settled, cancelled or deleted by a person, as far as Redis keeps what it
// acknowledged. A handler may run more than once for a job, after a crash or a
// lost connection for instance, so let it be idempotent or pass Delivery.Fence
// to the resource that it writes to.
//
// A lost reply does not enqueue twice: see [ErrUnknownOutcome]. This holds
// within one App or Producer.
//
// Fenced: only the present holder of a delivery settles it. When a worker learns
// that it lost one, at the latest when the lease ends on its own clock, the
// handler's context ends with the cause [ErrLeaseLost].
//
// A job that fails is run again after min(1 s × 2^(n−1), 6 h) ± 20 % (n failures
// so far) until its attempts are used up; then it is dead and kept. A job that
// outlives more than three deaths of its workers is dead as well.
//
// # Verdicts
//
// What becomes of a run follows from the handler's error and from why its
// context ended (context.Cause). Of several joined verdicts Dead counts before
// RetryIn before Snooze.
//
//	the handler returned         | cause of its context         | outcome
//	nil                          | none, ErrTimeout, ErrShutdown | done
//	an error, panic, Goexit      | none, ErrTimeout              | a failure: retry, or dead after the last attempt
//	RetryIn(d, err)              | none, ErrTimeout, ErrShutdown | a failure: retry after d, or dead after the last attempt
//	Dead(err)                    | none, ErrTimeout, ErrShutdown | dead
//	Snooze(d)                    | none, ErrTimeout, ErrShutdown | run again after d, no attempt counted
//	any other error              | ErrShutdown                   | released, nothing counted
//	anything                     | ErrCanceled                   | cancelled, never retried
//	anything                     | ErrLeaseLost                  | discarded: the job is someone else's by now
//
// A payload that does not decode is dead at once (reason "rejected"). A job of a
// kind that nobody here handles is given back, with growing delays.
package framework
