package command

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/colonyq/colony/internal/doctor"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look whether Redis and the queues are fit for work",
		Description: "Looks at version, persistence, eviction, memory, clock, cluster, latency and rights, and at every\n" +
			"queue, and says what to do. Exits 1 if there is a problem; warnings alone exit 0.",
		HideHelpCommand: true,
		OnUsageError:    onUsageError,
		Action:          doctorAction,
		Flags:           commonFlags(),
	}
}

func doctorAction(c *cli.Context) (err error) {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	client, cfg, err := openClient(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	r, err := doctor.Visit(c.Context, client, cfg.Namespace)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(c.App.Writer).Encode(r)
	} else {
		err = r.Write(c.App.Writer)
	}
	if n := r.Count(doctor.Problem); err == nil && n > 0 {
		err = fmt.Errorf("doctor: %s", counted(n, "problem"))
	}
	return err
}
