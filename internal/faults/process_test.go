package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a worker process, and what starts another one when it dies: a
// supervisor, as workers have one in production.
type process struct {
	r    *rig
	log  string
	done chan struct{} // closed when the supervisor has ended

	mu      sync.Mutex
	cmd     *exec.Cmd
	leaving bool // was asked to end
	dropped bool // the test failed already: how it ends is of no interest
}

// hire starts a worker.
func (r *rig) hire() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &process{r: r, done: make(chan struct{}), log: filepath.Join(filepath.Dir(r.path), fmt.Sprintf("worker-%d.log", len(r.workers)))}
	if err := p.start(); err != nil {
		r.Fatal(err)
	}
	r.workers = append(r.workers, p)
	r.Cleanup(p.end)
	go p.supervise()
	return p
}

// crew are the workers.
func (r *rig) crew() []*process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*process(nil), r.workers...)
}

func (p *process) start() error {
	given, err := json.Marshal(orders{Config: p.r.config, History: p.r.path})
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(given), "GOMAXPROCS=2")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = cmd
	return nil
}

// supervise starts the worker again when it was killed, until it is asked to end.
func (p *process) supervise() {
	defer close(p.done)
	for {
		err := p.running().Wait()
		p.mu.Lock()
		leaving, dropped := p.leaving, p.dropped
		p.mu.Unlock()
		if dropped {
			return
		}
		if leaving || !killed(err) {
			if err != nil {
				p.r.Errorf("a worker ended badly: %v; see its log:\n%s", err, p.tail())
			}
			if leaving {
				return
			}
		}
		if err := p.start(); err != nil {
			p.r.Errorf("start a worker again: %v", err)
			return
		}
	}
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (p *process) running() *exec.Cmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd
}

func (p *process) pid() int { return p.running().Process.Pid }

func (p *process) signal(s syscall.Signal) {
	if err := p.running().Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.r.Errorf("%v to a worker: %v", s, err)
	}
}

// kill ends the worker with SIGKILL; another one takes its place.
func (p *process) kill() {
	from, pid := Now(), p.pid()
	p.signal(syscall.SIGKILL)
	p.r.hit(pid, from)
}

// restart asks the worker to end and puts another one in its place.
func (p *process) restart() {
	p.dismiss()
	p.mu.Lock()
	p.leaving = false
	p.mu.Unlock()
	if err := p.start(); err != nil {
		p.r.Fatal(err)
	}
	p.done = make(chan struct{})
	go p.supervise()
}

// dismiss asks the worker to end and waits until it has.
func (p *process) dismiss() {
	p.mu.Lock()
	p.leaving = true
	p.mu.Unlock()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.r.Errorf("a worker does not end; its log:\n%s", p.tail())
		p.signal(syscall.SIGABRT)
		<-p.done
	}
	if log, _ := os.ReadFile(p.log); strings.Contains(string(log), "DATA RACE") {
		p.r.Errorf("a worker has a data race:\n%s", log)
	}
}

// end is for tests that failed before the worker was dismissed.
func (p *process) end() {
	p.mu.Lock()
	p.dropped = true
	p.mu.Unlock()
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.running().Process.Kill()
	<-p.done
}

// tail is the end of the worker's log.
func (p *process) tail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-4000):])
}
