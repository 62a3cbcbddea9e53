package faults

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colonyq/colony/internal/redistest"
)

// networkFaults strike what lies between Redis and everybody else.
func networkFaults() []fault {
	hole := func(on bool) func(r *rig) { return func(r *rig) { r.proxy().BlackHole(on) } }
	slow := func(d, jitter time.Duration) func(r *rig) {
		return func(r *rig) { r.proxy().Delay(d, jitter) }
	}
	cut := func(r *rig) { r.proxy().Cut() }
	behind := []opener{behindProxy}
	return []fault{
		{name: "swallowed replies on every kind of command", sites: behind, noStalls: true, do: swallow},
		{name: "a black hole of 10 s", sites: behind, noStalls: true, do: outage(10*time.Second, hole(true), hole(false))},
		{name: "a black hole shorter than the lease", sites: behind, noStalls: true, do: lasting(600*time.Millisecond, hole(true), hole(false))},
		// 100 ms each way.
		{name: "latency of 200 ms with jitter", sites: behind, noStalls: true, lease: 4 * time.Second, do: lasting(5*time.Second, slow(100*time.Millisecond, 50*time.Millisecond), slow(0, 0))},
		{name: "all connections cut, again and again", sites: behind, noStalls: true, do: again(3*time.Second, 150*time.Millisecond, cut)},
	}
}

func behindProxy(t *testing.T, binary string) site {
	return standaloneWith(t, redistest.Options{Binary: binary, Proxy: true})
}

func (r *rig) proxy() *redistest.Proxy { return r.site.servers[0].Proxy() }

// swallow loses the reply to every kind of command that is sent, several times
// each. A kind is a command or, of scripts, one of them.
func swallow(r *rig) {
	var mu sync.Mutex
	lost := map[string]int{}
	times := 1
	rarest := func(args []string) bool {
		mu.Lock()
		defer mu.Unlock()
		k := kindOf(args)
		if lost[k] >= times {
			return false
		}
		lost[k]++
		return true
	}
	n := 0
	r.each(5*time.Second, 60*time.Millisecond, func() {
		r.proxy().SwallowReply(1, rarest)
		if n++; n%15 == 0 {
			mu.Lock()
			times++
			mu.Unlock()
		}
	})
	r.proxy().Heal()
	r.tell(Event{Type: Healed})
	r.Logf("swallowed: %v", lost)
	for _, must := range []string{"evalsha", "blmove"} {
		if !strings.Contains(fmt.Sprint(lost), must) {
			r.Errorf("no reply to %s was swallowed", must)
		}
	}
}

func kindOf(args []string) string {
	k := strings.ToLower(args[0])
	if strings.HasPrefix(k, "eval") && len(args) > 1 {
		k += " " + args[1][:min(8, len(args[1]))]
	}
	return k
}
