// Package doctor looks at a Redis and at the queues in it for what goes wrong
// with jobs sooner or later: settings that lose them, rights that are missing,
// queues that nobody serves. It changes nothing. What a server does not tell, or
// this user may not ask, is said as such and is no problem.
package doctor

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/colonyq/colony/framework/redisclient"
	"github.com/colonyq/colony/internal/keys"
	"github.com/colonyq/colony/internal/moves"
	"github.com/colonyq/colony/internal/script"
)

//go:embed lua/*.lua
var embedded embed.FS

func load(name string) *script.Script {
	own, err := fs.Sub(embedded, "lua")
	if err != nil {
		panic(err)
	}
	return script.New(name, own, moves.Fragments)
}

// Level is how bad a result is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Unknown Level = "unknown" // it could not be asked
	Warning Level = "warning" // look at it some time
	Problem Level = "problem" // jobs are lost or not run, or soon will be
)

// Result is the answer to one question.
type Result struct {
	Check string `json:"check"`
	Where string `json:"where,omitempty"` // address of a node, or name of a queue
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty"`
}

// Report is what the doctor found.
type Report struct {
	Mode      redisclient.Mode `json:"mode"`
	Namespace string           `json:"namespace"`
	Results   []Result         `json:"results"`
	ACL       map[Role]string  `json:"acl"` // the command that makes a user of each role
}

// Count is how many results have a level.
func (r Report) Count(l Level) int {
	n := 0
	for _, x := range r.Results {
		if x.Level == l {
			n++
		}
	}
	return n
}

// Write writes the report as text.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, x := range r.Results {
		where := x.Check
		if x.Where != "" {
			where += " " + x.Where
		}
		fmt.Fprintf(&b, "%-7s  %s: %s\n", x.Level, where, x.Says)
		if x.Do != "" {
			fmt.Fprintf(&b, "         What to do: %s\n", x.Do)
		}
	}
	fmt.Fprintf(&b, "\nUsers with no more rights than they need:\n  %s\n  %s\nand for who uses locks, besides:\n  %s\n",
		r.ACL[Worker], r.ACL[Producer], LockRights(r.Namespace))
	_, err := io.WriteString(w, b.String())
	return err
}

// doctor is one visit.
type doctor struct {
	client    *redisclient.Client
	namespace string
	report    Report
}

// Visit looks at the servers behind the client and at the queues of a namespace
// ("" = colony). The error says that nothing could be asked at all.
func Visit(ctx context.Context, client *redisclient.Client, namespace string) (Report, error) {
	d := &doctor{client: client, namespace: namespace}
	cluster := client.IsCluster()
	d.report = Report{Mode: client.Mode(), Namespace: orElse(namespace, keys.Default), Results: []Result{}, ACL: map[Role]string{
		Worker: ACL(Worker, namespace, cluster), Producer: ACL(Producer, namespace, cluster),
	}}
	nodes, err := d.nodes(ctx)
	if err != nil {
		return d.report, fmt.Errorf("doctor: find the nodes: %w", err)
	}
	if cluster {
		d.checkCluster(ctx)
	}
	for _, n := range nodes {
		d.checkNode(ctx, n)
	}
	d.checkRights(ctx)
	d.checkQueues(ctx)
	return d.report, ctx.Err()
}

// node is a server to ask by itself.
type node struct {
	redis.Cmdable
	addr string
}

// nodes are the server, or every master of the cluster.
func (d *doctor) nodes(ctx context.Context) ([]node, error) {
	if !d.client.IsCluster() {
		return []node{{d.client, d.client.Address()}}, nil
	}
	cluster, ok := d.client.UniversalClient.(interface {
		ForEachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error
	})
	if !ok {
		return nil, fmt.Errorf("a %T does not tell its masters", d.client.UniversalClient)
	}
	found := make(chan node, 1000)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		found <- node{c, c.Options().Addr}
		return nil
	})
	close(found)
	var all []node
	for n := range found {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b node) int { return strings.Compare(a.addr, b.addr) })
	return all, err
}

func (d *doctor) add(r Result) { d.report.Results = append(d.report.Results, r) }

func (d *doctor) unknown(check, where string, err error) {
	d.add(Result{Check: check, Where: where, Level: Unknown, Says: "cannot be asked: " + err.Error()})
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

func texts(v any) []string {
	l, _ := v.([]any)
	var out []string
	for _, x := range l {
		s, _ := x.(string)
		out = append(out, s)
	}
	return out
}
