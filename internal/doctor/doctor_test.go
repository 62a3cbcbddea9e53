package doctor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/doctor"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/redistest"
)

func visit(t testing.TB, u redis.UniversalClient, namespace string) doctor.Report {
	t.Helper()
	client, err := redisclient.Wrap(u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	r, err := doctor.Visit(t.Context(), client, namespace)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if (x.Level == doctor.Warning || x.Level == doctor.Problem) != (x.Do != "") {
			t.Errorf("says what to do where something is, and only there: %+v", x)
		}
	}
	return r
}

// results are "level check: says", one a line.
func results(r doctor.Report) string {
	var b strings.Builder
	for _, x := range r.Results {
		fmt.Fprintf(&b, "%s %s: %s\n", x.Level, x.Check, x.Says)
	}
	return b.String()
}

func has(t *testing.T, r doctor.Report, wants ...string) {
	t.Helper()
	got := results(r)
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// A server as it should be has neither problems nor warnings.
func TestHealthy(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{AOF: true, MaxMemory: "1gb"})
	r := visit(t, s.Client(t), "")
	has(t, r, "ok server: ", "ok replication: a master", "ok persistence: append-only file, appendfsync everysec",
		"ok eviction: noeviction", "ok memory: ", "of 1.00G used", "ok latency: ", "ok clock: ", "ok rights: user default may work and enqueue")
	if n := r.Count(doctor.Problem) + r.Count(doctor.Warning) + r.Count(doctor.Unknown); n > 0 {
		t.Errorf("%d complaints:\n%s", n, results(r))
	}
}

// Settings that lose jobs are problems, each on its own.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	s := redistest.StandaloneWith(t, redistest.Options{MaxMemory: "4mb"})
	c := s.Client(t)
	for _, x := range []struct{ set, to, want string }{
		{"save", "3600 1", "warning persistence: snapshots alone (save 3600 1)"},
		{"save", "", "problem persistence: none"},
		{"maxmemory-policy", "allkeys-lru", "problem eviction: allkeys-lru: a full server"},
		{"maxmemory", "0", "warning eviction: allkeys-lru"},
		{"maxmemory", "1", "problem memory: "},
		{"appendfsync", "no", ""},
		{"appendonly", "yes", "warning persistence: append-only file, appendfsync no"},
	} {
		if err := c.ConfigSet(t.Context(), x.set, x.to).Err(); err != nil {
			t.Fatal(err)
		}
		has(t, visit(t, c, ""), x.want)
	}
}

// A replica is no place for jobs.
func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Standalone(t)
	replica := redistest.StandaloneWith(t, redistest.Options{Master: master})
	replica.WaitLinked(t)
	has(t, visit(t, replica.Client(t), ""), "problem replication: this is a replica")
}

// On every kind of Redis all can be asked, or it is said what cannot.
func TestEverywhere(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		r := visit(t, target.Client, redistest.Namespace(t))
		has(t, r, "latency: ", "ok clock: ", "ok rights: ")
		switch target.Name {
		case "embedded":
			has(t, r, "warning server: the embedded server", "ok rights: this server has no users")
		case "cluster":
			has(t, r, "ok cluster: state ok, 16384 of 16384 slots served by 3 masters", "warning replication: a master with 0 replicas")
			if n := strings.Count(results(r), " server: "); n != 3 {
				t.Errorf("%d nodes were asked, want 3", n)
			}
			if !strings.Contains(r.ACL[doctor.Worker], " +asking ") {
				t.Error(r.ACL[doctor.Worker])
			}
		default:
			has(t, r, "problem persistence: none", "ok eviction: noeviction")
		}
		var b strings.Builder
		if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "\n  ACL SETUSER colony-producer reset on >PASSWORD ~t-") {
			t.Errorf("%v\n%s", err, &b)
		}
	})
}

// A cluster of which a part is gone is a problem, and the rest is asked.
func TestBrokenCluster(t *testing.T) {
	t.Parallel()
	c := redistest.NewCluster(t)
	client := c.Client(t)
	if err := client.ForEachMaster(t.Context(), func(_ context.Context, n *redis.Client) error { return n.Ping(t.Context()).Err() }); err != nil {
		t.Fatal(err)
	}
	first := c.Nodes[0].Client(t)
	if err := first.Do(t.Context(), "CLUSTER", "DELSLOTSRANGE", 0, 100).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(results(visit(t, client, "")), "problem cluster: state fail"); {
		if time.Now().After(deadline) {
			t.Fatal(results(visit(t, client, "")))
		}
	}
}

// A user without rights is told which, and what cannot be asked is not a problem
// of the server.
func TestRightsAreTold(t *testing.T) {
	t.Parallel()
	u := newUsers(t, false)
	has(t, visit(t, u.open(doctor.Worker), u.namespace), "ok rights: this user may work and enqueue", "unknown server: cannot be asked: NOPERM")
	has(t, visit(t, u.open(doctor.Producer), u.namespace), "warning rights: this user may enqueue, but not work; it lacks +blmove")
	u.each("ACL", "SETUSER", u.name(doctor.Worker), "-rpush", "-publish")
	has(t, visit(t, u.open(doctor.Worker), u.namespace), "problem rights: this user lacks +publish +rpush, or")
	u.each("ACL", "SETUSER", u.name(doctor.Worker), "+@all")
	has(t, visit(t, u.open(doctor.Worker), "other"), "problem rights: user worker-")
	u.each("ACL", "SETUSER", u.name(doctor.Worker), "-eval", "-evalsha")
	has(t, visit(t, u.open(doctor.Worker), u.namespace), "may run no scripts")
}

// Queues that nobody serves, that are stopped, or in which jobs die are told.
func TestQueues(t *testing.T) {
	redistest.Each(t, func(t *testing.T, target redistest.Target) {
		namespace := redistest.Namespace(t)
		do := func(args ...any) {
			t.Helper()
			if err := target.Client.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		now := time.Now().UnixMilli()
		for name, make := range map[string]func(k keys.Queue){
			"fine":    func(k keys.Queue) { do("RPUSH", k.Ready, "x") },
			"alone":   func(k keys.Queue) { do("RPUSH", k.Arrivals, "x"); do("DEL", k.Workers) },
			"empty":   func(k keys.Queue) { do("DEL", k.Workers) },
			"paused":  func(k keys.Queue) { do("RPUSH", k.Ready, "x"); do("HSET", k.Meta, "paused", 1) },
			"late":    func(k keys.Queue) { do("ZADD", k.Retry, now-60_000, "x") },
			"suspect": func(k keys.Queue) { do("RPUSH", k.Suspect, "x") },
			"dying":   func(k keys.Queue) { do("ZADD", k.Dead, now-1000, "x") },
			"dead":    func(k keys.Queue) { do("ZADD", k.Dead, now-86_400_000, "x") },
			"wrong":   func(k keys.Queue) { do("SET", k.Suspect, "x") },
		} {
			k := keys.For(namespace, name, 0, 1)
			do("SADD", keys.Queues(namespace), name)
			do("ZADD", k.Workers, now+60_000, "w", now, "@last", now+60_000, "@grace")
			make(k)
		}
		r := visit(t, target.Client, namespace)
		got := map[string]string{}
		for _, x := range r.Results {
			if x.Check == "queue" {
				got[x.Where] = string(x.Level) + " " + x.Says
			}
		}
		for name, want := range map[string]string{
			"fine":    "ok 1 waiting, 0 dead, 1 workers",
			"alone":   "problem 1 waiting, 0 dead, 0 workers: jobs wait and no worker is alive",
			"empty":   "ok 0 waiting, 0 dead, 0 workers",
			"paused":  "warning 1 waiting, 0 dead, 1 workers: it is paused",
			"late":    "problem 0 waiting, 0 dead, 1 workers: a job is due since 1m0s",
			"suspect": "warning 0 waiting, 0 dead, 1 workers: 1 suspects",
			"dying":   "warning 0 waiting, 1 dead, 1 workers: 1 died within the last hour",
			"dead":    "ok 0 waiting, 1 dead, 1 workers",
			"wrong":   "unknown cannot be asked: WRONGTYPE " + namespace + ":{wrong}:suspect holds a string, not a list",
		} {
			if got[name] != want {
				t.Errorf("queue %s: got %q, want %q", name, got[name], want)
			}
		}
	})
}
