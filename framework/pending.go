package framework

import (
	"context"
	"errors"
)

type work struct{}

// Run serves the queues until ctx ends; nil after a clean stop.
func (a *App) Run(ctx context.Context) error { return errors.New("the engine has not landed yet") }

// Drain is Run that ends by itself when nothing is left to do.
func (a *App) Drain(ctx context.Context) (Report, error) { return Report{}, a.Run(ctx) }

// Abort ends Run at once: handlers' contexts end with ErrShutdown. It is what a
// second signal asks for.
func (a *App) Abort() {}

// DecodePlugin decodes strictly.
func DecodePlugin(c PluginConfig, into any) error { return c.With.Decode(into) }

func nearest(string, []string) string { return "" }
