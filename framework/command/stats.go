package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework"
)

func statsCommand() *cli.Command {
	return &cli.Command{
		Name:            "stats",
		Usage:           "print what lies in every queue",
		Description:     "ready includes what is about to be taken. processed, failed, lease_lost and recovered are at\nmost one beat (a second) old while workers run.",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action:          statsAction,
		Flags:           commonFlags(),
	}
}

func statsAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	counts, failed := readStats(c)
	if counts == nil {
		return failed
	}
	if asJSON {
		err = json.NewEncoder(c.App.Writer).Encode(map[string]any{"queues": counts})
	} else {
		err = printStats(c.App.Writer, counts)
	}
	return errors.Join(failed, err)
}

// readStats answers with what could be counted beside an error about the rest; nil
// is nothing at all.
func readStats(c *cli.Context) (counts map[string]framework.Counts, err error) {
	p, closeProducer, err := openProducer(c, workerHint, func(*framework.Config) error { return nil })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeProducer()) }()
	return p.Stats(c.Context)
}

// openProducer connects without plugins. more sets what the command's own flags say.
func openProducer(c *cli.Context, hint string, more func(*framework.Config) error) (p *framework.Producer, closeIt func() error, err error) {
	log, err := newLogger(c)
	if err != nil {
		return nil, nil, err
	}
	cfg, file, err := clientConfig(c)
	if err == nil {
		err = more(&cfg)
	}
	if err == nil {
		err = asUsage(cfg.Validate())
	}
	if err != nil {
		return nil, nil, err
	}
	if file != "" {
		log.Info("read the config", "file", file)
	}
	p, err = framework.OpenProducer(c.Context, cfg, framework.WithLogger(log))
	if err != nil {
		return nil, nil, unreachable(err, hint)
	}
	return p, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), closeTimeout)
		defer cancel()
		return p.Close(ctx)
	}, nil
}

func printStats(w io.Writer, counts map[string]framework.Counts) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "QUEUE\tBACKEND\tREADY\tACTIVE\tSUSPECT\tSCHEDULED\tRETRY\tDEAD\tDONE\tPROCESSED\tFAILED\tLEASE LOST\tRECOVERED\tPAUSED\t")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		q := counts[name]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%t\t\n", name, q.Backend,
			q.Ready, q.Active, q.Suspect, q.Scheduled, q.Retry, q.Dead, q.Done, q.Processed, q.Failed, q.LeaseLost, q.Recovered, q.Paused)
	}
	return t.Flush()
}
