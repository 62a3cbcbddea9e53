package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// errNone is what a system answers that has no such operation.
var errNone = errors.New("has no such operation")

// system is one job system, on one queue of one server.
type system interface {
	// Enqueue enqueues payloads: one in the call that a user makes for one job,
	// several in the system's bulk call.
	Enqueue(ctx context.Context, payloads ...[]byte) error
	// EnqueueIn enqueues a job that is due after d.
	EnqueueIn(ctx context.Context, payload []byte, d time.Duration) error
	// Work starts a worker with so many slots, which calls handle with the payload
	// of each job. stop ends it in the system's orderly way.
	Work(slots int, handle func(payload []byte)) (stop func() error, err error)
	// Left is how many jobs lie in the server, in whatever state.
	Left(ctx context.Context) (int64, error)
	Close() error
}

// contender is a system that takes part.
type contender struct {
	name string
	open func(ctx context.Context, a address, queue string) (system, error)
	bulk bool // has a bulk call
	// drains is how many jobs it drains in a measurement, in percent of -jobs: so
	// many that every system is busy for about as long.
	drains int
}

var contenders = []contender{
	{name: "colony", open: openColony, bulk: true, drains: 100},
	{name: "asynq", open: openAsynq, drains: 10},
	{name: "bare", open: openBare, bulk: true, drains: 100},
}

const payloadSize = 100

// base makes every number ten digits long.
const base = 1_000_000_000

// payload is a JSON object of exactly 100 bytes that carries a number.
func payload(n int) []byte {
	return fmt.Appendf(nil, `{"number":%d,"pad":"%070d"}`, base+n, 0)
}

// number reads it back; -1 when it is not such a payload.
func number(p []byte) int {
	const from = len(`{"number":`)
	if len(p) != payloadSize {
		return -1
	}
	n, err := strconv.Atoi(string(p[from : from+10]))
	if err != nil {
		return -1
	}
	return n - base
}

// payloads are those of the numbers from from on.
func payloads(from, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = payload(from + i)
	}
	return out
}
