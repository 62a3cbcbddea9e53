package command

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/fsck"
)

func fsckCommand() *cli.Command {
	return &cli.Command{
		Name:  "fsck",
		Usage: "look whether every job lies in exactly one place",
		Description: "Looks at all queues of the namespace, while workers run or not. Exits 1 if anything is wrong.\n" +
			"--repair mends what has one safe answer and deletes no job; it exits 1 if something is left.",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action:          fsckAction,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "mend what has one safe answer"},
		}, commonFlags()...),
	}
}

func fsckAction(c *cli.Context) (err error) {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	client, cfg, err := openClient(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	r, err := fsck.Run(c.Context, client, fsck.Options{Namespace: cfg.Namespace, Repair: c.Bool("repair")})
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(c.App.Writer).Encode(r)
	} else {
		err = r.Write(c.App.Writer)
	}
	if err == nil && !r.Clean() {
		err = fmt.Errorf("fsck: %s", counted(r.Open(), "finding"))
	}
	return err
}

// openClient connects to the Redis that flags, environment and config name, for
// commands that look at it and run no jobs.
func openClient(c *cli.Context) (*redisclient.Client, framework.Config, error) {
	if err := noArguments(c); err != nil {
		return nil, framework.Config{}, err
	}
	log, err := newLogger(c)
	if err != nil {
		return nil, framework.Config{}, err
	}
	cfg, file, err := clientConfig(c)
	if err == nil {
		err = asUsage(cfg.Validate())
	}
	if err != nil {
		return nil, cfg, err
	}
	if file != "" {
		log.Info("read the config", "file", file)
	}
	client, err := redisclient.Open(c.Context, cfg.Redis)
	return client, cfg, unreachable(err, workerHint)
}

// counted is "1 finding" or "2 findings".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
