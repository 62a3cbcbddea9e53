package redistest

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"time"
)

// link is one connection through a Proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	done           chan struct{}
	once           sync.Once

	mu      sync.Mutex
	replies []*loss // what to lose, by request that was not answered yet; nil = nothing
	raw     bool    // replication: no frames any more
}

// parcel is bytes on their way. One without bytes closes the connection.
type parcel struct {
	bytes []byte
	due   time.Time
}

func newLink(p *Proxy, client, server net.Conn) *link {
	return &link{proxy: p, client: client, server: server, done: make(chan struct{})}
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// run passes bytes in both directions until either end closes.
func (l *link) run() {
	var g sync.WaitGroup
	for _, way := range []struct {
		from, to net.Conn
		look     func([]byte) bool
	}{{l.client, l.server, l.request}, {l.server, l.client, l.reply}} {
		queue := make(chan parcel, 1024)
		g.Go(func() { l.read(way.from, queue, way.look) })
		g.Go(func() { l.write(way.to, queue) })
	}
	g.Wait()
}

// read takes frames from a connection; look says whether one passes, and the
// connection ends at the first that does not.
func (l *link) read(from net.Conn, queue chan<- parcel, look func(frame []byte) bool) {
	defer close(queue)
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		frame, err := l.next(r)
		ends := err != nil || !look(frame)
		if ends {
			frame = nil
		}
		select {
		case queue <- parcel{frame, l.proxy.due()}:
		case <-l.done:
			return
		}
		if ends {
			return
		}
	}
}

func (l *link) next(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	l.mu.Lock()
	raw := l.raw
	l.mu.Unlock()
	if !raw {
		return readFrame(r)
	}
	b := make([]byte, r.Buffered())
	_, err := r.Read(b)
	return b, err
}

// write passes on what was read, each parcel when it is due and not into a black
// hole.
func (l *link) write(to net.Conn, queue <-chan parcel) {
	defer l.close()
	for p := range queue {
		if !l.wait(p.due) || len(p.bytes) == 0 {
			return
		}
		if _, err := to.Write(p.bytes); err != nil {
			return
		}
	}
}

// wait is false when the connection was closed meanwhile.
func (l *link) wait(due time.Time) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.done:
		return false
	}
	for hole := l.proxy.hole(); hole != nil; hole = l.proxy.hole() {
		select {
		case <-hole:
		case <-l.done:
			return false
		}
	}
	return true
}

// request notes what is to become of the reply to a request.
func (l *link) request(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	args := arguments(frame)
	if l.raw || len(args) == 0 {
		return true
	}
	x := l.proxy.loses(args)
	switch name := strings.ToUpper(args[0]); {
	case name == "PSYNC", name == "SYNC":
		l.raw = true
	case !strings.HasSuffix(name, "SUBSCRIBE"): // whose answers are pushes
		l.replies = append(l.replies, x)
	}
	return true
}

// reply says whether a reply passes.
func (l *link) reply(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.raw || frame[0] == '>' {
		return true
	}
	var x *loss
	if len(l.replies) > 0 {
		x, l.replies = l.replies[0], l.replies[1:]
	}
	if x != nil {
		close(x.lost)
	}
	return x == nil && !l.proxy.muted()
}
