package command

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v2"
)

// newLogger is for what people read on standard error, by --quiet, --verbose and
// --log-format.
func newLogger(c *cli.Context) (*slog.Logger, error) {
	format, err := oneOf(c, "log-format", "text", "json")
	if err != nil {
		return nil, err
	}
	if c.Bool("quiet") && c.Bool("verbose") {
		return nil, usagef("--quiet and --verbose exclude each other")
	}
	o := &slog.HandlerOptions{Level: level(c)}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(c.App.ErrWriter, o)), nil
	}
	return slog.New(slog.NewTextHandler(c.App.ErrWriter, o)), nil
}

func level(c *cli.Context) slog.Level {
	switch {
	case c.Bool("quiet"):
		return slog.LevelWarn
	case c.Bool("verbose"):
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// hearRedis makes what go-redis would write to standard error (each dial that
// fails, each look at a sentinel) a debug record: what matters of it is in the
// errors of calls, which we tell of ourselves.
func hearRedis(log *slog.Logger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log *slog.Logger }

func (r redisLog) Printf(ctx context.Context, format string, v ...any) {
	if r.log.Enabled(ctx, slog.LevelDebug) {
		r.log.DebugContext(ctx, "go-redis: "+strings.TrimPrefix(fmt.Sprintf(format, v...), "redis: "))
	}
}
