package strictyaml

import (
	"reflect"
	"slices"
	"strings"

	"github.com/xrash/smetrics"
	"go.yaml.in/yaml/v4"
)

func (r *run) structure(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.wrong(path, n, "a mapping (key: value)")
		return
	}
	known := map[string]reflect.Value{}
	var names []string
	fields(v, func(name string, field reflect.Value) {
		known[name] = field
		names = append(names, name)
	})
	for _, e := range r.entries(path, n) {
		name := e.key.Value
		if field, ok := known[name]; ok {
			r.value(Join(path, name), e.value, field)
			continue
		}
		r.problem(Join(path, name), e.key, "unknown key%s", suggestion(name, names))
	}
	if r.Visit != nil && v.CanAddr() {
		r.Visit(v.Addr().Interface(), r.at(n))
	}
}

// fields calls yield for every field that is config, those of inline structs
// among them.
func fields(v reflect.Value, yield func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() && !f.Anonymous || name == "-":
		case name != "":
			yield(name, v.Field(i))
		case options == "inline" && f.Type.Kind() == reflect.Struct:
			fields(v.Field(i), yield)
		}
	}
}

// Keys are the names of a struct's config fields, in their order.
func Keys(t reflect.Type) []string {
	var names []string
	fields(reflect.New(t).Elem(), func(name string, _ reflect.Value) { names = append(names, name) })
	return names
}

// suggestion ends the message about an unknown key.
func suggestion(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return ", did you mean " + near + "?"
	}
	if len(known) == 0 {
		return ": there is nothing to configure here"
	}
	return "; known are " + strings.Join(known, ", ")
}

// Nearest is the known name that was probably meant, or "".
func Nearest(name string, known []string) string {
	best, score := "", 0.8
	for _, k := range known {
		s := smetrics.JaroWinkler(strings.ToLower(name), k, 0.7, 4)
		if strings.ReplaceAll(strings.ToLower(name), "-", "_") == k || len(name) > 3 && strings.Contains(k, name) {
			s = 1
		}
		if s > score {
			best, score = k, s
		}
	}
	return best
}

type entry struct{ key, value *yaml.Node }

// entries are the keys and values of a mapping, without the repeated ones, which
// are reported. Keys that come by a merge (<<: *defaults) stand behind the
// mapping's own and give way to them.
func (r *run) entries(path string, n *yaml.Node) []entry {
	var all []entry
	var merged []*yaml.Node
	first := map[string]int{} // line
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		line, again := first[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			r.problem(path, k, "has a key that is not a plain name")
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
		case again:
			r.problem(Join(path, k.Value), k, "given twice, first in line %d", line)
		default:
			first[k.Value] = k.Line
			all = append(all, entry{k, v})
		}
	}
	for _, m := range merged {
		all = append(all, r.merged(path, m, first)...)
	}
	return all
}

// merged are the entries of a merge that are not there yet.
func (r *run) merged(path string, m *yaml.Node, have map[string]int) []entry {
	if m.Kind == yaml.SequenceNode {
		var all []entry
		for _, c := range m.Content {
			all = append(all, r.merged(path, c, have)...)
		}
		return all
	}
	source := m
	if m.Kind == yaml.AliasNode {
		source = m.Alias
	}
	if source.Kind != yaml.MappingNode || r.active[source] {
		r.problem(path, m, "<< must be followed by a mapping or by *NAME of one")
		return nil
	}
	r.active[source] = true
	all := r.entries(path, source)
	delete(r.active, source)
	all = slices.DeleteFunc(all, func(e entry) bool { _, there := have[e.key.Value]; return there })
	for _, e := range all {
		have[e.key.Value] = e.key.Line
	}
	return all
}
