package main

// The plugins of this worker. To build one with a plugin of yours, copy this
// folder, add its import here, and go build. See docs/plugins.md.
import (
	_ "github.com/colonyq/colony/framework/plugins/exec"
	_ "github.com/colonyq/colony/framework/plugins/log"
	_ "github.com/colonyq/colony/framework/plugins/timeout"
)
