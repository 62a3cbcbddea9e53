// Package script runs embedded Lua on Redis: by its hash, loading it where the
// server has forgotten it, and never sent twice behind the caller's back.
package script

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by SHA-1
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Script is one Lua file with its includes resolved. Safe for concurrent use.
type Script struct {
	name string
	load func() (source, sha string)
}

// Files are the embedded files of a package's folder lua. They are there at compile
// time or never, so their absence panics.
func Files(embedded fs.FS) fs.FS {
	s, err := fs.Sub(embedded, "lua")
	if err != nil {
		panic(err)
	}
	return s
}

var include = regexp.MustCompile(`(?m)^-- include: (\S+)$`)

// rewrite lets a test take a check out of a script, to see that a suite notices.
var rewrite = func(_, source string) string { return source }

// SetRewrite passes the source of every script through f before its first use.
// It is for tests alone and must be called before any script has run.
func SetRewrite(f func(name, source string) string) { rewrite = f }

// New names the file of a script; lines "-- include: NAME" are replaced by that
// file of the first of the file systems that has it. The files are embedded, so a
// missing one is a programming error: it panics at first use.
func New(name string, files ...fs.FS) *Script {
	return &Script{name: name, load: sync.OnceValues(func() (string, string) {
		source := rewrite(name, resolve(name, files, map[string]bool{}))
		sum := sha1.Sum([]byte(source)) //nolint:gosec // as above
		return source, hex.EncodeToString(sum[:])
	})}
}

// resolve reads a file and what it includes; each file once.
func resolve(name string, files []fs.FS, seen map[string]bool) string {
	if seen[name] {
		return ""
	}
	seen[name] = true
	for _, f := range files {
		b, err := fs.ReadFile(f, name)
		if err != nil {
			continue
		}
		return include.ReplaceAllStringFunc(string(b), func(line string) string {
			return resolve(include.FindStringSubmatch(line)[1], files, seen)
		})
	}
	panic(fmt.Sprintf("script %s is not embedded", name))
}

// once is a command that go-redis does not repeat by itself: after a lost reply
// only the caller knows whether a second run is harmless.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// Run runs the script. All keys must lie in one slot.
func (s *Script) Run(ctx context.Context, c redis.UniversalClient, keys []string, args ...any) (any, error) {
	source, sha := s.load()
	v, err := s.send(ctx, c, "evalsha", sha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		v, err = s.send(ctx, c, "eval", source, keys, args) // also loads it
	}
	return v, err
}

func (s *Script) send(ctx context.Context, c redis.UniversalClient, verb, body string, keys []string, args []any) (any, error) {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, verb, body, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	_ = c.Process(ctx, once{cmd}) // the error is the command's
	return cmd.Result()
}
