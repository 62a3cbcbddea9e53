// Command enqueue enqueues jobs and prints their ids. See docs/cli.md.
package main

import (
	"os"

	"github.com/colonyq/colony/framework/command"
)

func main() { os.Exit(command.Main(command.Enqueue(), os.Args)) }
