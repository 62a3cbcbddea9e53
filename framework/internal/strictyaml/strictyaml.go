// Package strictyaml decodes YAML into structs and lets nothing pass that was
// probably a mistake: unknown and repeated keys, values of another type,
// durations without a unit. It reports everything at once, each problem with its
// file, line, column and path, and with the nearest known key.
//
// Only exported fields with a yaml tag are config; all others are left alone. A
// key without a value is as good as absent, so it keeps what the field held.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Position is where something stands in a file.
type Position struct {
	File         string
	Line, Column int // from 1; 0 = unknown
}

// String is file:line:column, as far as known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one problem.
type Error struct {
	Position
	Path    string // of the value, queues.emails.weight; "" for the whole file
	Message string
}

func (e *Error) Error() string {
	s := e.Message
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if p := e.Position.String(); p != "" {
		s = p + ": " + s
	}
	return s
}

// Decoder decodes the documents of one file.
type Decoder struct {
	// File is the name that problems carry.
	File string
	// Visit, if set, is called with a pointer to every struct that was decoded
	// from a mapping, and where that begins.
	Visit func(into any, at Position)
}

// Parse reads one document. The result is nil where data holds none. An error is
// an *Error.
func Parse(file string, data []byte) (*yaml.Node, error) {
	if blank(data) {
		return nil, nil
	}
	var n yaml.Node
	err := yaml.Load(data, &n)
	if err == nil {
		return &n, nil
	}
	e := &Error{Position: Position{File: file}, Message: err.Error()}
	var at *yaml.LoadError
	if errors.As(err, &at) {
		e.Line, e.Column, e.Message = at.Mark.Line, at.Mark.Column, "not YAML: "+at.Message
		if at.ContextMsg != "" {
			e.Message += " (" + at.ContextMsg + ")"
		}
		if tabbed(data, e.Line) {
			e.Message += "; indent with spaces, tabs are not allowed"
		}
	}
	return nil, e
}

// blank says whether data has nothing but space and comments.
func blank(data []byte) bool {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// tabbed says whether a tab stands in the indentation of a line.
func tabbed(data []byte, line int) bool {
	lines := bytes.Split(data, []byte("\n"))
	if line < 1 || line > len(lines) {
		return false
	}
	text := lines[line-1]
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	return bytes.ContainsRune(indent, '\t')
}

// Decode reads n, a document or any node of one, into the struct that into
// points to. A nil or zero node leaves it as it is. path is what the paths of
// problems begin with. The error joins an *Error per problem, in the order of
// the file; what had no problem is decoded all the same.
func (d Decoder) Decode(path string, n *yaml.Node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("strictyaml: cannot decode into %T: pass a pointer to a struct", into)
	}
	if n == nil || n.IsZero() {
		return nil
	}
	if n.Kind == yaml.DocumentNode {
		n = n.Content[0]
	}
	run := run{Decoder: d, active: map[*yaml.Node]bool{}}
	run.value(path, n, v.Elem())
	slices.SortStableFunc(run.problems, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(run.problems))
	for i, p := range run.problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// run is one Decode.
type run struct {
	Decoder
	problems []*Error
	active   map[*yaml.Node]bool // aliases that are being followed
}

func (r *run) at(n *yaml.Node) Position {
	return Position{File: r.File, Line: n.Line, Column: n.Column}
}

func (r *run) problem(path string, n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, &Error{Position: r.at(n), Path: path, Message: fmt.Sprintf(format, args...)})
}

// Join appends a key to a path: queues.emails, but handlers["email.send"].
func Join(path, key string) string {
	if !plain(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func plain(key string) bool {
	for _, c := range key {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return key != ""
}
