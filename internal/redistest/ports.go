package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Servers listen between firstPort and firstPort+blocks*blockSize, and cluster
// nodes talk to each other 10,000 above that. Both lie below the range from
// which systems take the ports of outgoing connections, so that no connection of
// a test can take them.
const (
	firstPort = 12000
	blocks    = 200
	blockSize = 50
)

// ports hands out each port once per test binary. A server that was killed may
// come back at its port, and what knew an earlier server, a cluster's last node
// above all, must not meet a stranger there. Each block of ports belongs to one
// binary at a time, as long as it runs, by a lock on a file.
var ports struct {
	sync.Mutex
	left  []int
	locks []*os.File // referenced, or they would be closed
}

// newPort is a port that is free, as is the one of its cluster bus.
func newPort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		if len(ports.left) == 0 {
			if err := claimBlock(); err != nil {
				return 0, err
			}
		}
		port := ports.left[0]
		ports.left = ports.left[1:]
		if free(port) && free(port+10000) {
			return port, nil
		}
	}
}

// claimBlock takes a block that no other binary has; ports is locked.
func claimBlock() error {
	dir := filepath.Join(os.TempDir(), "redistest-ports-"+strconv.Itoa(os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("choose ports: %w", err)
	}
	var last error
	for _, block := range rand.Perm(blocks) {
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(block)), os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if err != nil {
			last = errors.Join(err, f.Close()) // of a nil *os.File: an error
			continue
		}
		ports.locks = append(ports.locks, f)
		for i := range blockSize {
			ports.left = append(ports.left, firstPort+block*blockSize+i)
		}
		return nil
	}
	return fmt.Errorf("choose ports: every block in %s is taken: %w", dir, last)
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
