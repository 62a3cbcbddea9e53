package docstest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// snippet is a fenced block of a page.
type snippet struct {
	Page string // path from the root
	Line int    // of its first line
	Lang string // "go" of ```go
	Mark string // what follows: "colony.yaml" of ```yaml colony.yaml
	Text string
}

// String is where to look.
func (s snippet) String() string { return fmt.Sprintf("%s:%d", s.Page, s.Line) }

// snippets reads the fenced blocks of a page. Only fences of three backticks
// count, wherever they are indented to.
func snippets(page, text string) ([]snippet, error) {
	var found []snippet
	var open *snippet
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		info, isFence := strings.CutPrefix(trimmed, "```")
		switch {
		case open != nil && isFence && info == "":
			found, open = append(found, *open), nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent) + "\n"
		case isFence:
			lang, mark, _ := strings.Cut(strings.TrimSpace(info), " ")
			open = &snippet{Page: page, Line: i + 2, Lang: lang, Mark: mark}
			indent = line[:len(line)-len(trimmed)]
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: the block is never closed", open)
	}
	return found, nil
}

// pages returns the snippets of the README and of all pages below docs.
func pages(t *testing.T) []snippet {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	walk(t, "docs", ".md", func(path string) { names = append(names, path) })
	var all []snippet
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := filepath.Rel(root, name)
		found, err := snippets(page, string(text))
		if err != nil {
			t.Error(err)
		}
		all = append(all, found...)
	}
	return all
}

// walk calls f with every file of that ending below dir, tools' folders left out.
func walk(t *testing.T, dir, ending string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ending) {
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The pages' blocks are found as they stand, with their place; one that is never
// closed is an error and hides nothing.
func TestSnippets(t *testing.T) {
	t.Parallel()
	got, err := snippets("x.md", "a\n```go\nb\n```\n- item\n  ```yaml colony.yaml\n  c:\n    d\n  ```\n")
	want := []snippet{
		{Page: "x.md", Line: 3, Lang: "go", Text: "b\n"},
		{Page: "x.md", Line: 7, Lang: "yaml", Mark: "colony.yaml", Text: "c:\n  d\n"},
	}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := snippets("x.md", "```go\nb\n"); err == nil || !strings.Contains(err.Error(), "x.md:2") {
		t.Errorf("an open block passed: %v", err)
	}
}
