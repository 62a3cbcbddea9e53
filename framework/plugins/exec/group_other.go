//go:build !unix

package exec

import (
	"os"
	"os/exec"
)

// Without process groups, the process alone is ended, at once.

func ownGroup(*exec.Cmd) {}

func terminate(p *os.Process) error { return p.Kill() }

func killGroup(p *os.Process) { _ = p.Kill() }
