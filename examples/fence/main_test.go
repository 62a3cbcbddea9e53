package main

import (
	"os"
	"strings"
	"testing"

	"github.com/colonyq/colony/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// The store keeps what the later holder wrote.
func TestFence(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), redistest.Shared(t).Client(t), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"slow: the lock was lost\n", "next: <nil>\n", "slow: refused", "store: new\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
