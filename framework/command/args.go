package command

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const completionFlag = "--generate-bash-completion"

// order puts flags before arguments, because urfave/cli takes everything behind
// the first argument for an argument: PROGRAM [COMMAND] FLAGS -- ARGUMENTS. It
// answers an unknown flag and one without its value itself, before anything
// runs. A -- of the user's ends the flags.
func order(app *cli.App, args []string) ([]string, error) {
	if len(args) == 0 || completing(args) {
		return args, nil
	}
	o := ordering{app: app, flags: app.Flags}
	if err := o.scan(args[1:]); err != nil {
		return nil, err
	}
	return o.result(args[0])
}

// completing says whether a shell asks what may follow.
func completing(args []string) bool {
	return len(args) > 0 && args[len(args)-1] == completionFlag
}

type ordering struct {
	app     *cli.App
	flags   []cli.Flag   // those that may stand now
	command *cli.Command // nil: none named yet, or the app has none
	given   []givenFlag
	args    []string
	version bool
}

// givenFlag is a flag as it stands on the command line.
type givenFlag struct {
	name   string
	tokens []string
}

func (o *ordering) scan(tokens []string) error {
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t == "--":
			return o.arguments(tokens[i+1:])
		case len(t) < 2 || t[0] != '-':
			if err := o.arguments(tokens[i : i+1]); err != nil {
				return err
			}
		default:
			n, err := o.flag(tokens[i:])
			if err != nil {
				return err
			}
			i += n - 1
		}
	}
	return nil
}

// arguments takes the first one for the command where the app has commands.
func (o *ordering) arguments(args []string) error {
	if len(args) > 0 && o.command == nil && len(o.app.Commands) > 0 {
		c := o.app.Command(args[0])
		if c == nil {
			return unknownCommand(o.app, args[0])
		}
		o.command, args = c, args[1:]
	}
	o.args = append(o.args, args...)
	return nil
}

// flag takes the flag at the head of tokens and returns how many of them it is.
func (o *ordering) flag(tokens []string) (int, error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(tokens[0], "-"), "=")
	f := find(o.known(), name)
	if f == nil {
		return 0, o.unknown(name)
	}
	n := 1
	if takesValue(f) && !hasValue {
		if len(tokens) < 2 {
			return 0, usagef("flag %s needs a value", dashed(name))
		}
		if next := strings.TrimLeft(tokens[1], "-"); strings.HasPrefix(tokens[1], "--") && find(o.known(), next) != nil {
			return 0, usagef("flag %s needs a value; if %s is the value, write %s=%s", dashed(name), tokens[1], dashed(name), tokens[1])
		}
		n = 2
	}
	o.version = o.version || f.Names()[0] == "version"
	o.given = append(o.given, givenFlag{name, tokens[:n]})
	return n, nil
}

// known are the flags of the command, or of all commands while none was named:
// a flag may stand before its command.
func (o *ordering) known() []cli.Flag {
	flags := append(slices.Clip(o.flags), cli.HelpFlag)
	if o.command != nil {
		return append(flags, o.command.Flags...)
	}
	for _, c := range o.app.Commands {
		flags = append(flags, c.Flags...)
	}
	return flags
}

func (o *ordering) unknown(name string) error {
	const behind = "; an argument that begins with - goes behind --"
	if near := cli.SuggestFlag(o.known(), name, false); near != "" {
		return usagef("unknown flag %s; the nearest is %s%s", dashed(name), near, behind)
	}
	return usagef("unknown flag %s%s", dashed(name), behind)
}

func (o *ordering) result(program string) ([]string, error) {
	if o.version {
		return []string{program, "--version"}, nil
	}
	out := []string{program}
	if o.command != nil {
		out = append(out, o.command.Name)
	}
	for _, g := range o.given { // also those that stood before the command
		if find(o.known(), g.name) == nil {
			return nil, o.unknown(g.name)
		}
		out = append(out, g.tokens...)
	}
	return append(append(out, "--"), o.args...), nil
}

func unknownCommand(app *cli.App, name string) error {
	var names []string
	for _, c := range app.Commands {
		names = append(names, c.Name)
	}
	return usagef("unknown command %q; there are %s", name, strings.Join(names, ", "))
}

func find(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

func takesValue(f cli.Flag) bool {
	_, isBool := f.(*cli.BoolFlag)
	return !isBool
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
