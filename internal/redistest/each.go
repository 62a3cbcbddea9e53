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
	Name     string // standalone, cluster or embedded
	Client   redis.UniversalClient
	Features Features
	URL      string   // of the server, or of one node of the cluster
	Addrs    []string // host:port of every node

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
// server, in subtests of these names, in parallel. Only the servers that -run
// selects are started. The first two are shared: keep to a Namespace.
func Each(t *testing.T, test func(t *testing.T, target Target)) {
	t.Helper()
	for _, kind := range []struct {
		name string
		open func(t testing.TB) Target
	}{{"standalone", standaloneTarget}, {"cluster", clusterTarget}, {"embedded", embeddedTarget}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			target := kind.open(t)
			target.Name, target.Client = kind.name, target.NewClient(t)
			test(t, target)
		})
	}
}

func standaloneTarget(t testing.TB) Target {
	s := Shared(t)
	return Target{
		Features:  Features{CrossSlot: "only a cluster has slots"},
		URL:       s.URL(),
		Addrs:     []string{s.Addr()},
		NewClient: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	}
}

func clusterTarget(t testing.TB) Target {
	c := SharedCluster(t)
	return Target{
		Features:  Features{Databases: "a cluster has database 0 alone"},
		URL:       c.Nodes[0].URL(),
		Addrs:     c.Addrs(),
		NewClient: func(t testing.TB) redis.UniversalClient { return c.Client(t) },
	}
}

func embeddedTarget(t testing.TB) Target {
	e := Embedded(t)
	return Target{
		Features:  embeddedLacks,
		URL:       e.URL(),
		Addrs:     []string{e.Addr()},
		NewClient: func(t testing.TB) redis.UniversalClient { return e.Client(t) },
	}
}
