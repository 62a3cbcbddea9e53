package command

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func oneCommand() *cli.App {
	return &cli.App{Flags: []cli.Flag{
		&cli.StringFlag{Name: "queue"}, &cli.StringSliceFlag{Name: "header"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}}, &cli.BoolFlag{Name: "version"},
	}}
}

func twoCommands() *cli.App {
	return &cli.App{Flags: []cli.Flag{&cli.BoolFlag{Name: "version"}}, Commands: []*cli.Command{
		{Name: "run", Flags: []cli.Flag{&cli.StringFlag{Name: "config"}, &cli.BoolFlag{Name: "drain"}}},
		{Name: "stats", Flags: []cli.Flag{&cli.StringFlag{Name: "config"}, &cli.StringFlag{Name: "output", Aliases: []string{"o"}}}},
	}}
}

// Flags count wherever they stand, until --; what is not a flag keeps its order.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		app      *cli.App
		in, want string
	}{
		{oneCommand(), "k p", "x -- k p"},
		{oneCommand(), "k --queue a p -q", "x --queue a -q -- k p"},
		{oneCommand(), "k --queue=a -", "x --queue=a -- k -"},
		{oneCommand(), "k -- -5 --queue", "x -- k -5 --queue"},
		{oneCommand(), "--header a=1,2 k --header b=", "x --header a=1,2 --header b= -- k"},
		{oneCommand(), "--queue -1 k", "x --queue -1 -- k"},
		{oneCommand(), "k --version", "x --version"},
		{oneCommand(), "-h k", "x -h -- k"},
		{twoCommands(), "run --drain", "x run --drain --"},
		{twoCommands(), "--config f run", "x run --config f --"},
		{twoCommands(), "stats -o json --config f", "x stats -o json --config f --"},
		{twoCommands(), "run --version", "x --version"},
		{twoCommands(), "", "x --"},
	} {
		got, err := order(c.app, append([]string{"x"}, strings.Fields(c.in)...))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// A mistake is a usage error that names the flag and what comes nearest.
func TestOrderRefuses(t *testing.T) {
	for _, c := range []struct {
		app  *cli.App
		in   string
		want []string
	}{
		{oneCommand(), "k --quue a", []string{"--quue", "--queue"}},
		{oneCommand(), "k --queue", []string{"--queue", "needs a value"}},
		{oneCommand(), "k --queue --quiet", []string{"needs a value", "--queue=--quiet"}},
		{oneCommand(), "k -5", []string{"-5", "behind --"}},
		{twoCommands(), "rum", []string{`"rum"`, "run"}},
		{twoCommands(), "--drain stats", []string{"--drain"}},
		{twoCommands(), "stats --drain", []string{"--drain"}},
	} {
		_, err := order(c.app, append([]string{"x"}, strings.Fields(c.in)...))
		var usage *usageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: got %v, want a usage error", c.in, err)
			continue
		}
		if slices.ContainsFunc(c.want, func(w string) bool { return !strings.Contains(err.Error(), w) }) {
			t.Errorf("%s: %q lacks one of %q", c.in, err, c.want)
		}
	}
}
