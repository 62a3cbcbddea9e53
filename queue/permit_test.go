package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/backend"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/framework/wire"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/queue"
)

// scripted are the commands that scripts call.
var scripted = []string{
	"time", "type", "hset", "hget", "hmget", "hdel", "hincrby", "hlen", "hkeys", "hexists", "hgetall", "lrange", "llen", "lpush", "rpush",
	"ltrim", "zadd", "zrem", "zscore", "zcard", "zcount", "zrange", "zrangebyscore", "zremrangebyscore", "get", "set", "del", "pexpire",
	"publish",
}

// limited is a queue whose user may lose rights.
type limited struct {
	*testing.T
	admin  *redis.Client
	client *redisclient.Client
	site   *site
	w      *queue.Queue
	inc    string
}

// A move prepares a queue and then does one thing.
var limitedMoves = map[string]func(l *limited) func(ctx context.Context) error{
	"enqueue now":   func(l *limited) func(context.Context) error { return l.enqueue(0) },
	"enqueue later": func(l *limited) func(context.Context) error { return l.enqueue(time.Hour) },
	"take": func(l *limited) func(context.Context) error {
		l.site.enqueue(l.w, 3, 10, 0)
		return func(ctx context.Context) error { _, err := l.w.Take(ctx, 2, false); return err }
	},
	"take junk": func(l *limited) func(context.Context) error {
		l.admin.RPush(l.Context(), l.site.keys.Ready, "junk")
		return func(ctx context.Context) error { _, err := l.w.Take(ctx, 2, false); return err }
	},
	"settle done":    func(l *limited) func(context.Context) error { return l.settle(backend.Done) },
	"settle retry":   func(l *limited) func(context.Context) error { return l.settle(backend.Retry) },
	"settle snooze":  func(l *limited) func(context.Context) error { return l.settle(backend.Snooze) },
	"settle dead":    func(l *limited) func(context.Context) error { return l.settle(backend.Dead) },
	"settle release": func(l *limited) func(context.Context) error { return l.settle(backend.Release) },
	"promote": func(l *limited) func(context.Context) error {
		l.site.enqueue(l.w, 3, 10, time.Millisecond)
		l.due()
		return func(ctx context.Context) error { _, err := l.w.Promote(ctx, 10); return err }
	},
	"beat with arrivals": func(l *limited) func(context.Context) error {
		l.site.enqueue(l.w, 3, 10, 0)
		l.admin.LMove(l.Context(), l.site.keys.Ready, l.site.keys.Arrivals, "LEFT", "RIGHT")
		return func(ctx context.Context) error { _, err := l.w.Beat(ctx); return err }
	},
	"leave": func(l *limited) func(context.Context) error {
		l.site.enqueue(l.w, 3, 10, 0)
		l.site.take(l.w, 2)
		return l.w.Close
	},
	"cancel": func(l *limited) func(context.Context) error {
		ids := l.site.enqueue(l.w, 1, 10, time.Hour)
		return func(ctx context.Context) error { return l.w.Cancel(ctx, ids[0]) }
	},
}

// A user who lacks a right does a move wholly or not at all: no script stops
// between two effects, which would leave a job in two places or in none. Once the
// right is given, the same move succeeds.
func TestMissingRightChangesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.StandaloneWith(t, redistest.Options{Users: []string{"worker on nopass ~* &* +@all"}})
	for name, prepare := range limitedMoves {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			for _, command := range scripted {
				l := newLimited(t, server)
				move := prepare(l)
				l.deny(command, move)
			}
		})
	}
}

func newLimited(t *testing.T, s *redistest.Server) *limited {
	admin := s.Client(t)
	worker := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket(), Username: "worker", Password: "any", DisableIdentity: true})
	t.Cleanup(func() { _ = worker.Close() })
	namespace := redistest.Namespace(t)
	l := &limited{T: t, admin: admin, client: wrap(t, worker)}
	l.site = &site{t: t, raw: admin, client: l.client, namespace: namespace, keys: keys.For(namespace, "emails", 0, 1)}
	l.w, l.inc = l.site.worker(time.Minute)
	return l
}

func (l *limited) enqueue(in time.Duration) func(ctx context.Context) error {
	l.site.enqueue(l.w, 1, 10, in)
	b := backend.Batch{Producer: "p", Number: l.site.number + 1}
	for range 2 {
		b.Jobs = append(b.Jobs, backend.Job{In: in, Envelope: wire.Envelope{ID: wire.NewID(time.Now()), Kind: "k"}})
	}
	return func(ctx context.Context) error { _, err := l.w.Enqueue(ctx, b); return err }
}

func (l *limited) settle(v backend.Verdict) func(ctx context.Context) error {
	l.site.enqueue(l.w, 2, 10, 0)
	d := l.site.take(l.w, 1)
	return func(ctx context.Context) error {
		_, err := l.w.Settle(ctx, []backend.Settlement{{Delivery: d[0], Verdict: v, Delay: time.Hour, Reason: "failed"}})
		return err
	}
}

// due waits until the first scheduled job's time has come.
func (l *limited) due() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		now, err := l.admin.Time(l.Context()).Result()
		if err != nil {
			l.Fatal(err)
		}
		if l.admin.ZCount(l.Context(), l.site.keys.Scheduled, "-inf", fmt.Sprint(now.UnixMilli())).Val() == 3 {
			return
		}
		<-tick.C
	}
}

func (l *limited) deny(command string, move func(context.Context) error) {
	l.allow("-" + command)
	before := l.jobs()
	err := move(l.Context())
	after := l.jobs()
	l.allow("+@all")
	if err == nil {
		return
	}
	if changed := differing(before, after); len(changed) > 0 {
		l.Errorf("without %s: %v; and yet it changed %v", command, err, changed)
	}
	if err := move(l.Context()); err != nil {
		l.Errorf("with %s again: %v", command, err)
	}
}

func (l *limited) allow(rule string) {
	if err := l.admin.Do(l.Context(), "ACL", "SETUSER", "worker", rule).Err(); err != nil {
		l.Fatal(err)
	}
}

// jobs is all that lies there, but for leases and the promoter's office, which a
// denied beat may have renewed. Arrivals and ready are one line: a beat that was
// denied its last look has put back what waited all the same, as a whole.
func (l *limited) jobs() map[string]string {
	all := map[string]string{}
	scan := l.admin.Scan(l.Context(), 0, l.site.namespace+":*", 1000).Iterator()
	for scan.Next(l.Context()) {
		switch key := scan.Val(); key {
		case l.site.keys.Workers, l.site.keys.Promoter, l.site.keys.Arrivals, l.site.keys.Ready:
		default:
			all[key] = l.admin.Dump(l.Context(), key).Val()
		}
	}
	if err := scan.Err(); err != nil {
		l.Fatal(err)
	}
	line := append(l.admin.LRange(l.Context(), l.site.keys.Arrivals, 0, -1).Val(), l.admin.LRange(l.Context(), l.site.keys.Ready, 0, -1).Val()...)
	all["the line"] = strings.Join(line, "\n")
	return all
}

// differing names what is not the same in both.
func differing(a, b map[string]string) (names []string) {
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, known := a[name]; !known {
			names = append(names, name)
		}
	}
	return names
}
