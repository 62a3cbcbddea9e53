package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Every system is measured with payloads of exactly 100 bytes, and a job is
// known again by its payload.
func TestPayload(t *testing.T) {
	for _, n := range []int{0, 1, 149_999, 999_999_999} {
		p := payload(n)
		if len(p) != payloadSize || number(p) != n {
			t.Errorf("payload(%d) has %d bytes and reads back as %d", n, len(p), number(p))
		}
	}
	if n := number([]byte("junk")); n != -1 {
		t.Errorf("junk is job %d", n)
	}
}

// A benchmark that loses or doubles jobs fails.
func TestLedger(t *testing.T) {
	for name, runs := range map[string][]int{"lost": {0, 2}, "doubled": {0, 1, 1, 2}, "alien": {0, 1, 2, 3}} {
		l := newLedger(3)
		for _, n := range runs {
			l.handle(payload(n))
		}
		if l.check() == nil {
			t.Errorf("%s: the ledger does not complain", name)
		}
	}
	l := newLedger(3)
	for n := range 2 {
		l.enter(n)
	}
	if l.wait(t.Context(), time.Millisecond) == nil {
		t.Error("wait returned before every job was run")
	}
	l.enter(2)
	if err := firstOf(l.wait(t.Context(), time.Minute), l.check()); err != nil {
		t.Error(err)
	}
}

// The table shows what percentile says, so it must be right at the ends and
// where there is little.
func TestPercentile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := percentile(v, p); got != want {
			t.Errorf("percentile %v of 1…5 is %v, want %v", p, got, want)
		}
	}
	if got := percentile([]float64{1, 2}, 50); got != 1.5 {
		t.Errorf("the median of 1 and 2 is %v", got)
	}
	if !math.IsNaN(percentile(nil, 50)) {
		t.Error("nothing has a median")
	}
	if got := figure(-1234567.25, 1); got != "−1,234,567.2" {
		t.Errorf("figure writes %s", got)
	}
}

// Every experiment runs with every system, and the table has their figures.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("no redis-server here")
	}
	f, err := parse([]string{"-rounds", "1", "-jobs", "2000", "-waiting", "1000", "-delayed", "3",
		"-enqueue-for", "10ms", "-pickup-for", "10ms", "-idle-for", "100ms"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(context.Background(), f, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != len(rows)+2 {
		t.Errorf("the table has %d lines, want %d:\n%s", got, len(rows)+2, out.String())
	}
}
