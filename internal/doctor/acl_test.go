package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/doctor"
	"github.com/colonyq/colony/internal/redistest"
	"github.com/colonyq/colony/locks"
)

// The rights of a worker are all commands of a queue's scripts and a few around
// them: a script that learns a new command must tell the doctor.
func TestRightsAreThoseOfTheScripts(t *testing.T) {
	t.Parallel()
	around := strings.Fields("ping time eval evalsha sadd smembers blmove client|id client|unblock subscribe hkeys hmget")
	used := map[string]bool{}
	for _, c := range around {
		used[c] = true
	}
	calls := regexp.MustCompile(`p?call_?\('([A-Z]+)'`)
	for _, pattern := range []string{"../../queue/lua/*.lua", "../moves/lua/*.lua"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range calls.FindAllStringSubmatch(string(source), -1) {
				used[strings.ToLower(m[1])] = true
			}
		}
	}
	for _, c := range doctor.Commands(doctor.Worker, false) {
		if !used[c] {
			t.Errorf("a worker does not need %s", c)
		}
		delete(used, c)
	}
	for c := range used {
		t.Errorf("a worker needs %s: add it to the commands of its role", c)
	}
}

// users is a server with one user of each role and an admin.
type users struct {
	t         testing.TB
	admin     redis.UniversalClient
	nodes     []*redistest.Server
	addrs     []string
	cluster   bool
	namespace string
}

const password = "secret"

func (u users) grant(r doctor.Role) {
	u.t.Helper()
	line := strings.Replace(doctor.ACL(r, u.namespace, u.cluster), ">PASSWORD", ">"+password, 1)
	line = strings.Replace(line, "colony-"+string(r), u.name(r), 1)
	u.each(strings.Fields(line)...)
}

func (u users) name(r doctor.Role) string { return string(r) + "-" + u.namespace }

// each sends a command to every node, as the admin.
func (u users) each(words ...string) {
	u.t.Helper()
	args := make([]any, len(words))
	for i, w := range words {
		args[i] = w
	}
	for _, n := range u.nodes {
		if err := n.Client(u.t).Do(u.t.Context(), args...).Err(); err != nil {
			u.t.Fatalf("%v: %v", words, err)
		}
	}
}

func (u users) config(r doctor.Role) redisclient.Config {
	c := redisclient.Config{URL: "redis://" + u.name(r) + ":" + password + "@" + u.addrs[0], IsColony: &u.cluster}
	if u.cluster {
		c.StartupNodes = u.addrs
	}
	return c
}

func (u users) open(r doctor.Role) *redisclient.Client {
	u.t.Helper()
	c, err := redisclient.Open(u.t.Context(), u.config(r))
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { _ = c.Close() })
	return c
}

func newUsers(t testing.TB, cluster bool) users {
	u := users{t: t, cluster: cluster, namespace: redistest.Namespace(t)}
	if cluster {
		c := redistest.SharedCluster(t)
		u.admin, u.nodes, u.addrs = c.Client(t), c.Nodes, c.Addrs()
	} else {
		s := redistest.Standalone(t) // its scripts are flushed
		u.admin, u.nodes, u.addrs = s.Client(t), []*redistest.Server{s}, []string{s.Addr()}
	}
	u.grant(doctor.Worker)
	u.grant(doctor.Producer)
	t.Cleanup(func() {
		for _, n := range u.nodes {
			_ = n.Client(t).Do(context.WithoutCancel(t.Context()), "ACL", "DELUSER", u.name(doctor.Worker), u.name(doctor.Producer)).Err()
		}
	})
	return u
}

// With exactly the printed rights a producer enqueues, at once and for later, and
// a worker does a whole run: handles, fails and retries, waits, ends. Nothing
// that they ask is denied, which the server's own log of denials tells.
func TestRightsSuffice(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		t.Run(fmt.Sprintf("cluster=%t", cluster), func(t *testing.T) {
			u := newUsers(t, cluster)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cfg := framework.Config{Redis: u.config(doctor.Producer), Namespace: u.namespace}
			p, err := framework.OpenProducer(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range []time.Duration{0, 300 * time.Millisecond} {
				if _, err := p.Enqueue(ctx, framework.NewRaw("k", nil, framework.In(in))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(ctx); err != nil {
				t.Fatal(err)
			}
			cfg.Redis = u.config(doctor.Worker)
			if ran := u.run(ctx, cfg, 3); ran != 3 {
				t.Errorf("%d runs, want 3", ran)
			}
			for _, denied := range u.denials() {
				t.Errorf("denied: %s", denied)
			}
		})
	}
}

// run works until so many runs were made; the first one of all fails.
func (u users) run(ctx context.Context, cfg framework.Config, want int) (ran int) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	app, err := framework.Open(ctx, cfg)
	if err != nil {
		u.t.Fatal(err)
	}
	framework.HandleRaw(app, "k", func(context.Context, *framework.Delivery) error {
		if ran++; ran == want {
			stop()
		}
		if ran == 1 {
			return framework.RetryIn(10*time.Millisecond, errors.New("no"))
		}
		return nil
	})
	if err := app.Run(ctx); err != nil {
		u.t.Error(err)
	}
	if err := app.Close(context.WithoutCancel(ctx)); err != nil {
		u.t.Error(err)
	}
	return ran
}

// denials are what the server denied to our users. INFO is asked for a better
// word about a wrong config, and done without.
func (u users) denials() (all []string) {
	for _, n := range u.nodes {
		log, err := n.Client(u.t).ACLLog(u.t.Context(), 128).Result()
		if err != nil {
			u.t.Fatal(err)
		}
		for _, l := range log {
			if strings.HasSuffix(l.Username, u.namespace) && l.Object != "info" {
				all = append(all, l.Username+": "+l.Reason+" "+l.Object)
			}
		}
	}
	return all
}

// Each right is needed: with any one taken away, something that a user of the
// role does breaks. (ASKING, CLUSTER SLOTS and COMMAND, which the client of a
// cluster sends of its own account, are not in this test.)
func TestEachRightIsNeeded(t *testing.T) {
	for role, everything := range map[doctor.Role]func(u users, c *redisclient.Client) error{
		doctor.Producer: users.produce, doctor.Worker: users.work,
	} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			u := newUsers(t, false)
			if err := everything(u, u.open(role)); err != nil {
				t.Fatal("with all rights:", err)
			}
			for _, c := range doctor.Commands(role, false) {
				client, err := u.without(role, c)
				if err == nil {
					err = everything(u, client)
				}
				if err == nil {
					t.Errorf("nothing breaks without +%s", c)
				}
			}
		})
	}
}

// without opens a client for a user that lacks one right.
func (u users) without(r doctor.Role, command string) (*redisclient.Client, error) {
	u.grant(r)
	u.each("ACL", "SETUSER", u.name(r), "-"+command)
	c, err := redisclient.Open(u.t.Context(), u.config(r))
	if err == nil {
		u.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// docs/operations.md shows the rights as they are.
func TestDocsShowRights(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for mark, want := range map[string]string{
		"acl":   doctor.ACL(doctor.Worker, "", false) + "\n\n" + doctor.ACL(doctor.Producer, "", false),
		"locks": doctor.LockRights(""),
	} {
		if block := "<!-- " + mark + " -->\n```text\n" + want + "\n```\n"; !strings.Contains(string(page), block) {
			t.Errorf("docs/operations.md should have\n%s", block)
		}
	}
}

// With the rights of a producer and those for locks, every kind of lock works:
// on one server and on a quorum, alone and with a waiter that is woken.
func TestLockRightsSuffice(t *testing.T) {
	t.Parallel()
	var all []users
	var clients []redis.UniversalClient
	for range 3 {
		u := newUsers(t, false)
		u.each(strings.Fields("ACL SETUSER " + u.name(doctor.Producer) + " ~quorum:* " + doctor.LockRights(u.namespace) + " " + doctor.LockRights("quorum"))...)
		all, clients = append(all, u), append(clients, u.open(doctor.Producer))
	}
	one, many := locks.New(clients[0], locks.Config{Namespace: all[0].namespace}), locks.NewQuorum(clients, locks.Config{Namespace: "quorum"})
	o := locks.Options{TTL: 5 * time.Second, AutoRenew: true, MaxWait: 3 * time.Second}
	rw := one.RWMutex("rw", o)
	for name, l := range map[string]*locks.Lock{
		"mutex": one.Mutex("m", o), "semaphore": one.Semaphore("s", 1, o), "read": rw.Read, "write": rw.Write, "quorum": many.Mutex("q", o),
	} {
		if err := contend(t.Context(), l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range []*locks.Manager{one, many} {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, u := range all {
		for _, denied := range u.denials() {
			t.Errorf("denied: %s", denied)
		}
	}
}

// contend takes a lock, lets another one wait for it, and gives it up.
func contend(ctx context.Context, l *locks.Lock) error {
	held, err := l.Acquire(ctx)
	if err != nil {
		return err
	}
	second := make(chan error, 1)
	go func() {
		held, err := l.Acquire(ctx)
		if err == nil {
			err = l.Release(held)
		}
		second <- err
	}()
	return errors.Join(l.Release(held), <-second)
}
