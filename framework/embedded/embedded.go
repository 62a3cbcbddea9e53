// Package embedded is a Redis inside the process, for a first run and for tests:
// miniredis, which answers over TCP on a loopback address, so that a second
// command on the same machine reaches it as it would reach a real server.
//
// It is not for work that matters:
//
//   - Nothing is kept: when the process ends, every job is gone.
//   - One process, one machine: no replica, no Sentinel, no Cluster. Keys of
//     different slots are never refused, WAIT waits for nobody.
//   - It is never full: there is no maxmemory.
//   - Scripts run five to seven times slower than on Redis, without bit, struct,
//     cmsgpack and shebangs.
//   - A time to live ends up to 100 ms early or late. The server's clock (TIME)
//     is exact.
//   - Of several clients that block on one list, any may be woken first.
//   - CLIENT ID, LIST, KILL, UNBLOCK and PAUSE, BLMPOP, ZRANGESTORE, SORT,
//     CONFIG, ACL, SPUBLISH, FUNCTION, ROLE and most of INFO do not exist. A
//     blocked client can only be ended by closing its connection.
//   - XCLAIM ignores the minimum idle time, XAUTOCLAIM does not purge deleted
//     entries.
//
// Only framework/command, framework/frameworktest, examples and tests import
// this package, so that no producer or worker of yours links it unasked.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often times to live advance. Left alone, miniredis never lets them
// run; its clock-driven mode does, but looks at every such key on every command.
const tick = 100 * time.Millisecond

// Server is a running in-process Redis. Its methods are safe for concurrent use.
type Server struct {
	redis   *miniredis.Miniredis
	addr    string
	stop    chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
}

// Start starts a server that listens at addr, "host:port" with a loopback host
// (127.0.0.1, ::1, localhost). Port 0 is any free port; an empty addr means
// 127.0.0.1:0. The caller must Close it.
//
// It is an error when the host is not a loopback one (the server has no
// password), and when the address is taken: that error wraps
// syscall.EADDRINUSE and says what to do.
func Start(addr string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	s := &Server{redis: miniredis.NewMiniRedis(), stop: make(chan struct{})}
	if err := s.redis.StartAddr(addr); err != nil {
		return nil, startError(addr, err)
	}
	s.addr = s.redis.Addr() // miniredis forgets it when closed
	s.stopped.Go(s.advance)
	return s, nil
}

// Addr is where the server listens (after Close: listened): host and port.
func (s *Server) Addr() string { return s.addr }

// URL is the address as the redis.url of a config file.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}
	return u.String()
}

// Close ends every connection and the server, and waits until both are gone.
// All data is lost. Safe twice.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.stop)
		s.stopped.Wait()
		s.redis.Close()
	})
}

// advance lets the times to live run until Close.
func (s *Server) advance() {
	t := time.NewTicker(tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			now := time.Now() // not the tick's own time: a slow tick must not be lost
			s.redis.FastForward(now.Sub(last))
			last = now
		}
	}
}

// checkLoopback refuses what other machines could reach.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("embedded redis: address %q is not host:port: %w", addr, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("embedded redis: %s is not a loopback address; it has no password, so it listens on this machine alone: "+
		"use 127.0.0.1, or a real Redis without --embedded", addr)
}

// startError says what to do about an address that could not be had.
func startError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("embedded redis: %s is taken, perhaps by a Redis: leave --embedded out to use that one, "+
			"or choose another port, such as --redis redis://127.0.0.1:6380: %w", addr, err)
	}
	return fmt.Errorf("embedded redis: listen on %s: %w", addr, err)
}
