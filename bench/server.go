package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// address is where a server listens.
type address struct{ network, addr string } // network: tcp or unix

func (a address) url() string {
	if a.network == "unix" {
		return "unix://" + a.addr
	}
	return "redis://" + a.addr + "/0"
}

// server is a redis-server of our own, without persistence.
type server struct {
	addr   address
	cmd    *exec.Cmd
	dir    string
	client *redis.Client
	exited chan struct{}
	once   sync.Once
}

func startServer(ctx context.Context, binary, network string) (*server, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, addr: address{network, filepath.Join(dir, "redis.sock")}, exited: make(chan struct{})}
	listen := []string{"--port", "0", "--unixsocket", s.addr.addr}
	if network == "tcp" {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		s.addr.addr = net.JoinHostPort("127.0.0.1", port)
		listen = []string{"--bind", "127.0.0.1", "--port", port}
	}
	s.cmd = exec.Command(binary, append(listen, "--dir", dir,
		"--save", "", "--appendonly", "no", "--logfile", filepath.Join(dir, "log"))...)
	// A group of its own: an interrupt is for us, and we end it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s (install Redis, or name a binary with -redis): %w", binary, err), os.RemoveAll(dir))
	}
	go func() { // ends with the server; stop waits for it
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	s.client = redis.NewClient(&redis.Options{Network: network, Addr: s.addr.addr, PoolSize: 2, DisableIdentity: true})
	if err := s.ready(ctx); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.stop()
		return nil, fmt.Errorf("start %s: %w\n%s", binary, err, log)
	}
	return s, nil
}

// freePort is a port that nobody listens at now.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

func (s *server) ready(ctx context.Context) error {
	for range 1000 {
		if s.client.Ping(ctx).Err() == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}

func (s *server) stop() {
	s.once.Do(func() {
		_ = s.client.Close()
		_ = s.cmd.Process.Kill()
		<-s.exited
		_ = os.RemoveAll(s.dir)
	})
}

// info is what the server counts, by the names that INFO gives them.
type info map[string]string

func (s *server) info(ctx context.Context) (info, error) {
	text, err := s.client.Info(ctx, "everything").Result()
	if err != nil {
		return nil, err
	}
	i := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			i[name] = value
		}
	}
	return i, nil
}

func (i info) number(name string) float64 {
	n, err := strconv.ParseFloat(i[name], 64)
	if err != nil {
		panic(fmt.Sprintf("redis-server's INFO has no number %s, but %q", name, i[name]))
	}
	return n
}

// cpu is the server's processor time in seconds.
func (i info) cpu() float64 { return i.number("used_cpu_user") + i.number("used_cpu_sys") }

// commands is how many commands the server ran, those in scripts included.
func (i info) commands() float64 { return i.number("total_commands_processed") }

// memory is what its data takes: all but the buffers of its clients.
func (i info) memory() float64 { return i.number("used_memory") - i.number("mem_clients_normal") }

// ownCPU is this process' processor time in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
