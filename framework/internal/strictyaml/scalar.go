package strictyaml

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

func (r *run) scalar(path string, n *yaml.Node, v reflect.Value) {
	switch {
	case v.Type() == durationType:
		r.duration(path, n, v)
	case v.Kind() == reflect.String:
		r.text(path, n, v)
	case v.Kind() == reflect.Bool:
		r.boolean(path, n, v)
	case v.CanInt(), v.CanUint():
		r.integer(path, n, v)
	case v.CanFloat():
		r.number(path, n, v)
	default:
		r.problem(path, n, "cannot be given: the program wants a %s", v.Type())
	}
}

// text takes any single value as it is written: PORT: 8080 is text where text is
// wanted.
func (r *run) text(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.wrong(path, n, "a text")
		return
	}
	v.SetString(n.Value)
}

func (r *run) boolean(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return
	}
	switch strings.ToLower(n.Value) {
	case "yes", "on", "true", "1":
		r.wrong(path, n, "true or false", "true")
	case "no", "off", "false", "0":
		r.wrong(path, n, "true or false", "false")
	default:
		r.wrong(path, n, "true or false")
	}
}

func (r *run) integer(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		if _, err := strconv.Atoi(n.Value); err == nil {
			r.wrong(path, n, "a whole number", n.Value)
			return
		}
		r.wrong(path, n, "a whole number")
		return
	}
	// A number that no 64 bits hold is left to the limits below.
	var i int64
	err := n.Decode(&i)
	if v.CanInt() && err == nil && !v.OverflowInt(i) {
		v.SetInt(i)
		return
	}
	if v.CanUint() && err == nil && i >= 0 && !v.OverflowUint(uint64(i)) {
		v.SetUint(uint64(i))
		return
	}
	r.problem(path, n, "must be a whole number %s, got %s", limits(v.Type()), n.Value)
}

// limits of an integer type. Values over the largest int64 are not accepted.
func limits(t reflect.Type) string {
	bits := min(t.Bits(), 63)
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 {
		top := uint64(1)<<(t.Bits()-1) - 1
		return fmt.Sprintf("from -%d to %d", top+1, top)
	}
	return fmt.Sprintf("from 0 to %d", uint64(1)<<bits-1)
}

func (r *run) number(path string, n *yaml.Node, v reflect.Value) {
	tag := n.ShortTag()
	var f float64
	if n.Kind != yaml.ScalarNode || tag != "!!float" && tag != "!!int" || n.Decode(&f) != nil || math.IsNaN(f) || v.OverflowFloat(f) {
		r.wrong(path, n, "a number")
		return
	}
	v.SetFloat(f)
}

func (r *run) duration(path string, n *yaml.Node, v reflect.Value) {
	const form = "a duration with a unit, such as 500ms, 30s, 5m or 1h30m"
	if n.Kind != yaml.ScalarNode {
		r.wrong(path, n, form)
		return
	}
	d, err := time.ParseDuration(n.Value)
	if err == nil {
		v.SetInt(int64(d))
		return
	}
	if _, bare := strconv.ParseFloat(n.Value, 64); bare == nil {
		r.wrong(path, n, "a duration with a unit", n.Value+"s")
		return
	}
	if joined := strings.ReplaceAll(n.Value, " ", ""); joined != n.Value {
		if _, err := time.ParseDuration(joined); err == nil {
			r.wrong(path, n, "a duration with a unit", joined)
			return
		}
	}
	r.wrong(path, n, form)
}

// wrong reports a value of another type, and what to write instead if that is
// known.
func (r *run) wrong(path string, n *yaml.Node, want string, instead ...string) {
	m := fmt.Sprintf("must be %s, got %s", want, describe(n))
	if len(instead) > 0 {
		m += ": write " + instead[0]
	}
	r.problem(path, n, "%s", m)
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!str":
		return strconv.Quote(n.Value)
	}
	return n.Value
}
