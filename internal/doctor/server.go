package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is fit for work.
const (
	pings       = 21
	slowPing    = 5 * time.Millisecond
	skewLimit   = time.Second
	fullPercent = 80
	slotCount   = 16384
)

// checkNode asks one server.
func (d *doctor) checkNode(ctx context.Context, n node) {
	text, err := n.Info(ctx).Result()
	info := parseInfo(text)
	switch {
	case err != nil:
		d.unknown("server", n.addr, err)
	case info["redis_version"] == "":
		d.add(Result{Check: "server", Where: n.addr, Level: Warning, Do: "use a Redis 7.0 or a Valkey 7.2 for work that matters",
			Says: "the embedded server, which keeps nothing, or one that tells nothing of itself; persistence, memory and eviction cannot be asked"})
	default:
		d.checkVersion(n, info)
		d.checkRole(n, info)
		d.checkPersistence(ctx, n, info)
		d.checkMemory(n, info)
	}
	d.checkLatency(ctx, n)
	d.checkClock(ctx, n)
}

// parseInfo reads the lines name:value of INFO and its like.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// checkVersion: scripts and moves need Redis 7.0 or Valkey 7.2, which also says
// that it is a Redis 7.2.
func (d *doctor) checkVersion(n node, info map[string]string) {
	name, version, floor := "Redis", info["redis_version"], "7.0"
	if v := info["valkey_version"]; v != "" {
		name, version, floor = "Valkey", v, "7.2"
	}
	r := Result{Check: "server", Where: n.addr, Level: OK, Says: name + " " + version}
	if older(version, floor) {
		r.Level, r.Do = Problem, "upgrade it: Redis 7.0 and Valkey 7.2 are the oldest that are supported"
	}
	d.add(r)
}

// older compares the first two numbers of versions.
func older(version, floor string) bool {
	number := func(v string) int {
		major, rest, _ := strings.Cut(v, ".")
		minor, _, _ := strings.Cut(rest, ".")
		a, _ := strconv.Atoi(major)
		b, _ := strconv.Atoi(minor)
		return a*1000 + b
	}
	return number(version) < number(floor)
}

func (d *doctor) checkRole(n node, info map[string]string) {
	r := Result{Check: "replication", Where: n.addr, Level: OK, Says: "a master with " + orElse(info["connected_slaves"], "0") + " replicas"}
	switch {
	case info["role"] != "master":
		r = Result{Check: "replication", Where: n.addr, Level: Problem, Says: "this is a replica: it takes no writes", Do: "connect to its master"}
	case d.client.IsCluster() && info["connected_slaves"] == "0":
		r.Level, r.Do = Warning, "give it a replica: when it fails, the queues of its slots stop"
	}
	d.add(r)
}

func (d *doctor) checkPersistence(ctx context.Context, n node, info map[string]string) {
	r := Result{Check: "persistence", Where: n.addr, Level: OK, Says: "append-only file"}
	save, err := n.ConfigGet(ctx, "save").Result()
	switch {
	case info["aof_enabled"] == "1" && info["aof_last_write_status"] == "err":
		r.Level, r.Says, r.Do = Problem, "the append-only file cannot be written", "look into the server's log: most likely its disk is full"
	case info["aof_enabled"] == "1":
		d.checkFsync(ctx, n, &r)
	case err != nil:
		r.Level, r.Says = Unknown, "no append-only file; whether there are snapshots cannot be asked: "+err.Error()
	case save["save"] == "":
		r.Level, r.Says, r.Do = Problem, "none: a restart of the server loses every job", "set appendonly yes"
	case info["rdb_last_bgsave_status"] == "err":
		r.Level, r.Says, r.Do = Problem, "snapshots fail", "look into the server's log: most likely its disk is full, or memory for the fork is missing"
	default:
		r.Level, r.Says, r.Do = Warning, "snapshots alone (save "+save["save"]+"): a crash loses the jobs since the last one", "set appendonly yes"
	}
	d.add(r)
}

func (d *doctor) checkFsync(ctx context.Context, n node, r *Result) {
	fsync, err := n.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		return
	}
	r.Says += ", appendfsync " + fsync["appendfsync"]
	if fsync["appendfsync"] == "no" {
		r.Level, r.Do = Warning, "set appendfsync everysec: a power cut loses up to half a minute now"
	}
}

func (d *doctor) checkMemory(n node, info map[string]string) {
	limit, _ := strconv.ParseFloat(info["maxmemory"], 64)
	used, _ := strconv.ParseFloat(info["used_memory"], 64)
	policy := info["maxmemory_policy"]
	r := Result{Check: "eviction", Where: n.addr, Level: OK, Says: policy}
	if policy != "noeviction" {
		r.Level, r.Do = Problem, "set maxmemory-policy noeviction"
		r.Says += ": a full server throws keys away, and jobs with them"
		if limit == 0 {
			r.Level = Warning
			r.Says += "; it has no limit now, so it is never full"
		}
	}
	d.add(r)
	r = Result{Check: "memory", Where: n.addr, Level: OK, Says: info["used_memory_human"] + " used, no limit of the server's own"}
	if limit > 0 {
		percent := used / limit * 100
		r.Says = fmt.Sprintf("%s of %s used (%.0f %%)", info["used_memory_human"], info["maxmemory_human"], percent)
		if percent >= fullPercent {
			r.Level, r.Do = Warning, "give it more memory, or work off what waits: when it is full, producers are refused"
		}
		if percent >= 100 {
			r.Level = Problem
		}
	}
	d.add(r)
}

func (d *doctor) checkLatency(ctx context.Context, n node) {
	times := make([]time.Duration, pings)
	for i := range times {
		start := time.Now()
		if err := n.Ping(ctx).Err(); err != nil {
			d.unknown("latency", n.addr, err)
			return
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	median := times[len(times)/2].Round(time.Microsecond)
	r := Result{Check: "latency", Where: n.addr, Level: OK, Says: fmt.Sprintf("%s for a round trip (median of %d)", median, pings)}
	if median > slowPing {
		r.Level, r.Do = Warning, "run the workers nearer to the server: a job costs about three round trips when little is to do"
	}
	d.add(r)
}

// checkClock compares the clocks, less half a round trip. Nothing breaks when
// they differ: leases and delays are counted by the server's. But times that
// producers give (--at) and logs are off.
func (d *doctor) checkClock(ctx context.Context, n node) {
	start := time.Now()
	server, err := n.Time(ctx).Result()
	if err != nil {
		d.unknown("clock", n.addr, err)
		return
	}
	trip := time.Since(start)
	skew := server.Sub(start.Add(trip / 2)).Round(time.Millisecond)
	r := Result{Check: "clock", Where: n.addr, Level: OK, Says: fmt.Sprintf("differs from this machine's by %s", skew.Abs())}
	if skew.Abs() > skewLimit+trip {
		r.Level, r.Do = Warning, "let both machines ask a time server: jobs with a time of day (--at) run early or late by that much"
	}
	d.add(r)
}

// checkCluster asks one node about the whole.
func (d *doctor) checkCluster(ctx context.Context) {
	text, err := d.client.ClusterInfo(ctx).Result()
	if err != nil {
		d.unknown("cluster", "", err)
		return
	}
	info := parseInfo(text)
	r := Result{Check: "cluster", Level: OK, Says: fmt.Sprintf("state %s, %s of %d slots served by %s masters",
		info["cluster_state"], info["cluster_slots_ok"], slotCount, info["cluster_size"])}
	if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != strconv.Itoa(slotCount) {
		r.Level, r.Do = Problem, "run redis-cli --cluster check HOST:PORT, then --cluster fix: queues of slots that nobody serves stand still"
	}
	d.add(r)
}
