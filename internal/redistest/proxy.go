package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands before a server and spoils its connections on command. It speaks
// the Redis protocol, so that it can lose the reply to one command and no other,
// which ready-made proxies of bytes cannot. Replication passes; TLS does not. Its
// methods may be called at any time and from any goroutine; what they say holds
// for connections that stand, too.
type Proxy struct {
	address string
	all     sync.WaitGroup // of the accepting goroutine and the connections'

	mu       sync.Mutex
	listener net.Listener // nil while down
	target   string
	open     map[*link]struct{}
	rules    rules
	changed  chan struct{} // closed, and made anew, when the black hole ends
	closed   bool
}

// rules are what a Proxy does to what passes.
type rules struct {
	delay, jitter time.Duration
	hole          bool
	mute          bool
	losses        []*loss
}

// loss is one reply to lose.
type loss struct {
	match func(args []string) bool
	left  int
	lost  chan struct{}
}

// NewProxy starts a proxy before the server at target (host:port) that lives as
// long as the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := newProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func newProxy(target string) (*Proxy, error) {
	port, err := newPort()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		address: "127.0.0.1:" + strconv.Itoa(port), target: target,
		open: map[*link]struct{}{}, changed: make(chan struct{}),
	}
	return p, p.Up()
}

// Addr is the host:port it listens at.
func (p *Proxy) Addr() string { return p.address }

func (p *Proxy) port() string { return strings.TrimPrefix(p.address, "127.0.0.1:") }

// lead makes new connections go to another server.
func (p *Proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Up accepts connections again after Down.
func (p *Proxy) Up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.listener = l
	p.all.Go(func() { p.accept(l) })
	return nil
}

// Down cuts all connections and refuses new ones, as where nothing listens.
func (p *Proxy) Down() {
	p.mu.Lock()
	l := p.listener
	p.listener = nil
	p.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
	p.Cut()
}

// Cut closes all connections at once; new ones are accepted. It says how many
// there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.close()
	}
	return len(p.open)
}

// Close ends the proxy and all connections. Safe twice.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Down()
	p.all.Wait()
}

// Delay lets everything, in both directions, arrive later by d, give or take at
// most jitter, and in order. 0, 0 ends it.
func (p *Proxy) Delay(d, jitter time.Duration) {
	p.set(func(r *rules) { r.delay, r.jitter = d, jitter })
}

// BlackHole lets nothing through in either direction while it is on: connections
// stand and can be made, and nothing answers. What was sent meanwhile arrives
// afterwards, as it does after a break in a network.
func (p *Proxy) BlackHole(on bool) { p.set(func(r *rules) { r.hole = on }) }

// SwallowReplies lets requests through while it is on, and cuts the connection
// instead of passing on a reply.
func (p *Proxy) SwallowReplies(on bool) { p.set(func(r *rules) { r.mute = on }) }

// SwallowReply does so once, for the reply to the n-th request from now (the
// first is 1) that matches; replies before it on the same connection pass. The
// channel is closed when it happened.
func (p *Proxy) SwallowReply(n int, match func(args []string) bool) <-chan struct{} {
	x := &loss{match: match, left: n, lost: make(chan struct{})}
	p.set(func(r *rules) { r.losses = append(r.losses, x) })
	return x.lost
}

// Command matches requests by the name of their command, in any case.
func Command(name string) func(args []string) bool {
	return func(args []string) bool { return len(args) > 0 && strings.EqualFold(args[0], name) }
}

// Heal ends whatever Delay, BlackHole and SwallowReplies began, and what
// SwallowReply was to do.
func (p *Proxy) Heal() { p.set(func(r *rules) { *r = rules{} }) }

func (p *Proxy) set(change func(*rules)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.rules)
	if !p.rules.hole {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// due is when something that came now is to arrive.
func (p *Proxy) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.rules.delay
	if j := p.rules.jitter; j > 0 {
		d += rand.N(2*j) - j
	}
	return time.Now().Add(d)
}

// hole is a channel that is closed when the black hole ends; nil if there is none.
func (p *Proxy) hole() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.rules.hole {
		return nil
	}
	return p.changed
}

// loses says whether the reply to a request is to be lost, and whom to tell.
func (p *Proxy) loses(args []string) *loss {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range p.rules.losses {
		if !x.match(args) {
			continue
		}
		if x.left--; x.left == 0 {
			p.rules.losses = append(p.rules.losses[:i:i], p.rules.losses[i+1:]...)
			return x
		}
	}
	return nil
}

func (p *Proxy) muted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules.mute
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // Down
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if link := newLink(p, client, server); !p.serve(l, link) {
			link.close()
		}
	}
}

// serve runs a link, unless the listener that it came from is down.
func (p *Proxy) serve(from net.Listener, l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != from {
		return false
	}
	p.open[l] = struct{}{}
	p.all.Go(func() {
		l.run()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, l)
	})
	return true
}
