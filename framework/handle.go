package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colonyq/colony/framework/wire"
)

// Any is the kind under which a handler gets the jobs of every kind that has no
// handler of its own.
const Any = "*"

// Handle registers the handler of a kind. It panics, like http.ServeMux, if the
// kind has one already or the app runs.
func Handle[T any](app *App, kind Kind[T], fn func(ctx context.Context, j *Job[T]) error) {
	app.mux.add(kind.name, entry{handler: kind.Handler(fn), defaults: kind.defaults()})
}

// HandleRaw registers a handler that gets payloads undecoded. The kind Any ("*")
// stands for every kind without a handler of its own. It panics, like
// http.ServeMux, if the kind has one already, is no name, or the app runs.
func HandleRaw(app *App, kind string, h Handler) {
	if kind != Any {
		if err := CheckName(kind); err != nil {
			panic("framework.HandleRaw: kind: " + err.Error())
		}
	}
	app.mux.add(kind, entry{handler: h})
}

// Handler makes a Handler of a function on decoded payloads. A payload that does
// not decode is answered with Dead, reason "rejected", and fn is not called.
func (k Kind[T]) Handler(fn func(ctx context.Context, j *Job[T]) error) Handler {
	return func(ctx context.Context, d *Delivery) error {
		j := &Job[T]{Delivery: d}
		if err := decode(d, &j.Payload); err != nil {
			return &DeadError{Err: fmt.Errorf("payload of a %s: %w", d.Kind, err), reason: reasonRejected}
		}
		return fn(ctx, j)
	}
}

func decode(d *Delivery, to any) error {
	if b, ok := to.(*[]byte); ok {
		*b = d.Payload
		return nil
	}
	if d.ContentType != "" && d.ContentType != wire.JSON {
		return fmt.Errorf("is %s, and %T wants JSON", d.ContentType, to)
	}
	return json.Unmarshal(d.Payload, to)
}

// entry is one kind's handler. defaults fill in what a job of a foreign producer
// left out.
type entry struct {
	handler  Handler
	defaults NewJob
	source   string // config file and place; "" = code
}

// mux finds the handler of a kind. It is written until seal, then only read.
type mux struct {
	mu         sync.Mutex
	entries    map[string]entry
	middleware []Middleware
	sealed     bool
}

func (m *mux) add(kind string, e entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed {
		panic("framework: handler of " + kind + " comes after Run began")
	}
	if e.handler == nil {
		panic("framework: handler of " + kind + " is nil")
	}
	if _, taken := m.entries[kind]; taken {
		panic("framework: a second handler for " + kind)
	}
	if m.entries == nil {
		m.entries = map[string]entry{}
	}
	m.entries[kind] = e
}

func (m *mux) use(mw []Middleware) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed {
		panic("framework: App.Use comes after Run began")
	}
	m.middleware = append(m.middleware, mw...)
}

// seal ends registration: more are the handlers of the config, outer its
// middleware. It returns what to serve. A wrong option of a kind, which fails each
// of its jobs when they are enqueued, is an error here.
func (m *mux) seal(more []bound, outer []Middleware) (routes, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed = true
	r := routes(maps.Clone(m.entries))
	if r == nil {
		r = routes{}
	}
	var errs []error
	for _, kind := range slices.Sorted(maps.Keys(r)) {
		errs = append(errs, at("kind "+kind, r[kind].defaults.err))
	}
	for _, b := range more {
		if err := r.add(b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", b.source, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := append(append([]Middleware(nil), outer...), m.middleware...)
	for kind, e := range r {
		e.handler = wrap(e.handler, all)
		r[kind] = e
	}
	return r, nil
}

func (e entry) where() string {
	if e.source == "" {
		return "the program's code"
	}
	return e.source
}

// wrap puts middleware around a handler, the first outermost.
func wrap(h Handler, mw []Middleware) Handler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}

// bound is a handler that the config brings.
type bound struct {
	kind    string
	handler Handler
	source  string
}

// routes is the finished table.
type routes map[string]entry

func (r routes) add(b bound) error {
	if b.kind != Any {
		if err := CheckName(b.kind); err != nil {
			return fmt.Errorf("kind: %w", err)
		}
	}
	if b.handler == nil {
		return fmt.Errorf("the handler of %s is nil", b.kind)
	}
	if e, taken := r[b.kind]; taken {
		return fmt.Errorf("%s has a handler already, by %s: remove one", b.kind, e.where())
	}
	r[b.kind] = entry{handler: b.handler, source: b.source}
	return nil
}

func (r routes) find(kind string) (entry, bool) {
	e, ok := r[kind]
	if !ok {
		e, ok = r[Any]
	}
	return e, ok
}

// maxAttempts of a job that names none itself.
func (e entry) maxAttempts(own int) int {
	switch {
	case own > 0:
		return own
	case e.defaults.maxAttempts > 0:
		return e.defaults.maxAttempts
	default:
		return wire.DefaultMaxAttempts
	}
}

func (e entry) timeout(own time.Duration) time.Duration {
	if own > 0 {
		return own
	}
	return e.defaults.timeout
}
