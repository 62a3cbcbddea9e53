package faults

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// serverFaults strike Redis, or what lies in it.
func serverFaults() []fault {
	nowhere := command("REPLICAOF", "127.0.0.1", "1")
	kill := func(r *rig) { r.site.servers[0].Kill() }
	restart := func(r *rig) { r.site.servers[0].Restart(r) }
	aof := []opener{withAOF}
	return []fault{
		{name: "redis-server killed and restarted with AOF", sites: aof, noStalls: true, do: lasting(300*time.Millisecond, kill, restart)},
		{name: "redis-server killed for several leases", sites: aof, noStalls: true, do: outage(9*time.Second, kill, restart)},
		{name: "redis-server stopped with SIGSTOP past the lease", noStalls: true, do: outage(5*time.Second, signalServer(syscall.SIGSTOP), signalServer(syscall.SIGCONT))},
		{name: "CLIENT KILL in a loop", noStalls: true, do: again(3*time.Second, 50*time.Millisecond, command("CLIENT", "KILL", "USER", "default"))},
		{name: "CLIENT PAUSE longer than the lease", noStalls: true, do: outage(5*time.Second, command("CLIENT", "PAUSE", 5000, "ALL"), nothing)},
		{name: "SCRIPT FLUSH in a loop", noStalls: true, do: again(3*time.Second, 20*time.Millisecond, command("SCRIPT", "FLUSH", "SYNC"))},
		{name: "REPLICAOF under load", noStalls: true, do: lasting(700*time.Millisecond, nowhere, command("REPLICAOF", "NO", "ONE"))},
		{name: "REPLICAOF for longer than the lease", noStalls: true, do: outage(5*time.Second, nowhere, command("REPLICAOF", "NO", "ONE"))},
		{name: "maxmemory reached and lifted", noStalls: true, do: lasting(5*time.Second, command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0"))},
		{name: "ACL denial of each command in turn", noStalls: true, do: denyEach},
		{name: "junk injected", noStalls: true, do: injectJunk},
		{name: "keys of a wrong type", noStalls: true, do: wrongTypes},
		{name: "FLUSHALL", loses: "what was acknowledged before", do: func(r *rig) {
			from := Now()
			r.ctl("FLUSHALL")
			r.lost(0)
			r.hit(0, from)
			r.tell(Event{Type: Healed})
		}},
	}
}

func withAOF(t *testing.T, binary string) site {
	return standaloneWith(t, redistest.Options{Binary: binary, AOF: true})
}

func signalServer(s syscall.Signal) func(r *rig) {
	return func(r *rig) {
		if err := syscall.Kill(r.site.servers[0].PID(), s); err != nil {
			r.Error(err)
		}
	}
}

// denied are the commands that Colony sends or calls in scripts, each denied in
// turn for less than a beat.
var denied = []string{
	"evalsha", "eval", "blmove", "client|unblock", "client|id", "publish", "subscribe", "sadd", "time", "type",
	"hset", "hget", "hmget", "hdel", "hincrby", "hlen", "hkeys", "hexists",
	"lrange", "llen", "lpush", "rpush", "ltrim",
	"zadd", "zrem", "zscore", "zcard", "zcount", "zrange", "zrangebyscore", "zremrangebyscore",
	"get", "set", "del", "pexpire",
}

func denyEach(r *rig) {
	for _, c := range denied {
		r.ctl("ACL", "SETUSER", "default", "-"+c)
		r.last(150 * time.Millisecond)
		r.ctl("ACL", "SETUSER", "default", "+"+c)
		r.last(300 * time.Millisecond)
	}
	r.ctl("ACL", "SETUSER", "default", "+@all")
	r.tell(Event{Type: Healed})
}

// injectJunk pushes what no producer of Colony would, and jobs of a foreign
// producer, which count.
func injectJunk(r *rig) {
	junk := []string{"", "not json", "[1]", "null", "{}", `{"kind":""}`, "\xff\xfe\x00", `{"id":"short","kind":"x`, `{"kind":5}`}
	r.each(time.Second, 100*time.Millisecond, func() {
		for _, j := range junk {
			r.ctl("RPUSH", r.keys.Ready, j)
		}
		r.mu.Lock()
		r.unread += len(junk)
		r.mu.Unlock()
		r.foreign()
		r.ctl("ZADD", r.keys.Scheduled, 1, "nobody")
	})
	r.tell(Event{Type: Healed})
}

func (r *rig) foreign() {
	p := payload{Job: int(r.number.Add(1)), MS: 1}
	body, err := json.Marshal(p)
	if err != nil {
		r.Error(err)
		return
	}
	r.tell(Event{Type: Asked, Job: p.Job, Note: Alien})
	r.ctl("RPUSH", r.keys.Ready, fmt.Sprintf(`{"kind":%q,"payload":%s}`, kind, body))
}

// wrongTypes puts a string where another type belongs, for a moment and only
// where nothing lies: what was overwritten would be lost.
func wrongTypes(r *rig) {
	for _, key := range []string{r.keys.Arrivals, r.keys.Suspect, r.keys.Dead, r.keys.Scheduled, r.keys.Cancelled} {
		set, err := r.admin.SetNX(r.Context(), key, "wrong", 0).Result()
		if err != nil {
			r.Error(err)
		}
		if set {
			r.last(400 * time.Millisecond)
			r.ctl("DEL", key)
		}
		r.last(300 * time.Millisecond)
	}
	r.tell(Event{Type: Healed})
}
