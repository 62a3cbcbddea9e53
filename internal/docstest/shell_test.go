package docstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Shell blocks parse, and every command in them that is of this repository is
// there: the make target, the package that go runs, the script.
func TestShell(t *testing.T) {
	t.Parallel()
	known := newRepository(t)
	for _, s := range pages(t) {
		if s.Lang != "sh" && s.Lang != "bash" && s.Lang != "shell" {
			continue
		}
		if err := known.check(s.Text); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// repository is what shell commands may name.
type repository struct {
	root    string
	targets []string // of make
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{root: absolute(t)}
	rules := regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	for _, m := range rules.FindAllStringSubmatch(string(read(t, filepath.Join(root, "Makefile"))), -1) {
		r.targets = append(r.targets, m[1])
	}
	return r
}

// check reports all that is wrong with a shell block.
func (r repository) check(text string) error {
	sh := exec.Command("sh", "-n")
	sh.Stdin = strings.NewReader(text)
	if out, err := sh.CombinedOutput(); err != nil {
		return fmt.Errorf("sh cannot read this: %s", out)
	}
	var errs []error
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line, _, _ = strings.Cut(line, " #")
		for _, command := range regexp.MustCompile(`&&|\|\||[;|&]`).Split(line, -1) {
			errs = append(errs, r.checkCommand(strings.Fields(command)))
		}
	}
	return errors.Join(errs...)
}

// checkCommand looks at one command's words.
func (r repository) checkCommand(words []string) error {
	for _, word := range words {
		if err := r.checkPath(word); err != nil {
			return err
		}
	}
	if len(words) < 2 || words[0] != "make" || strings.Contains(words[1], "=") {
		return nil
	}
	if !slices.Contains(r.targets, words[1]) {
		return fmt.Errorf("the Makefile has no target %s", words[1])
	}
	return nil
}

// checkPath looks for what a word names below the repository's own folders. What
// is built or made up by the reader (./bin, ./send-email) is not there.
func (r repository) checkPath(word string) error {
	path, isPath := strings.CutPrefix(word, "./")
	path = strings.TrimSuffix(path, "/...")
	first, _, _ := strings.Cut(path, "/")
	own := []string{"cmd", "docs", "examples", "framework", "internal", "locks", "queue", "scheduler", "scripts", "streams"}
	if !isPath || !slices.Contains(own, first) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.root, path)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s", word)
	}
	return nil
}

// Each check can fail, and what is not ours passes.
func TestShellChecks(t *testing.T) {
	t.Parallel()
	known := newRepository(t)
	for text, want := range map[string]string{
		"make test PKG=./scripts/... # comment\n": "",
		"make\nmake RACE=off test\n":              "",
		"cd x && go run ./framework/wire\n":       "",
		"./bin/worker run | jq . > ./out\n":       "",
		"make tset\n":                             "no target tset",
		"x=1; make tset\n":                        "no target tset",
		"cd x && go run ./examples/nothing\n":     "no ./examples/nothing",
		"go test \\\n  ./queue/nothing/...\n":     "no ./queue/nothing",
		"if true; then\n":                         "sh cannot read",
	} {
		err := known.check(text)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
