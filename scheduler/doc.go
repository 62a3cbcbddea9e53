// Package scheduler makes due jobs ready at their time.
//
// A Promoter serves one queue. The queue's beats say which incarnation is the
// one to promote and when the next scheduled or retry job is due; a hint says
// that an earlier one has arrived. In between the Promoter sleeps on its own
// clock and sends nothing. Promotion itself is one script of the backend, safe
// to repeat and safe from anywhere: two promoters at the same time cost a
// command, never a job.
package scheduler
