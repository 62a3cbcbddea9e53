package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// Feature is something that not every server can do.
type Feature string

// The features that a target may lack.
const (
	ClientUnblock Feature = "CLIENT UNBLOCK"
	ClientID      Feature = "CLIENT ID"
	MaxMemory     Feature = "maxmemory"
	ACL           Feature = "ACL"
	CrossSlot     Feature = "CROSSSLOT errors"
	Config        Feature = "CONFIG"
	Persistence   Feature = "persistence"
	Databases     Feature = "databases other than 0"
)

// Features names what a target lacks, each with the reason.
type Features map[Feature]string

// Target is a server to run a test against.
type Target struct {
	Name     string // standalone, cluster, sentinel or embedded
	Binary   string // of the server, for Options.Binary; "" = the usual one
	Client   redis.UniversalClient
	Features Features
	URL      string   // of the server, of one node of the cluster, or of the first master
	Addrs    []string // host:port of every node, or sentinel
	Master   string   // its name, behind Sentinel; else ""

	// NewClient opens a further client, for a test that adds hooks to it or
	// closes it. It is closed after the test.
	NewClient func(t testing.TB) redis.UniversalClient
}

// Need skips the test where the target lacks a feature, and says why.
func (x Target) Need(t testing.TB, f Feature) {
	t.Helper()
	if why, lacks := x.Features[f]; lacks {
		t.Skipf("%s has no %s: %s", x.Name, f, why)
	}
}

var embeddedLacks = Features{
	ClientUnblock: "miniredis has no CLIENT UNBLOCK: block for a short time there",
	ClientID:      "miniredis has no CLIENT ID",
	MaxMemory:     "miniredis has no memory limit: it never refuses a write",
	ACL:           "miniredis has no users",
	CrossSlot:     "miniredis is not a cluster",
	Config:        "miniredis has no CONFIG",
	Persistence:   "miniredis keeps everything in this process",
}

// Each runs a test against a standalone server, a cluster and the embedded
// server, in subtests of these names, in parallel, and against the first two of
// each further server program that REDIS_SERVERS names (standalone-PROGRAM). Only
// the servers that -run selects are started. All but the embedded one are shared:
// keep to a Namespace.
func Each(t *testing.T, test func(t *testing.T, target Target)) {
	t.Helper()
	for _, b := range Binaries() {
		on(t, "standalone", b, standaloneTarget, test)
		on(t, "cluster", b, clusterTarget, test)
	}
	on(t, "embedded", Binary{}, embeddedTarget, test)
}

// EachSentinel runs a test against a Sentinel deployment of every server program,
// in subtests named sentinel or sentinel-PROGRAM, in parallel. It is apart from
// Each because behind Sentinel stands a standalone server: few tests tell more
// there. They are shared: fail nothing over.
func EachSentinel(t *testing.T, test func(t *testing.T, target Target)) {
	t.Helper()
	for _, b := range Binaries() {
		on(t, "sentinel", b, sentinelTarget, test)
	}
}

// on runs a test as a subtest against one target.
func on(t *testing.T, name string, b Binary, open func(testing.TB, string) Target, test func(*testing.T, Target)) {
	t.Helper()
	t.Run(name+b.suffix(), func(t *testing.T) {
		t.Parallel()
		target := open(t, b.Path)
		target.Name, target.Binary, target.Client = name, b.Path, target.NewClient(t)
		test(t, target)
	})
}

func standaloneTarget(t testing.TB, path string) Target {
	s := sharedServer(t, path)
	return Target{
		Features:  Features{CrossSlot: "only a cluster has slots"},
		URL:       s.URL(),
		Addrs:     []string{s.Addr()},
		NewClient: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	}
}

func clusterTarget(t testing.TB, path string) Target {
	c := sharedCluster(t, path)
	return Target{
		Features:  Features{Databases: "a cluster has database 0 alone"},
		URL:       c.Nodes[0].URL(),
		Addrs:     c.Addrs(),
		NewClient: func(t testing.TB) redis.UniversalClient { return c.Client(t) },
	}
}

func sentinelTarget(t testing.TB, path string) Target {
	s := sharedSentinel(t, path)
	return Target{
		Features:  Features{CrossSlot: "only a cluster has slots"},
		URL:       s.Nodes[0].URL(),
		Addrs:     s.Addrs(),
		Master:    s.Name,
		NewClient: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	}
}

func embeddedTarget(t testing.TB, _ string) Target {
	e := Embedded(t)
	return Target{
		Features:  embeddedLacks,
		URL:       e.URL(),
		Addrs:     []string{e.Addr()},
		NewClient: func(t testing.TB) redis.UniversalClient { return e.Client(t) },
	}
}
