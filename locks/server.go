package locks

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/script"
)

//go:embed lua/*.lua
var embedded embed.FS

var files = script.Files(embedded)

// family are the scripts of a mutex, or of the kinds with several holders.
type family struct{ acquire, renew, release, look, raise *script.Script }

var (
	mutexScripts = load("mutex")
	shareScripts = load("share")
)

func load(name string) family {
	file := func(operation string) *script.Script { return script.New(name+"_"+operation+".lua", files) }
	return family{file("acquire"), file("renew"), file("release"), file("look"), file("raise")}
}

// server is the Backend on one Redis, be it a server, a Sentinel's master or a
// cluster.
type server struct {
	client    redis.UniversalClient
	namespace string
	tries     int // how often a command is sent whose answer was lost
}

// lockKeys are the keys, and the member or value that stands for the token.
func (s *server) lockKeys(r Request) (keys.Lock, string, family) {
	k := keys.ForLock(s.namespace, r.Name, r.Kind.group())
	if r.Kind == Exclusive {
		return k, r.Token, mutexScripts
	}
	return k, member(r.Kind, r.Token), shareScripts
}

// member of the holders' set; "" stays "".
func member(k Kind, token string) string {
	if token == "" {
		return ""
	}
	return k.letter() + token
}

// Acquire makes one try.
func (s *server) Acquire(ctx context.Context, r Request) (Grant, error) {
	k, me, scripts := s.lockKeys(r)
	names := []string{k.Token, k.Fence, k.Waiters}
	args := []any{me, millis(r.TTL), r.Previous, r.Waiter, r.Place, r.Patience.Milliseconds()}
	if r.Kind != Exclusive {
		names = []string{k.Holders, k.Fence, k.Waiters, k.Intent}
		args[2] = member(r.Kind, r.Previous)
		args = append(args, r.Kind.String(), r.Slots, keys.LockWake(s.namespace))
	}
	start := time.Now()
	v, _, err := s.run(ctx, scripts.acquire, names, args...)
	if err != nil {
		return Grant{}, err
	}
	n, err := integers(v, 2)
	if err != nil {
		return Grant{}, err
	}
	if n[0] == 1 {
		return Grant{Fence: uint64(n[1]), Fenced: true, Until: validUntil(start, r.TTL)}, nil
	}
	return Grant{RetryIn: max(0, time.Duration(n[1])*time.Millisecond), Place: n[2]}, ErrTaken
}

// Renew sets the TTL.
func (s *server) Renew(ctx context.Context, r Request) (time.Time, error) {
	k, me, scripts := s.lockKeys(r)
	names := []string{k.Token}
	if r.Kind != Exclusive {
		names = []string{k.Holders, k.Reserved}
	}
	start := time.Now()
	v, _, err := s.run(ctx, scripts.renew, names, me, millis(r.TTL))
	if err == nil && v != int64(1) {
		err = ErrNotOwned
	}
	if err != nil {
		return time.Time{}, err
	}
	return validUntil(start, r.TTL), nil
}

// Release frees the lock, or leaves the line.
func (s *server) Release(ctx context.Context, r Request) error {
	k, me, scripts := s.lockKeys(r)
	names := []string{k.Token, k.Waiters}
	if r.Kind != Exclusive {
		names = []string{k.Holders, k.Waiters, k.Intent}
	}
	v, resent, err := s.run(ctx, scripts.release, names, me, r.Waiter, keys.LockWake(s.namespace))
	switch {
	case err != nil:
		return err
	case v == int64(1), resent && (r.Until.IsZero() || time.Now().Before(r.Until)):
		return nil // a first try whose answer was lost did it: nothing else could have taken it by then
	}
	return ErrNotOwned
}

// State looks at the lock.
func (s *server) State(ctx context.Context, r Request) (State, error) {
	k, me, scripts := s.lockKeys(r)
	names := []string{k.Token, k.Fence, k.Waiters}
	if r.Kind != Exclusive {
		names[0] = k.Holders
	}
	v, _, err := s.run(ctx, scripts.look, names, me)
	if err != nil {
		return State{}, err
	}
	return readState(v, r.Kind)
}

// raise writes back the fence on which a quorum agreed.
func (s *server) raise(ctx context.Context, r Request, fence uint64) (bool, error) {
	k, me, scripts := s.lockKeys(r)
	names := []string{k.Token, k.Fence}
	if r.Kind != Exclusive {
		names[0] = k.Holders
	}
	v, _, err := s.run(ctx, scripts.raise, names, me, fence)
	return v == int64(1), err
}

// Listen passes on who is woken. go-redis connects anew by itself and subscribes
// again, which is announced like the first subscription.
func (s *server) Listen(ctx context.Context, manager string, wake func(string)) {
	sub := s.client.Subscribe(ctx, keys.LockWake(s.namespace)+manager)
	defer sub.Close()
	events := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(10*time.Second), redis.WithChannelSize(1000))
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-events:
			if !ok {
				return
			}
			switch e := event.(type) {
			case *redis.Message:
				wake(e.Payload)
			case *redis.Subscription:
				wake("")
			}
		}
	}
}

// run runs a script. It is sent again where the answer was lost or the server was
// in transition: every script here may be repeated. resent says that one sent
// before may have run.
func (s *server) run(ctx context.Context, sc *script.Script, names []string, args ...any) (v any, resent bool, err error) {
	for try := 1; ; try++ {
		v, err = sc.Run(ctx, s.client, names, args...)
		lost, again := judge(err)
		if !again || try >= s.tries || !pause(ctx, time.Duration(try*try)*10*time.Millisecond) {
			return v, resent, err
		}
		resent = resent || lost
	}
}

// judge says of an error whether the script may have run all the same, and
// whether another try can help.
func judge(err error) (lost, again bool) {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, redis.ErrClosed), errors.Is(err, context.Canceled):
		return false, false
	case !errors.As(err, &answer):
		return true, true
	}
	for _, prefix := range []string{"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED"} {
		if redis.HasErrorPrefix(err, prefix) {
			return false, true
		}
	}
	return false, false
}

// pause waits; false where the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// validUntil is when the holder stops trusting the lock: its TTL counted from
// before the command was sent, less 1 % for clocks that run at different speeds.
func validUntil(start time.Time, ttl time.Duration) time.Time {
	if ttl == NoExpiry {
		return time.Time{}
	}
	return start.Add(ttl - ttl/100)
}

// millis is a TTL as the scripts take it: 0 = none.
func millis(ttl time.Duration) int64 { return max(0, ttl.Milliseconds()) }

// integers reads an array of at least n integers.
func integers(v any, n int) ([]int64, error) {
	list, ok := v.([]any)
	if !ok || len(list) < n {
		return nil, fmt.Errorf("the script answered %v: is another program using its keys?", v)
	}
	out := make([]int64, len(list))
	for i := range list {
		if out[i], ok = list[i].(int64); !ok && i < n {
			return nil, fmt.Errorf("the script answered %v: is another program using its keys?", v)
		}
	}
	return out, nil
}

// readState reads what the look scripts return.
func readState(v any, kind Kind) (State, error) {
	n, err := integers(v, 4)
	if err != nil {
		return State{}, err
	}
	state := State{Locked: n[0] > 0, Owned: n[1] == 1, Waiters: int(n[2]), Fence: uint64(n[3])}
	list := v.([]any)
	for i := 4; i+1 < len(list); i += 2 {
		token, _ := list[i].(string)
		state.Holders = append(state.Holders, holder(kind, token, n[i+1]))
	}
	return state, nil
}

func holder(kind Kind, token string, ms int64) Holder {
	h := Holder{Token: token, Kind: kind, TTL: time.Duration(ms) * time.Millisecond}
	if ms < 0 {
		h.TTL = NoExpiry
	}
	if kind == Exclusive || token == "" {
		return h
	}
	for _, k := range []Kind{Slot, Read, Write} {
		if token[:1] == k.letter() {
			h.Kind, h.Token = k, token[1:]
		}
	}
	return h
}
