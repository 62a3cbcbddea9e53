package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binary is a server program.
type Binary struct {
	Name string // of its file; "" = the one that is used where nothing is said
	Path string // for Options.Binary
}

// Binaries are all server programs to test against: the usual one, then those
// that REDIS_SERVERS lists, with commas between them.
func Binaries() []Binary {
	all := []Binary{{}}
	for path := range strings.SplitSeq(os.Getenv("REDIS_SERVERS"), ",") {
		if path = strings.TrimSpace(path); path != "" {
			all = append(all, Binary{Name: filepath.Base(path), Path: path})
		}
	}
	return all
}

// suffix tells subtests of one binary from those of another.
func (b Binary) suffix() string {
	if b.Name == "" {
		return ""
	}
	return "-" + b.Name
}

// find looks for a server program; "" is the usual one.
func find(name string) (string, error) {
	if name == "" {
		name = os.Getenv("REDIS_SERVER")
	}
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	sudo := "sudo "
	if os.Geteuid() == 0 {
		sudo = ""
	}
	return "", fmt.Errorf("%w; install it with `%sapt-get install -y redis-server` (macOS: `brew install redis`), "+
		"or name a Redis 7.0 or Valkey 7.2 server in REDIS_SERVER", err, sudo)
}
