// Command worker takes jobs from queues and handles them. See docs/cli.md.
package main

import (
	"os"

	"github.com/colonyq/colony/framework/command"
)

func main() { os.Exit(command.Main(command.Worker(), os.Args)) }
