package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// experiment measures one thing about one system, on a server of its own.
type experiment struct {
	name string
	run  func(ctx context.Context, t *trial) error
	// idle: it measures what happens while nothing happens, so all systems are
	// measured at the same time.
	idle bool
}

var experiments = []experiment{
	{name: "enqueue", run: measureEnqueue},
	{name: "drain16", run: func(ctx context.Context, t *trial) error { return measureDrain(ctx, t, 16) }},
	{name: "drain100", run: func(ctx context.Context, t *trial) error { return measureDrain(ctx, t, 100) }},
	{name: "pickup", run: measurePickup},
	{name: "delay", run: measureDelay},
	{name: "memory", run: measureMemory},
	{name: "idle", run: measureIdle, idle: true},
}

// trial is one run of an experiment.
type trial struct {
	contender
	flags  flags
	server *server
	record func(measure string, values ...float64)
}

// system connects the system to the trial's server.
func (t *trial) system(ctx context.Context, queue string) (system, error) {
	s, err := t.contender.open(ctx, t.server.addr, queue)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return s, nil
}

// try runs an experiment on a fresh server.
func try(ctx context.Context, e experiment, c contender, f flags, r *results) error {
	s, err := startServer(ctx, f.redis, f.network)
	if err != nil {
		return err
	}
	defer s.stop()
	t := &trial{contender: c, flags: f, server: s, record: func(measure string, values ...float64) { r.add(c.name, measure, values) }}
	runtime.GC() // what others left behind is not this one's
	if err := e.run(ctx, t); err != nil {
		return fmt.Errorf("%s, %s: %w", e.name, c.name, err)
	}
	return nil
}

// cost is what a piece of work took.
type cost struct {
	took            time.Duration
	client, server  float64 // s of processor time
	commands, reads float64
}

// meter measures from its making to its reading.
type meter struct {
	s     *server
	began time.Time
	own   float64
	from  info
}

func startMeter(ctx context.Context, s *server) (*meter, error) {
	i, err := s.info(ctx)
	return &meter{s: s, from: i, own: ownCPU(), began: time.Now()}, err
}

func (m *meter) read(ctx context.Context) (cost, error) {
	took, own := time.Since(m.began), ownCPU()
	i, err := m.s.info(ctx)
	if err != nil {
		return cost{}, err
	}
	return cost{
		took: took, client: own - m.own, server: i.cpu() - m.from.cpu(),
		commands: i.commands() - m.from.commands() - 1, // not our INFO
		reads:    i.number("total_reads_processed") - m.from.number("total_reads_processed") - 1,
	}, nil
}
