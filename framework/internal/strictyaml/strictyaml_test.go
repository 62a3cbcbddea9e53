package strictyaml_test

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/colonyq/colony/framework/internal/strictyaml"
)

type inner struct {
	Name  string        `yaml:"name"`
	After time.Duration `yaml:"after"`
}

type shared struct {
	Region string `yaml:"region"`
}

type even int

func (e *even) UnmarshalYAML(n *yaml.Node) error {
	var i int
	if err := n.Decode(&i); err != nil {
		return err
	}
	if i%2 != 0 {
		return errors.New("must be even")
	}
	*e = even(i)
	return nil
}

type outer struct {
	shared `yaml:",inline"`

	Text    string            `yaml:"text"`
	Flag    *bool             `yaml:"flag"`
	Count   int               `yaml:"count"`
	Small   int8              `yaml:"small"`
	Size    uint16            `yaml:"size"`
	Ratio   float64           `yaml:"ratio"`
	Timeout time.Duration     `yaml:"timeout"`
	Words   []string          `yaml:"words"`
	Env     map[string]string `yaml:"env"`
	Inner   inner             `yaml:"inner"`
	Ptr     *inner            `yaml:"ptr"`
	List    []inner           `yaml:"list"`
	ByName  map[string]inner  `yaml:"by_name"`
	Level   slog.Level        `yaml:"level"`
	Even    even              `yaml:"even"`
	Any     any               `yaml:"any"`
	Raw     yaml.Node         `yaml:"raw"`
	Bad     chan int          `yaml:"bad"`
	Never   string            `yaml:"-"`

	Untagged string
	hidden   int
}

func decode(t *testing.T, text string, into any) error {
	t.Helper()
	n, err := strictyaml.Parse("f.yaml", []byte(text))
	if err != nil {
		return err
	}
	return strictyaml.Decoder{File: "f.yaml"}.Decode("", n, into)
}

// Every supported type is decoded; what the file leaves out or gives no value
// keeps what was there.
func TestDecode(t *testing.T) {
	t.Parallel()
	o := outer{hidden: 9, Text: "preset", Count: 7, Env: map[string]string{"A": "old", "B": "old"}}
	err := decode(t, `
region: eu
text:
flag: false
small: -128
size: 0xFFFF
ratio: 2
timeout: 1m30s
words: &w [a, 5, "true"]
env: {A: 8080}
inner: {name: x}
ptr: &p {name: y, after: 5ms}
list:
  - <<: *p
    name: z
  - name: only
by_name: {one: , two: *p}
level: warn
even: 4
any: [1, {a: b}]
raw: *w
`, &o)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := outer{
		hidden: 9, shared: shared{Region: "eu"},
		Text: "preset", Flag: &no, Count: 7, Small: -128, Size: 65535, Ratio: 2, Timeout: 90 * time.Second,
		Words: []string{"a", "5", "true"}, Env: map[string]string{"A": "8080", "B": "old"},
		Inner: inner{Name: "x"}, Ptr: &inner{"y", 5 * time.Millisecond},
		List:   []inner{{"z", 5 * time.Millisecond}, {"only", 0}},
		ByName: map[string]inner{"one": {}, "two": {"y", 5 * time.Millisecond}},
		Level:  slog.LevelWarn, Even: 4, Any: []any{1, map[string]any{"a": "b"}},
		Raw: o.Raw,
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("got  %+v\nwant %+v", o, want)
	}
	if o.Raw.Kind != yaml.SequenceNode || o.Raw.Line != 9 {
		t.Errorf("raw: %+v", o.Raw)
	}
}

// A file without a document, or one that says nothing, changes nothing.
func TestDecodeNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "# only a comment\n", "---\n", "{}\n", "null\n", "text:\ninner:\nlist:\n"} {
		o := outer{Text: "preset"}
		if err := decode(t, text, &o); err != nil || !reflect.DeepEqual(o, outer{Text: "preset"}) {
			t.Errorf("%q: %v, %+v", text, err, o)
		}
	}
}

// Every mistake is found, with its place and what to write instead, all of a
// file at once and in its order.
func TestProblems(t *testing.T) {
	t.Parallel()
	const intRange = "from -9223372036854775808 to 9223372036854775807"
	for text, want := range map[string]string{
		"txet: a":                    "f.yaml:1:1: txet: unknown key, did you mean text?",
		"TEXT: a":                    "f.yaml:1:1: TEXT: unknown key, did you mean text?",
		"by-name: {}":                "f.yaml:1:1: by-name: unknown key, did you mean by_name?",
		"Untagged: a":                "f.yaml:1:1: Untagged: unknown key; known are region, text, flag, count, small, size, ratio, timeout, words, env, inner, ptr, list, by_name, level, even, any, raw, bad",
		"inner:\n  zzz: a":           "f.yaml:2:3: inner.zzz: unknown key; known are name, after",
		"text: a\ntext: b":           "f.yaml:2:1: text: given twice, first in line 1",
		"env: {A: x, A: y}":          "f.yaml:1:13: env.A: given twice, first in line 1",
		"text: [a]":                  "f.yaml:1:7: text: must be a text, got a list",
		"flag: yes":                  `f.yaml:1:7: flag: must be true or false, got "yes": write true`,
		"flag: Off":                  `f.yaml:1:7: flag: must be true or false, got "Off": write false`,
		"flag: 'true'":               `f.yaml:1:7: flag: must be true or false, got "true": write true`,
		"flag: 0":                    "f.yaml:1:7: flag: must be true or false, got 0: write false",
		"flag: maybe":                `f.yaml:1:7: flag: must be true or false, got "maybe"`,
		"count: many":                `f.yaml:1:8: count: must be a whole number, got "many"`,
		"count: '20'":                `f.yaml:1:8: count: must be a whole number, got "20": write 20`,
		"count: 1.5":                 "f.yaml:1:8: count: must be a whole number, got 1.5",
		"count: {a: b}":              "f.yaml:1:8: count: must be a whole number, got a mapping",
		"count: 9223372036854775808": "f.yaml:1:8: count: must be a whole number " + intRange + ", got 9223372036854775808",
		"small: 128":                 "f.yaml:1:8: small: must be a whole number from -128 to 127, got 128",
		"size: -1":                   "f.yaml:1:7: size: must be a whole number from 0 to 65535, got -1",
		"ratio: .nan":                "f.yaml:1:8: ratio: must be a number, got .nan",
		"ratio: half":                `f.yaml:1:8: ratio: must be a number, got "half"`,
		"timeout: 30":                "f.yaml:1:10: timeout: must be a duration with a unit, got 30: write 30s",
		"timeout: 1.5":               "f.yaml:1:10: timeout: must be a duration with a unit, got 1.5: write 1.5s",
		"timeout: 30 s":              `f.yaml:1:10: timeout: must be a duration with a unit, got "30 s": write 30s`,
		"timeout: 1d":                `f.yaml:1:10: timeout: must be a duration with a unit, such as 500ms, 30s, 5m or 1h30m, got "1d"`,
		"timeout: [1s]":              "f.yaml:1:10: timeout: must be a duration with a unit, such as 500ms, 30s, 5m or 1h30m, got a list",
		"words: a":                   `f.yaml:1:8: words: must be a list, got "a"`,
		"words: [a, ]\nlist: [b]":    `f.yaml:2:8: list[0]: must be a mapping (key: value), got "b"`,
		"words: [a, ~]":              `f.yaml:1:12: words[1]: is empty: give a value ("" for an empty text) or remove it`,
		"env: {A: }":                 `f.yaml:1:10: env.A: is empty: give a value ("" for an empty text) or remove it`,
		"env: [a]":                   "f.yaml:1:6: env: must be a mapping (key: value), got a list",
		"inner: a":                   `f.yaml:1:8: inner: must be a mapping (key: value), got "a"`,
		"ptr: {after: 5}":            "f.yaml:1:14: ptr.after: must be a duration with a unit, got 5: write 5s",
		"by_name: {a.b: {nam: x}}":   `f.yaml:1:17: by_name["a.b"].nam: unknown key, did you mean name?`,
		"level: loud":                `f.yaml:1:8: level: slog: level string "loud": unknown name`,
		"level: [a]":                 "f.yaml:1:8: level: must be a single value, got a list",
		"even: 3":                    "f.yaml:1:7: even: must be even",
		"bad: 3":                     "f.yaml:1:6: bad: cannot be given: the program wants a chan int",
		"? [a]\n: b":                 "f.yaml:1:3: has a key that is not a plain name",
		"- a":                        "f.yaml:1:1: must be a mapping (key: value), got a list",
		"hello":                      `f.yaml:1:1: must be a mapping (key: value), got "hello"`,
		"words: &w [*w]":             "f.yaml:1:8: words[0]: must be a text, got a list",
		"inner: &i\n  <<: *i":        "f.yaml:2:7: inner: << must be followed by a mapping or by *NAME of one",
		"inner: {<<: 5}":             "f.yaml:1:13: inner: << must be followed by a mapping or by *NAME of one",
		"a: 1\nb: {}\n---\nc: 1":     "f.yaml: not YAML: yaml: expected single document, found multiple",
		"inner:\n\tname: a":          "f.yaml:2:1: not YAML: found character that cannot start any token (while scanning for the next token); indent with spaces, tabs are not allowed",
		"text: a: b":                 "f.yaml:1:8: not YAML: mapping values are not allowed in this context",
		"text: *none":                "f.yaml:1:7: not YAML: unknown anchor 'none' referenced",
		"flag: 3\ntimeout: 5\nlist:\n  - {nme: x, after: 1}\ninner: {name: ok}": `f.yaml:1:7: flag: must be true or false, got 3
f.yaml:2:10: timeout: must be a duration with a unit, got 5: write 5s
f.yaml:4:6: list[0].nme: unknown key, did you mean name?
f.yaml:4:21: list[0].after: must be a duration with a unit, got 1: write 1s`,
	} {
		err := decode(t, text, &outer{})
		if err == nil {
			t.Errorf("%q: no error, want\n%s", text, want)
		} else if err.Error() != want {
			t.Errorf("%q: got\n%v\nwant\n%s", text, err, want)
		}
	}
}

// A problem does not keep the rest from being decoded, and can be read as data.
func TestProblemsAreData(t *testing.T) {
	t.Parallel()
	var o outer
	err := decode(t, "count: x\ntext: kept\n", &o)
	var e *strictyaml.Error
	if !errors.As(err, &e) || e.Line != 1 || e.Column != 8 || e.Path != "count" || o.Text != "kept" {
		t.Errorf("got %+v, %+v", e, o)
	}
}

type tree struct {
	Kids []tree `yaml:"kids"`
}

// A value that contains itself is an error, not an endless loop.
func TestCycle(t *testing.T) {
	t.Parallel()
	err := decode(t, "kids: &k\n  - kids: *k\n", &tree{})
	if err == nil || err.Error() != "f.yaml:2:11: kids[0].kids[0].kids: *k refers to itself" {
		t.Errorf("got %v", err)
	}
}

// A path prefix stands before every path, and Visit learns of every struct and
// its place.
func TestPathAndVisit(t *testing.T) {
	t.Parallel()
	n, err := strictyaml.Parse("", []byte("inner: {name: a}\nlist: [{name: b, x: y}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	err = strictyaml.Decoder{Visit: func(v any, at strictyaml.Position) {
		if i, ok := v.(*inner); ok {
			seen = append(seen, i.Name+at.String())
		}
	}}.Decode("with", n, &outer{})
	if err == nil || err.Error() != "line 2, column 18: with.list[0].x: unknown key; known are name, after" {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(seen, " "); got != "aline 1, column 8 bline 2, column 8" {
		t.Errorf("seen %s", got)
	}
}

// What cannot be decoded into is a programmer's mistake, said as such.
func TestDecodeIntoNonsense(t *testing.T) {
	t.Parallel()
	for _, into := range []any{nil, outer{}, (*outer)(nil), new(int)} {
		if err := decode(t, "text: a", into); err == nil || !strings.Contains(err.Error(), "pass a pointer to a struct") {
			t.Errorf("%T: %v", into, err)
		}
	}
}

// Whatever bytes come in, the decoder answers and does not panic or hang.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"text: a", "words: &w [*w]", "inner: &i {<<: *i}", "any: &a [*a]", "raw: &a {b: *a}", "a: &a\n  <<: [*a, {b: c}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		n, err := strictyaml.Parse("f", data)
		if err == nil {
			_ = strictyaml.Decoder{}.Decode("", n, &outer{})
		}
	})
}
