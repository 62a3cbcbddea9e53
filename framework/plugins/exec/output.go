package exec

import (
	"bytes"

	"github.com/colonyq/colony/framework"
)

const (
	tailBytes = 4 << 10  // of standard error, kept for the job's error history
	maxLine   = 64 << 10 // a longer line is passed on in pieces
)

// lines passes on whole lines, each behind a prefix, so that the output of jobs
// that run side by side stays readable. One goroutine of os/exec writes to it;
// the lock is for the writer that all of them share.
type lines struct {
	e      *Exec
	prefix string
	buf    []byte
}

func (e *Exec) newLines(d *framework.Delivery) *lines {
	return &lines{e: e, prefix: d.Kind + " " + d.ID + ": "}
}

// Write never fails: a worker whose standard error is gone goes on working.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		l.buf = append(l.buf, p[:i]...)
		l.emit()
		p = p[i+1:]
	}
	l.buf = append(l.buf, p...)
	if len(l.buf) > maxLine {
		l.emit()
	}
	return n, nil
}

// flush passes on a last line without an end.
func (l *lines) flush() {
	if len(l.buf) > 0 {
		l.emit()
	}
}

func (l *lines) emit() {
	line := make([]byte, 0, len(l.prefix)+len(l.buf)+1)
	line = append(append(append(line, l.prefix...), l.buf...), '\n')
	l.buf = l.buf[:0]
	l.e.outLock.Lock()
	defer l.e.outLock.Unlock()
	_, _ = l.e.output.Write(line)
}

// tailWriter keeps the last tailBytes of what it passes on.
type tailWriter struct {
	next *lines
	buf  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return t.next.Write(p)
}

func (t *tailWriter) String() string { return string(t.buf) }
