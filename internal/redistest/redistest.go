// Package redistest starts real redis-server processes for tests, and stops
// every one of them by its own process id, whatever becomes of the test binary.
//
// Each server runs under a small sh process that holds the reading end of a
// pipe whose writing end only the test binary has. The pipe closes when Stop is
// called, and also when the binary panics, times out or is killed with SIGKILL;
// then sh kills the server, waits for it and removes its directory. (The death
// signal of Linux, Pdeathsig, was rejected: it fires when the thread that
// forked the child ends, which the Go runtime may do at any time, it leaves the
// directory behind, and other systems lack it.)
//
// Nothing here skips: where redis-server is missing, a test fails with the
// command that installs it. The variable REDIS_SERVER names another binary, and
// REDIS_SERVERS further ones that Each and Binaries take in beside it.
package redistest

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Namespace returns a key prefix that no other test has, now or in an earlier
// run. Tests share servers, so each keeps to its own and none flushes.
func Namespace(t testing.TB) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '_'
	}, t.Name())
	if len(name) > 60 {
		name = name[len(name)-60:]
	}
	var random [5]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	return "t-" + hex.EncodeToString(random[:]) + "-" + name
}

// clientOptions are those of every client here: quiet on servers that know
// neither CLIENT SETINFO nor maintenance notifications, and honest about
// deadlines.
func clientOptions(addr, password string) *redis.Options {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	return &redis.Options{
		Network: network, Addr: addr, Password: password,
		DisableIdentity:          true,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}
