package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/internal/keys"
)

// Role is what a user of Redis is for.
type Role string

// The roles. A worker may all that a producer may.
const (
	Producer Role = "producer"
	Worker   Role = "worker"
)

var (
	// of enqueue.lua, and around it
	producerCommands = []string{
		"ping", "time", "eval", "evalsha", "sadd", "type", "hget", "hmget", "hset", "hincrby", "pexpire", "rpush",
		"zadd", "zrange", "publish",
	}
	// of the scripts of a queue, of the wait, of stats and of the control channel
	workerCommands = []string{
		"blmove", "client|id", "client|unblock", "subscribe", "smembers",
		"del", "get", "set", "hdel", "hexists", "hgetall", "hkeys", "hlen", "llen", "lpush", "lrange", "ltrim",
		"zcard", "zcount", "zrangebyscore", "zrem", "zremrangebyscore", "zscore",
	}
	// of the scripts of locks, beyond a producer's
	lockCommands = []string{
		"del", "get", "persist", "pexpireat", "pttl", "script|load", "set", "subscribe",
		"zcard", "zcount", "zrangebyscore", "zrem", "zremrangebyscore", "zscore",
	}
	// what the client of a cluster sends of its own account
	clusterCommands = []string{"asking", "cluster|slots", "command"}
)

// Commands are all that a user of a role runs, sorted: as ACL rules name them,
// subcommands as in client|id. In a cluster there are three more.
func Commands(r Role, cluster bool) []string {
	all := slices.Clone(producerCommands)
	if r == Worker {
		all = append(all, workerCommands...)
	}
	if cluster {
		all = append(all, clusterCommands...)
	}
	slices.Sort(all)
	return all
}

// ACL is the command that makes a user with exactly the rights of a role, for
// the keys and the control channel of one namespace.
func ACL(r Role, namespace string, cluster bool) string {
	return fmt.Sprintf("ACL SETUSER colony-%s reset on >PASSWORD ~%s:* &%s +%s", r, orElse(namespace, keys.Default),
		keys.Control(namespace), strings.Join(Commands(r, cluster), " +"))
}

// LockRights are what a user needs besides to use locks: the end of an ACL
// SETUSER.
func LockRights(namespace string) string {
	return fmt.Sprintf("&%s* +%s", keys.LockWake(namespace), strings.Join(lockCommands, " +"))
}

var rightsScript = load("rights.lua")

// checkRights asks what the user of this connection may do.
func (d *doctor) checkRights(ctx context.Context) {
	user := d.user(ctx)
	k := keys.For(d.namespace, "doctor", 0, 1)
	commands := Commands(Worker, d.client.IsCluster())
	v, err := rightsScript.Run(ctx, d.client, []string{k.Ready}, append([]any{keys.Control(d.namespace)}, anys(commands)...)...)
	switch denied := texts(v); {
	case redis.HasErrorPrefix(err, "NOPERM"):
		d.add(Result{Check: "rights", Level: Problem, Says: user + " may run no scripts on keys of the namespace: " + err.Error(), Do: doACL})
	case err != nil:
		d.unknown("rights", "", err)
	case v == "NONE":
		d.add(Result{Check: "rights", Level: OK, Says: "this server has no users"})
	case len(denied) == 0:
		d.add(Result{Check: "rights", Level: OK, Says: user + " may work and enqueue"})
	case !slices.ContainsFunc(denied, func(c string) bool { return slices.Contains(Commands(Producer, d.client.IsCluster()), c) }):
		d.add(Result{Check: "rights", Level: Warning, Says: user + " may enqueue, but not work; it lacks +" + strings.Join(denied, " +"), Do: "nothing, if it is for producers; " + doACL})
	default:
		d.add(Result{Check: "rights", Level: Problem, Says: user + " lacks +" + strings.Join(denied, " +") + ", or the keys and the channel of the namespace", Do: doACL})
	}
}

const doACL = "give it the rights of its role, as below, on every node"

func (d *doctor) user(ctx context.Context) string {
	name, err := d.client.Do(ctx, "ACL", "WHOAMI").Text()
	if err != nil {
		return "this user"
	}
	return "user " + name
}
