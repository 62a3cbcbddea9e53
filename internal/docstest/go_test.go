package docstest

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Go block of any page that is a whole program builds against this module, as
// it would for whoever copies it.
func TestProgramsBuild(t *testing.T) {
	t.Parallel()
	dir := ""
	for _, s := range pages(t) {
		if s.Lang != "go" || !isProgram(s.Text) {
			continue
		}
		if dir == "" {
			dir = scratchModule(t)
		}
		if out, err := build(t, dir, s.Text); err != nil {
			t.Errorf("%s: %v\n%s", s, err, out)
		}
	}
}

// A program that uses what is there builds; one that uses what is not is found out.
func TestBrokenProgramFails(t *testing.T) {
	t.Parallel()
	const head = "package main\n\nimport \"github.com/colonyq/colony/framework/wire\"\n\n"
	dir := scratchModule(t)
	if out, err := build(t, dir, head+"func main() { println(wire.Version) }\n"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := build(t, dir, head+"func main() { wire.NoSuchFunction() }\n")
	if err == nil || !strings.Contains(string(out), "NoSuchFunction") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// isProgram tells a whole file from a fragment.
func isProgram(text string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly)
	return err == nil
}

// build vets text, which builds it too, as a package of the scratch module.
func build(t *testing.T, module, text string) ([]byte, error) {
	t.Helper()
	dir, err := os.MkdirTemp(module, "program")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return goIn(dir, "vet", "-mod=mod", ".")
}

// scratchModule is a module outside of this one that requires this one as it
// lies here, with the versions that this one requires.
func scratchModule(t *testing.T) string {
	t.Helper()
	// go test keeps a result until a file that the test opened changes.
	walk(t, ".", ".go", func(path string) { read(t, path) })
	dir, here := t.TempDir(), absolute(t)
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(root, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const colony = "github.com/colonyq/colony"
	out, err := goIn(dir, "mod", "edit", "-module=example.org/reader", "-require="+colony+"@v0.0.0", "-replace="+colony+"="+here)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func goIn(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd.CombinedOutput()
}

func absolute(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A Go fragment in the README stands, line by line, in a Go file of this
// repository, where it is compiled and most likely run. Elsewhere a fragment may
// be a sketch, but has to be Go.
func TestFragments(t *testing.T) {
	t.Parallel()
	var files []string
	walk(t, ".", ".go", func(path string) { files = append(files, flatten(string(read(t, path)))) })
	for _, s := range pages(t) {
		if s.Lang != "go" || isProgram(s.Text) {
			continue
		}
		if s.Page == "README.md" && !standsIn(files, s.Text) {
			t.Errorf("%s: this fragment stands in no Go file: write a whole program (with a package clause), "+
				"or copy lines of an example or an Example function; a line `// …` leaves lines out", s)
		}
		if err := parseFragment(s.Text); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// standsIn looks for a fragment, piece by piece where it leaves something out,
// in one of the flattened files.
func standsIn(files []string, fragment string) bool {
	pieces := strings.Split(flatten(fragment), "\n// …\n")
	for _, file := range files {
		rest, all := file, true
		for _, piece := range pieces {
			if _, rest, all = strings.Cut(rest, piece); !all {
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// flatten takes out indentation and empty lines, in which a page may differ.
func flatten(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// parseFragment reads it as declarations, else as statements.
func parseFragment(text string) error {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution)
	if err == nil {
		return nil
	}
	if _, inner := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+text+"\n}", parser.SkipObjectResolution); inner == nil {
		return nil
	}
	return err
}

// A fragment is found whatever its indentation, and with lines left out; a
// changed line, or another order, is not.
func TestStandsIn(t *testing.T) {
	t.Parallel()
	files := []string{flatten("package p\n\nfunc f() {\n\ta := 1\n\n\tb := 2\n\tc := 3\n}\n")}
	for fragment, want := range map[string]bool{
		"a := 1\nb := 2\n":          true,
		"  a := 1\n\n  b := 2\n":    true,
		"a := 1\n// …\nc := 3\n":    true,
		"c := 3\n// …\na := 1\n":    false,
		"a := 1\nc := 3\n":          false,
		"a := 2\n":                  false,
		"b :=":                      false,
		"// …\nfunc f() {\n// …\n}": true,
	} {
		if got := standsIn(files, fragment); got != want {
			t.Errorf("%q: %v, want %v", fragment, got, want)
		}
	}
	if parseFragment("if x {\n") == nil {
		t.Error("what is not Go was taken for Go")
	}
}
