package command

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
)

// Worker is the program worker. It offers every plugin that is registered by the
// time it runs.
func Worker() *cli.App {
	app := newApp("worker", "works jobs off")
	app.UsageText = "worker COMMAND [FLAGS]"
	app.Description = "To see jobs go by, start a worker with a Redis of its own:\n" +
		"   worker run --embedded --handler '*=log'\n" +
		"and in another terminal:\n" +
		"   enqueue hello '{\"name\": \"Ada\"}'"
	app.Flags = []cli.Flag{versionFlag()}
	app.Commands = []*cli.Command{
		runCommand(), statsCommand(), locksCommand(), fsckCommand(), doctorCommand(), versionCommand(), completionCommand(),
	}
	app.Action = func(c *cli.Context) error {
		if c.Bool("version") {
			return readVersion().print(c.App.Writer, c.App.Name)
		}
		return errors.Join(cli.ShowAppHelp(c), usagef("name a command"))
	}
	return app
}

// registry is where this program's plugins are.
func registry() *framework.Registry { return framework.DefaultRegistry() }
