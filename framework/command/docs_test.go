package command

import (
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// docs/cli.md names every flag and command that there is.
func TestDocsNameEverything(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	worker, enqueue := Worker(), Enqueue()
	flags := append(worker.Flags, enqueue.Flags...)
	for _, c := range worker.Commands {
		flags = append(flags, c.Flags...)
		if !strings.Contains(string(page), "`worker "+c.Name) {
			t.Errorf("docs/cli.md does not name worker %s", c.Name)
		}
	}
	for _, name := range names(flags) {
		if !strings.Contains(string(page), "`"+dashed(name)) {
			t.Errorf("docs/cli.md does not name %s", dashed(name))
		}
	}
}

// A flag may stand before its command, so the commands must agree on whether a
// name takes a value; and all of them agree on what one letter means.
func TestCommandsAgreeOnFlags(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Worker().Commands {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				if takes, known := seen[name]; known && takes != takesValue(f) {
					t.Errorf("%s takes a value in some commands only", dashed(name))
				}
				seen[name] = takesValue(f)
			}
		}
	}
}

func names(flags []cli.Flag) []string {
	var all []string
	for _, f := range flags {
		all = append(all, f.Names()...)
	}
	return all
}
