package faults

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/redistest"
)

// The test's own connections are those of a user and a name of their own, so that
// a fault can strike all others.
const (
	ownName     = "faults-test"
	ownUser     = "faults"
	ownPassword = "faults"
)

var ownRules = []string{"--user", ownUser, "on", ">" + ownPassword, "~*", "&*", "+@all"}

// sites are what processes are struck on: short forms do with one server.
func sites() []opener {
	if form.name == long.name {
		return []opener{standalone, cluster, sentinel}
	}
	return []opener{standalone}
}

// site is the servers of one test.
type site struct {
	name    string
	config  redisclient.Config // for workers and producers
	admin   redis.UniversalClient
	masters func(ctx context.Context, f func(ctx context.Context, c *redis.Client) error) error
	servers []*redistest.Server
	// nil elsewhere
	cluster  *redistest.Cluster
	sentinel *redistest.Sentinel
}

func ownOptions(s *redistest.Server) *redis.Options {
	return &redis.Options{
		Network: "unix", Addr: s.Socket(), ClientName: ownName, Username: ownUser, Password: ownPassword,
		DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// opener starts the servers of a site; binary is their program, "" = the usual one.
type opener func(t *testing.T, binary string) site

// standalone is one server.
func standalone(t *testing.T, binary string) site {
	return standaloneWith(t, redistest.Options{Binary: binary})
}

func standaloneWith(t *testing.T, o redistest.Options) site {
	o.Args = append(o.Args, ownRules...)
	s := redistest.StandaloneWith(t, o)
	admin := redis.NewClient(ownOptions(s))
	t.Cleanup(func() { _ = admin.Close() })
	return site{
		name: "standalone", config: redisclient.Config{URL: s.URL()}, admin: admin, servers: []*redistest.Server{s},
		masters: func(ctx context.Context, f func(context.Context, *redis.Client) error) error { return f(ctx, admin) },
	}
}
