// Package timeout is the plugin "timeout": a middleware that ends the context
// of every run after a while.
//
//	middleware:
//	  - {plugin: timeout, with: {after: 1m}}
//
// The cause of the context is then framework.ErrTimeout and the run counts as a
// failure, unless the handler returns nil all the same. A handler that ignores
// its context keeps its slot until it returns. A job's own timeout
// (enqueue --timeout) holds beside it: the shorter one wins.
package timeout

import (
	"errors"
	"fmt"
	"time"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/middleware"
)

func init() {
	framework.Register(framework.Plugin{
		Name:    "timeout",
		Summary: "middleware: ends each run after a time",
		New:     func() any { return &Timeout{} },
	})
}

// Timeout is the plugin and its config.
type Timeout struct {
	After time.Duration `yaml:"after"` // required, more than 0
}

// Validate reports a missing or negative time.
func (t *Timeout) Validate() error {
	switch {
	case t.After == 0:
		return errors.New("after: required; say after how long a run ends, for instance 1m")
	case t.After < 0:
		return fmt.Errorf("after: must be more than 0, got %s", t.After)
	}
	return nil
}

// Middleware returns the one middleware.
func (t *Timeout) Middleware() []framework.Middleware {
	return []framework.Middleware{middleware.Timeout(t.After)}
}
