// Package engine is the runtime of a worker: slots, the choice among queues,
// beats, settlements and shutdown. It knows the contract of a backend and
// nothing of what a handler is: Config.Run runs one delivery and says what
// became of it.
//
// # What it guarantees
//
// A delivery that a Take or a Beat handed over is either run and settled, or
// released unrun, or (when the lease is lost) its context ends with
// [backend.ErrLeaseLost] and its result is thrown away; the server's fence
// refuses whatever a zombie still says. The lease is counted on this process's
// own monotonic clock from before the last successful beat was sent, and it is
// enforced by a timer, even while every call to the server hangs. A settlement
// whose reply was lost is sent again, unchanged, until it is answered or the
// lease is over. A suspect runs while the worker holds nothing else.
//
// # Goroutines
//
//   - dispatcher, one: says which queue may take how many, and which may wait.
//   - lane, one per queue: opens an incarnation, joins, and opens the next one
//     when that was lost; closes the last one at the end.
//   - fetcher, one per incarnation: carries out the dispatcher's orders, a Take
//     or a Wait at a time.
//   - flusher, one per incarnation: settles what has ended, all that came
//     together while the last call was on its way in one batch.
//   - beater, one per incarnation: renews the lease and acts on what it saw.
//   - slots, one per running job up to the concurrency: run job after job while
//     some are there, then end.
//   - burial, one per lost incarnation: waits for its last handler, then frees
//     what its Queue value holds.
//   - drain watch, one, when Config.Drained is set.
//
// # Contexts
//
//   - Run's ctx: its end begins the shutdown, nothing else hangs on it.
//   - handlers: parent of all handlers' contexts; ends with
//     [backend.ErrShutdown] when the shutdown timeout is over or on Abort.
//   - incarnation.ctx, below handlers: ends with [backend.ErrLeaseLost].
//   - a job's own, below that: ends with [backend.ErrCanceled].
//   - work: the calls to the backend; ends last. incarnation.calls lies below
//     it, and each call's timeout below that.
//
// # Locking
//
// One mutex guards all that is shared. A job costs one short critical section:
// its end, its settlement and the choice of the slot's next job. No call to a
// backend, a handler or a logger is made under it.
package engine
