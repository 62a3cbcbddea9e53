package framework

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/colonyq/colony/framework/redisclient"
)

// A variable stands above the file, a bare REDIS_URL below it, and what belongs
// to a flag is left alone.
func TestWithEnv(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, x := range map[string]struct {
		file    Config
		env     []string
		flagged []string
		want    Config
	}{
		"nothing":      {Config{Namespace: "f"}, []string{"PATH=/bin", "COLONY_CONFIG=x", "COLONY_JOB_ID=1", "COLONY_NAMESPACE=", "nonsense"}, nil, Config{Namespace: "f"}},
		"namespace":    {Config{Namespace: "f"}, []string{"COLONY_NAMESPACE=null"}, nil, Config{Namespace: "null"}},
		"the last one": {Config{}, []string{"COLONY_NAMESPACE=a", "COLONY_NAMESPACE=b"}, nil, Config{Namespace: "b"}},
		"worker": {
			Config{Worker: WorkerConfig{Concurrency: 3, Lease: time.Minute}},
			[]string{"COLONY_WORKER_CONCURRENCY=7", "COLONY_WORKER_SHUTDOWN_TIMEOUT=5s", "COLONY_WORKER_STRICT=true"}, nil,
			Config{Worker: WorkerConfig{7, time.Minute, 5 * time.Second, true}},
		},
		"a flag": {
			Config{Worker: WorkerConfig{Concurrency: 3}}, []string{"COLONY_WORKER_CONCURRENCY=none", "COLONY_WORKER_LEASE=1s"}, []string{"worker.concurrency"},
			Config{Worker: WorkerConfig{Concurrency: 3, Lease: time.Second}},
		},
		"redis": {
			Config{Redis: redisclient.Config{URL: "redis://f", StartupNodes: []string{"f:1"}, IsColony: &no}},
			[]string{"COLONY_REDIS_URL=redis://e", "COLONY_REDIS_IS_COLONY=true", "COLONY_REDIS_STARTUP_NODES=a:1, b:2", "REDIS_URL=redis://bare"}, nil,
			Config{Redis: redisclient.Config{URL: "redis://e", StartupNodes: []string{"a:1", "b:2"}, IsColony: &yes}},
		},
		"a url puts nodes aside": {
			Config{Redis: redisclient.Config{StartupNodes: []string{"f:1"}}}, []string{"COLONY_REDIS_URL=redis://e"}, nil,
			Config{Redis: redisclient.Config{URL: "redis://e"}},
		},
		"a redis flag": {
			Config{Redis: redisclient.Config{URL: "redis://f"}}, []string{"COLONY_REDIS_URL=nonsense", "REDIS_URL=nonsense"}, []string{"redis"},
			Config{Redis: redisclient.Config{URL: "redis://f"}},
		},
		"bare url":              {Config{}, []string{"REDIS_URL=redis://bare"}, nil, Config{Redis: redisclient.Config{URL: "redis://bare"}}},
		"bare url, flag":        {Config{}, []string{"REDIS_URL=nonsense"}, []string{"redis"}, Config{}},
		"bare url, file":        {Config{Redis: redisclient.Config{URL: "redis://f"}}, []string{"REDIS_URL=redis://bare"}, nil, Config{Redis: redisclient.Config{URL: "redis://f"}}},
		"bare url, nodes":       {Config{Redis: redisclient.Config{StartupNodes: []string{"f:1"}}}, []string{"REDIS_URL=redis://bare"}, nil, Config{Redis: redisclient.Config{StartupNodes: []string{"f:1"}}}},
		"bare url, variable":    {Config{}, []string{"REDIS_URL=nonsense", "COLONY_REDIS_URL=redis://e"}, nil, Config{Redis: redisclient.Config{URL: "redis://e"}}},
		"bare url, cluster":     {Config{Redis: redisclient.Config{IsColony: &yes}}, []string{"REDIS_URL=redis://bare"}, nil, Config{Redis: redisclient.Config{URL: "redis://bare", IsColony: &yes}}},
		"a prefix is not a key": {Config{}, []string{"COLONY_WORKER_LEASE=1s"}, []string{"work", "worker.lea"}, Config{Worker: WorkerConfig{Lease: time.Second}}},
	} {
		got, err := x.file.WithEnv(x.env, x.flagged...)
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, x.want)
		}
	}
	if no {
		t.Error("WithEnv wrote through a pointer of the file's config")
	}
}

// What a child process gets from Environ leads it to the same Redis, whatever
// its own file says.
func TestEnvironReachesTheSameRedis(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	files := []redisclient.Config{{}, {URL: "redis://f/3"}, {IsColony: &yes}, {StartupNodes: []string{"f:1"}}, {IsColony: &no}}
	for _, parent := range append(files, redisclient.Config{URL: "redis://p", StartupNodes: []string{"a:1", "b:2"}}) {
		for _, file := range files {
			child, err := Config{Redis: file}.WithEnv(parent.Environ())
			if err != nil {
				t.Fatal(err)
			}
			got, want := strings.Join(child.Redis.Environ(), " "), strings.Join(parent.Environ(), " ")
			if got != want || child.Validate() != nil {
				t.Errorf("parent %v, file %v: got %s, want %s (%v)", parent, file, got, want, child.Validate())
			}
		}
	}
}

// A bad value in a variable is an error that names the variable, all at once,
// and shows no password.
func TestWithEnvErrors(t *testing.T) {
	t.Parallel()
	_, err := Config{}.WithEnv([]string{
		"COLONY_REDIS_URL=ada:s3cr3t@host", "COLONY_REDIS_IS_COLONY=yes", "COLONY_REDIS_STARTUP_NODES=a", "COLONY_NAMESPACE=a b",
		"COLONY_WORKER_CONCURRENCY=many", "COLONY_WORKER_LEASE=15", "COLONY_WORKER_SHUTDOWN_TIMEOUT=-1s", "COLONY_WORKER_STRICT=1",
	})
	const want = `COLONY_REDIS_IS_COLONY: redis.is_colony: must be true or false, got "yes": write true
COLONY_REDIS_URL: redis.url: not a redis URL: write redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss://… for TLS, or unix:///PATH/TO/SOCKET[?db=N]; special characters in a password are written as %XX
COLONY_REDIS_STARTUP_NODES: redis.startup_nodes[0]: must be host:port, got "a"
COLONY_NAMESPACE: namespace: name "a b" has ' ' at position 2: only letters, digits, _ . and - are allowed
COLONY_WORKER_CONCURRENCY: worker.concurrency: must be a whole number, got "many"
COLONY_WORKER_LEASE: worker.lease: must be a duration with a unit, got 15: write 15s
COLONY_WORKER_SHUTDOWN_TIMEOUT: worker.shutdown_timeout: must not be negative, got -1s
COLONY_WORKER_STRICT: worker.strict: must be true or false, got 1: write true`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	for _, value := range []string{"[1]", "a: b", "# 5", "'5'", "5 # five", "\t"} {
		c, err := Config{}.WithEnv([]string{"COLONY_WORKER_CONCURRENCY=" + value})
		if (err == nil || !strings.HasPrefix(err.Error(), "COLONY_WORKER_CONCURRENCY: worker.concurrency: must be a whole number, got ")) && c.Worker.Concurrency != 5 {
			t.Errorf("%q: got %+v, %v", value, c.Worker, err)
		}
	}
	_, err = Config{}.WithEnv([]string{"REDIS_URL=s3cr3t"})
	if err == nil || !strings.HasPrefix(err.Error(), "REDIS_URL: redis.url: not a redis URL: write ") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
}
