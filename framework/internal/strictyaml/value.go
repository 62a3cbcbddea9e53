package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"go.yaml.in/yaml/v4"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	nodeType     = reflect.TypeFor[yaml.Node]()
)

// value decodes n into v, which can be set.
func (r *run) value(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		r.alias(path, n, v)
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(*n))
		return
	}
	if v.Kind() == reflect.Pointer {
		r.pointer(path, n, v)
		return
	}
	if r.custom(path, n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.structure(path, n, v)
	case reflect.Map:
		r.mapping(path, n, v)
	case reflect.Slice:
		r.sequence(path, n, v)
	case reflect.Interface:
		r.anything(path, n, v)
	default:
		r.scalar(path, n, v)
	}
}

func (r *run) alias(path string, n *yaml.Node, v reflect.Value) {
	if r.active[n.Alias] {
		r.problem(path, n, "*%s refers to itself", n.Value)
		return
	}
	r.active[n.Alias] = true
	r.value(path, n.Alias, v)
	delete(r.active, n.Alias)
}

// pointer decodes into a copy of what v points to, which may be shared with
// others, or into a fresh value.
func (r *run) pointer(path string, n *yaml.Node, v reflect.Value) {
	fresh := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		fresh.Elem().Set(v.Elem())
	}
	v.Set(fresh)
	r.value(path, n, fresh.Elem())
}

// custom lets a type decode itself, and says whether it does.
func (r *run) custom(path string, n *yaml.Node, v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	var err error
	switch u := v.Addr().Interface().(type) {
	case yaml.Unmarshaler:
		err = u.UnmarshalYAML(n)
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			r.wrong(path, n, "a single value")
			return true
		}
		err = u.UnmarshalText([]byte(n.Value))
	default:
		return false
	}
	if err != nil {
		r.problem(path, n, "%v", err)
	}
	return true
}

func (r *run) sequence(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.wrong(path, n, "a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		r.element(fmt.Sprintf("%s[%d]", path, i), c, list.Index(i))
	}
	v.Set(list)
}

// element is a value of a list or a map, where nothing is not a default but a
// hole.
func (r *run) element(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && v.Kind() != reflect.Struct && v.Kind() != reflect.Pointer {
		r.problem(path, n, "is empty: give a value (\"\" for an empty text) or remove it")
		return
	}
	r.value(path, n, v)
}

func (r *run) mapping(path string, n *yaml.Node, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		r.problem(path, n, "cannot be given: the program wants a %s", v.Type())
		return
	}
	if n.Kind != yaml.MappingNode {
		r.wrong(path, n, "a mapping (key: value)")
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, e := range r.entries(path, n) {
		key := reflect.ValueOf(e.key.Value).Convert(v.Type().Key())
		val := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			val.Set(old)
		}
		r.element(Join(path, e.key.Value), e.value, val)
		v.SetMapIndex(key, val)
	}
}

func (r *run) anything(path string, n *yaml.Node, v reflect.Value) {
	x := reflect.New(v.Type())
	if err := n.Decode(x.Interface()); err != nil {
		r.problem(path, n, "%v", err)
		return
	}
	v.Set(x.Elem())
}
