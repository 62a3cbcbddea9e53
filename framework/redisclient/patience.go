package redisclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// changePatience is how long a command is sent again while the server answers
	// that it cannot serve it now; go-redis alone gives up after a tenth of a second.
	changePatience = 5 * time.Second
	firstPause     = 20 * time.Millisecond
	lastPause      = 500 * time.Millisecond
)

// passing are the answers of servers in the middle of a change: a start, a
// failover, a migration of slots. They mean that the command was not run.
var passing = []string{"LOADING ", "READONLY ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "NOREPLICAS "}

// Refused says whether err means that no server ran the command because of the
// state it is in now: it could not be dialled, or answered that it cannot serve
// the command in the middle of a change. Sending the command again is safe,
// whatever it does, and will help once the change is over.
func Refused(err error) bool {
	var op *net.OpError
	return inPassing(err) || redirected(err) || errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout)
}

// redirected says whether a cluster's client ran out of redirections, which it
// does when answers change while it follows them.
func redirected(err error) bool { return hasPrefix(err, "MOVED ", "ASK ") }

// inPassing says whether a server answered that it cannot serve a command now.
func inPassing(err error) bool { return hasPrefix(err, passing...) }

// patientHook sends a command again, with pauses, while servers answer that they
// cannot serve it now. Pipelines are left alone: some of their commands may have
// run.
type patientHook struct{ cluster bool }

// atOnce is the key of a context whose commands are not sent again.
type atOnce struct{}

func (patientHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (patientHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h patientHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || ctx.Value(atOnce{}) != nil {
			return err
		}
		end := time.Now().Add(changePatience)
		for d := firstPause; h.again(err) && time.Now().Add(d).Before(end); d = min(2*d, lastPause) {
			if pause(ctx, d*3/4+rand.N(d/2), nil) != nil {
				return err // says more than the end of the context
			}
			cmd.SetErr(nil)
			err = next(ctx, cmd)
		}
		return err
	}
}

// again: a redirection from what was taken for a single server is a mistake in
// the configuration.
func (h patientHook) again(err error) bool { return inPassing(err) || h.cluster && redirected(err) }
