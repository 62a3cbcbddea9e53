package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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

// startTimeout is long because CI machines start dozens of servers at once.
const startTimeout = 30 * time.Second

// watch runs a server and kills it when its standard input ends. The server
// holds the other end of its standard output, so that the end of that means the
// end of the server. Signals from a terminal are for the test binary: when it
// dies of them, the input ends. The directory goes too, unless the input says
// that another start of the server uses it.
const watch = `
trap '' INT TERM HUP
dir=$1; shift
exec 3>&1
"$@" >>"$dir/log" 2>&1 </dev/null &
echo $!
exec 1>&- 3>&-
read -r word
kill -9 $!
wait $!
[ "$word" = keep ] || rm -rf "$dir"
`

// spec says what to run.
type spec struct {
	binary   string // path; "" = the usual one
	password string
	args     func(dir string, port int) ([]string, error)
}

// process is one redis-server at its port and in its directory, however often it
// is started there.
type process struct {
	spec
	dir  string
	port int
	argv []string

	mu    sync.Mutex
	run   *run
	ended bool
}

// run is one start of the server, with its watcher.
type run struct {
	pid      int
	watcher  *exec.Cmd
	lifeline io.WriteCloser
	exited   chan struct{} // closed when the server has ended
}

// launch starts a server and waits until it answers. A port that somebody else
// took in between is answered by another try.
func launch(s spec) (*process, error) {
	var err error
	if s.binary, err = find(s.binary); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		p, err := launchOnce(s)
		if err == nil || try == 4 || !strings.Contains(err.Error(), "Address already in use") {
			return p, err
		}
	}
}

func launchOnce(s spec) (*process, error) {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	p := &process{spec: s, dir: dir}
	if p.port, err = newPort(); err == nil {
		p.argv, err = s.args(dir, p.port)
	}
	if err == nil {
		err = p.start()
	}
	if err != nil {
		p.end()
		return nil, fmt.Errorf("start %s: %w", s.binary, err)
	}
	return p, nil
}

// start runs the server and waits until it answers.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errors.New("the server was stopped for good: its directory is gone")
	}
	r, err := spawn(p.dir, append([]string{p.binary}, p.argv...))
	if err != nil {
		return err
	}
	if p.run != nil {
		_, _ = io.WriteString(p.run.lifeline, "keep\n")
		p.run.end()
	}
	p.run = r
	if err := p.ready(r); err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		return fmt.Errorf("%w; its log:\n%s", err, log)
	}
	return nil
}

func spawn(dir string, command []string) (*run, error) {
	r := &run{exited: make(chan struct{})}
	r.watcher = exec.Command("sh", append([]string{"-c", watch, "redistest", dir}, command...)...)
	in, err := r.watcher.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := r.watcher.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.watcher.Start(); err != nil {
		return nil, err
	}
	r.lifeline = in
	return r, r.follow(bufio.NewReader(out))
}

// follow reads the server's pid, then waits in the background for its end.
func (r *run) follow(out *bufio.Reader) error {
	line, err := out.ReadString('\n')
	if err == nil {
		r.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	go func() { // ends with the server; end waits for it
		defer close(r.exited)
		_, _ = io.Copy(io.Discard, out)
	}()
	if err != nil {
		r.end()
		return fmt.Errorf("read the pid from sh: %w", err)
	}
	return nil
}

// end kills the server and returns when it and its watcher are gone.
func (r *run) end() {
	_ = r.lifeline.Close()
	<-r.exited
	_ = r.watcher.Wait() // says how the server ended: by our signal
}

func (p *process) ready(r *run) error {
	client := redis.NewClient(clientOptions(p.socket(), p.password))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, r.exited, func() error {
		if _, err := os.Stat(p.socket()); err != nil {
			return err // a dial would log that it failed
		}
		return client.Ping(ctx).Err()
	})
}

func (p *process) socket() string { return filepath.Join(p.dir, "redis.sock") }
func (p *process) addr() string   { return "127.0.0.1:" + strconv.Itoa(p.port) }

func (p *process) now() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// kill ends the server with SIGKILL and returns when it is gone. What it wrote
// stays for the next start.
func (p *process) kill() {
	r := p.now()
	select {
	case <-r.exited:
	default:
		_ = syscall.Kill(r.pid, syscall.SIGKILL) // its watcher has not waited for it: the id is its own
		<-r.exited
	}
}

// signal sends one to a server that runs.
func (p *process) signal(s syscall.Signal) error {
	r := p.now()
	select {
	case <-r.exited:
		return errors.New("the server has ended")
	default:
		return syscall.Kill(r.pid, s)
	}
}

// end kills the server and returns when it, its watcher and its directory are
// gone. Safe twice, and on a server that ended by itself.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if p.run == nil {
		_ = os.RemoveAll(p.dir)
		return
	}
	p.run.end()
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
