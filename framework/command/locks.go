package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/locks"
)

func locksCommand() *cli.Command {
	return &cli.Command{
		Name:            "locks",
		Usage:           "list, show and break locks",
		ArgsUsage:       "ls | show NAME | break NAME",
		Description:     "break takes a lock away from its holder, who may still be at work: it asks first, or needs --yes.",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action:          locksAction,
		Flags:           append([]cli.Flag{&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "break without asking", DisableDefaultText: true}}, commonFlags()...),
	}
}

func locksAction(c *cli.Context) error {
	what, name := c.Args().Get(0), c.Args().Get(1)
	switch {
	case what == "ls" && c.NArg() == 1, (what == "show" || what == "break") && c.NArg() == 2:
	default:
		return usagef("locks takes: ls, show NAME or break NAME")
	}
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	return withLocks(c, func(m *locks.Manager) error {
		if what == "break" {
			return breakLock(c, m, name)
		}
		found, err := findLocks(c.Context, m, name)
		if err != nil {
			return err
		}
		return printLocks(c.App.Writer, found, asJSON)
	})
}

// withLocks connects to where the locks are.
func withLocks(c *cli.Context, do func(*locks.Manager) error) (err error) {
	cfg, _, err := clientConfig(c)
	if err == nil {
		err = asUsage(cfg.Validate())
	}
	if err != nil {
		return err
	}
	client, err := redisclient.Open(c.Context, cfg.Redis)
	if err != nil {
		return unreachable(err, workerHint)
	}
	// The client inside knows all masters of a cluster.
	m := locks.New(client.UniversalClient, locks.Config{Namespace: cfg.Namespace})
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), closeTimeout)
		defer cancel()
		err = errors.Join(err, m.Close(ctx), client.Close())
	}()
	return do(m)
}

// findLocks are all locks, or those of a name, of which there must be one.
func findLocks(ctx context.Context, m *locks.Manager, name string) ([]locks.Info, error) {
	if name == "" {
		return m.List(ctx)
	}
	found, err := m.Inspect(ctx, name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("nobody holds lock %q or waits for it", name)
	}
	return found, err
}

func breakLock(c *cli.Context, m *locks.Manager, name string) error {
	found, err := findLocks(c.Context, m, name)
	if err != nil {
		return err
	}
	if !c.Bool("yes") {
		if err := printLocks(c.App.ErrWriter, found, false); err != nil {
			return err
		}
		fmt.Fprintf(c.App.ErrWriter, "Take lock %q away from its holders, who may still be at work? [y/N] ", name)
		answer, err := bufio.NewReader(c.App.Reader).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
		if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return errors.New("not broken; answer y, or say --yes")
		}
	}
	n, err := m.Break(c.Context, name)
	if err == nil {
		fmt.Fprintf(c.App.ErrWriter, "taken from %d\n", n)
	}
	return err
}

// lockLine is a holder, or a lock that is waited for and free, in the output.
type lockLine struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Token   string `json:"token,omitempty"`
	Mode    string `json:"mode,omitempty"`
	TTL     *int64 `json:"ttl_ms"` // null = until released
	Fence   uint64 `json:"fence"`
	Waiters int    `json:"waiters"`
}

func lockLines(found []locks.Info) []lockLine {
	lines := []lockLine{}
	for _, i := range found {
		line := lockLine{Name: i.Name, Kind: i.Kind, Fence: i.Fence, Waiters: i.Waiters}
		if len(i.Holders) == 0 {
			lines = append(lines, line)
		}
		for _, h := range i.Holders {
			line.Token, line.Mode, line.TTL = h.Token, h.Kind.String(), nil
			if h.TTL != locks.NoExpiry {
				ms := h.TTL.Milliseconds()
				line.TTL = &ms
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func printLocks(w io.Writer, found []locks.Info, asJSON bool) error {
	lines := lockLines(found)
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"locks": lines})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tMODE\tTTL\tFENCE\tWAITERS\tTOKEN")
	for _, l := range lines {
		ttl := "-"
		if l.TTL != nil {
			ttl = fmt.Sprintf("%.1fs", float64(*l.TTL)/1000)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", l.Name, l.Kind, l.Mode, ttl, l.Fence, l.Waiters, l.Token)
	}
	return t.Flush()
}
