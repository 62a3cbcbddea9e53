package command

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed completion/bash.sh
var bashCompletion string

//go:embed completion/zsh.sh
var zshCompletion string

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:            "completion",
		Usage:           "print the completion script of a shell: bash, zsh or fish",
		ArgsUsage:       "SHELL",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("completion takes one argument: bash, zsh or fish")
			}
			return writeCompletion(c.App, c.App.Writer, c.Args().First())
		},
	}
}

// writeCompletion prints a script to be evaluated: eval "$(worker completion bash)".
func writeCompletion(app *cli.App, w io.Writer, shell string) error {
	var script string
	var err error
	switch shell {
	case "bash":
		script = bashCompletion
	case "zsh":
		script = zshCompletion
	case "fish":
		script, err = app.ToFishCompletion()
	default:
		return usagef("no completion for shell %q; there is bash, zsh and fish", shell)
	}
	if err != nil {
		return fmt.Errorf("write the completion script for %s: %w", shell, err)
	}
	_, err = io.WriteString(w, strings.ReplaceAll(script, "PROGRAM", app.Name))
	return err
}
