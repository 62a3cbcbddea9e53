package framework

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/colonyq/colony/framework/redisclient"
)

// Plugin describes a plugin. New has no side effects and returns a pointer to a
// struct whose yaml-tagged fields are the plugin's config, preset to their
// defaults. What it can do is read from the interfaces it implements, each of
// one method.
type Plugin struct {
	Name    string
	Summary string // one line, for lists
	New     func() any
}

// The lifecycle, in the order in which it is called: strict decoding of the
// config, SetArgument, Provision, Validate, Start, use, Stop, Cleanup. Stop and
// Cleanup run in reverse order, and also after a failure: Stop for what had
// started, Cleanup for what had been provisioned. A Provision or Start that fails
// leaves nothing behind that the plugin would have to end later.
//
// Handlers and Middleware are asked for once, between Validate and Start.
type (
	Provisioner interface {
		Provision(ctx context.Context, env *Env) error
	}
	Validator interface{ Validate() error }
	Starter   interface {
		Start(ctx context.Context) error
	}
	Stopper interface {
		Stop(ctx context.Context) error
	}
	CleanerUp   interface{ Cleanup() error }
	ArgumentSet interface{ SetArgument(arg string) error } // the ARG of --handler KIND=PLUGIN:ARG
)

// What a plugin can bring.
type (
	// HandlerPlugin may be bound to kinds by config or --handler.
	HandlerPlugin interface {
		Handle(ctx context.Context, d *Delivery) error
	}
	// HandlersPlugin brings kinds of its own.
	HandlersPlugin interface{ Handlers() map[string]Handler }
	// MiddlewarePlugin wraps every handler.
	MiddlewarePlugin interface{ Middleware() []Middleware }
)

// Env is what a plugin gets to work with.
type Env struct {
	Name     string // the plugin's name, or the kind it is bound to: for messages
	Config   Config // the resolved configuration of the process
	Logger   *slog.Logger
	Redis    *redisclient.Client
	Enqueuer Enqueuer
	Tracer   trace.Tracer
	Meter    metric.Meter
}
