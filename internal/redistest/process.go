package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout is long because CI machines start dozens of servers at once.
const startTimeout = 30 * time.Second

// watch runs a server and kills it when its standard input ends. The server
// holds the other end of its standard output, so that the end of that means the
// end of the server. Signals from a terminal are for the test binary: when it
// dies of them, the input ends.
const watch = `
trap '' INT TERM HUP
dir=$1; shift
exec 3>&1
"$@" >"$dir/log" 2>&1 </dev/null &
echo $!
exec 1>&- 3>&-
read -r _
kill -9 $!
wait $!
rm -rf "$dir"
`

// process is one redis-server and its watcher.
type process struct {
	dir      string
	port     int
	password string
	pid      int
	watcher  *exec.Cmd
	lifeline io.Closer
	exited   chan struct{} // closed when the server has ended
	stop     sync.Once
}

// launch starts a server and waits until it answers. A port that somebody else
// took in between is answered by another try.
func launch(password string, args []string) (*process, error) {
	bin, err := binary()
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		p, err := launchOnce(bin, password, args)
		if err == nil || try == 4 || !strings.Contains(err.Error(), "Address already in use") {
			return p, err
		}
	}
}

func launchOnce(bin, password string, args []string) (*process, error) {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, password: password, port: freePort(), exited: make(chan struct{})}
	if err := p.spawn(bin, args); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	if err := p.ready(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		p.end()
		return nil, fmt.Errorf("start %s: %w; its log:\n%s", bin, err, log)
	}
	return p, nil
}

func (p *process) spawn(bin string, args []string) error {
	argv := []string{"-c", watch, "redistest", p.dir, bin,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(p.port), "--unixsocket", p.socket(),
		"--dir", p.dir, "--save", "", "--appendonly", "no"}
	if p.password != "" {
		argv = append(argv, "--requirepass", p.password)
	}
	p.watcher = exec.Command("sh", append(argv, args...)...)
	in, err := p.watcher.StdinPipe()
	if err != nil {
		return err
	}
	out, err := p.watcher.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.watcher.Start(); err != nil {
		return err
	}
	p.lifeline = in
	return p.follow(bufio.NewReader(out))
}

// follow reads the server's pid, then waits in the background for its end.
func (p *process) follow(out *bufio.Reader) error {
	line, err := out.ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	go func() { // ends with the server; end waits for it
		defer close(p.exited)
		_, _ = io.Copy(io.Discard, out)
	}()
	if err != nil {
		p.end()
		return fmt.Errorf("read the pid from sh: %w", err)
	}
	return nil
}

func (p *process) ready() error {
	client := redis.NewClient(clientOptions(p.socket(), p.password))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, p.exited, func() error { return client.Ping(ctx).Err() })
}

func (p *process) socket() string { return filepath.Join(p.dir, "redis.sock") }
func (p *process) addr() string   { return "127.0.0.1:" + strconv.Itoa(p.port) }

// end kills the server and returns when it, its watcher and its directory are
// gone. Safe twice, and on a server that ended by itself.
func (p *process) end() {
	p.stop.Do(func() {
		_ = p.lifeline.Close()
		<-p.exited
		_ = p.watcher.Wait() // says how the server ended: by our signal
	})
}

// poll calls check until it returns nil; it gives up when ctx ends or when the
// server does.
func poll(ctx context.Context, exited <-chan struct{}, check func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%w, last: %w", context.Cause(ctx), err)
		}
	}
}

// freePort picks a port that, with the one 10,000 above it for the cluster bus,
// is free now. Both lie below the range from which systems take the ports of
// outgoing connections, so that no connection of a test can take them.
func freePort() int {
	for {
		port := 12000 + rand.IntN(10000)
		if free(port) && free(port+10000) {
			return port
		}
	}
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
