package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const testID = "01K1A2B3C4D5E6F7G8H9JKMNPQ"

// Any producer that writes JSON can enqueue: order of members, white space,
// escapes, nulls and the spellings of other languages' libraries do not matter.
func TestForeignSpellings(t *testing.T) {
	mail := Envelope{V: 1, Kind: "email.send", Payload: []byte(`{"to":"a"}`)}
	with := func(change func(*Envelope)) Envelope { e := mail; change(&e); return e }
	for entry, want := range map[string]Envelope{
		`{"kind":"email.send","payload":{"to":"a"}}`:                            mail,
		"\n { \"payload\" : {\"to\":\"a\"} , \t\"kind\" : \"email.send\" }\r\n": mail,
		`{"\u006b\u0069nd":"em\u0061il.send","v":1,"payload":{"to":"a"}}`:       mail,
		`{"id":null,"n":null,"v":null,"kind":"email.send","at":null,"attempt":null,` + "\n" +
			`"headers":null,"content_type":null,"reason":null,"errors":null,"payload":{"to":"a"}}`: mail,
		`{"kind":"email.send","content_type":"application\/json","payload":{"to":"a"},"headers":{},"errors":[],"id":""}`: mail,
		`{"kind":"email.send"}`: with(func(e *Envelope) { e.Payload = []byte("null") }),
		`{"payload":"YS8\/YQ==","kind":"email.send","content_type":"text\/plain"}`: with(func(e *Envelope) {
			e.ContentType, e.Payload = "text/plain", []byte("a/?a")
		}),
		`{"payload":null,"kind":"email.send","content_type":"text/plain"}`: with(func(e *Envelope) {
			e.ContentType, e.Payload = "text/plain", nil
		}),
		`{"id":"` + testID + `","kind":"email.send","timeout":1500,"max_attempts":3,"headers":{"a\n":"\ud83d\udc1c"},"payload":{"to":"a"}}`: with(func(e *Envelope) {
			e.ID, e.Timeout, e.MaxAttempts, e.Headers = testID, 1500*time.Millisecond, 3, map[string]string{"a\n": "🐜"}
		}),
	} {
		if got, err := Parse([]byte(entry)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", entry, got, err, want)
		}
		if _, ok := parseFast([]byte(entry)); !ok {
			t.Errorf("%s takes the slow reader", entry)
		}
	}
}

// Of a member that occurs twice the first one counts, whichever it is: a script
// gives a foreign entry its head by putting one in front, by string alone.
func TestFirstMemberCounts(t *testing.T) {
	first := `"id":"` + testID + `","n":1,"s":2,"v":1,"kind":"a","at":3,"attempt":4,"max_attempts":5,"timeout":6,` +
		`"headers":{"h":"1","h":"2"},"content_type":"x","payload":"YQ==","reason":"r","ended":7,"errors":[{"at":8,"at":9,"error":"e"}]`
	for _, second := range []string{
		`"id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ","n":91,"s":92,"v":93,"kind":"b","at":93,"attempt":94,"max_attempts":95,"timeout":96,` +
			`"headers":{"i":"9"},"content_type":"y","payload":"Yg==","reason":"s","ended":97,"errors":[]`,
		`"id":1,"n":-1,"s":"","v":[],"kind":{},"at":1.5,"attempt":"","max_attempts":[],"timeout":{},` +
			`"headers":1,"content_type":2,"payload":3,"reason":4,"ended":true,"errors":{}`,
	} {
		got, err := Parse([]byte("{" + first + "," + second + "}"))
		want := mustParse(t, "{"+first+"}")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("second: %s\ngot  %+v, %v\nwant %+v", second, got, err, want)
		}
		if want.Headers["h"] != "1" || want.Errors[0].At.UnixMilli() != 8 {
			t.Errorf("inside headers and errors: %+v", want)
		}
	}
	if e := mustParse(t, `{"kind":"k","headers":{"h":"1","h":"2"}}`); e.Headers["h"] != "1" {
		t.Errorf("inside headers: %+v", e)
	}
	null := mustParse(t, `{"kind":"a","at":null,"at":5}`)
	if !null.At.IsZero() {
		t.Errorf("a null is an occurrence as well, got %v", null.At)
	}
}

// What cannot be read is refused with the name of the member and what it must be.
func TestParseErrors(t *testing.T) {
	for entry, want := range map[string]string{
		``:                                                 "entry: unexpected end of JSON input",
		`hello`:                                            "entry: invalid character 'h'",
		`["kind"]`:                                         "entry: must be a JSON object",
		`{"kind":"k"} {}`:                                  "entry: invalid character '{' after top-level value",
		`{"id":"` + testID + `","n":1,"s":0,}`:             "entry: invalid character '}'",
		`{}`:                                               "kind: name is empty",
		`{"kind":"a b"}`:                                   `kind: name "a b" has ' ' at position 2`,
		`{"kind":7}`:                                       "kind: must be a string, got 7",
		`{"kind":"k","id":"abc"}`:                          `id: must be a ULID (26 capital Crockford characters), got "abc"`,
		`{"kind":"k","n":-1}`:                              "n: must not be negative, got -1",
		`{"kind":"k","s":1000000000000000}`:                "s: must be at most 999999999999999, got 1000000000000000",
		`{"kind":"k","at":1753963200.5}`:                   "at: must be a whole number in plain digits, got 1753963200.5",
		`{"kind":"k","at":"2026-01-01"}`:                   `at: must be a whole number in plain digits, got "2026-01-01"`,
		`{"kind":"k","attempt":2147483648}`:                "attempt: must be at most 2147483647",
		`{"kind":"k","max_attempts":1e2}`:                  "max_attempts: must be a whole number",
		`{"kind":"k","timeout":9223372036855}`:             "timeout: must be at most 9223372036854",
		`{"kind":"k","headers":[]}`:                        "headers: must be an object of strings",
		`{"kind":"k","headers":{"a":1}}`:                   "headers.a: must be a string, got 1",
		`{"kind":"k","errors":{}}`:                         "errors: must be an array of objects",
		`{"kind":"k","errors":[{},{"at":""}]}`:             "errors[1].at: must be a whole number",
		`{"kind":"k","errors":["x"]}`:                      "errors[0]: must be an object",
		`{"kind":"k","v":0}`:                               "v: must be at least 1",
		`{"kind":"k","content_type":"a/b","payload":{}}`:   `payload: must be a base64 string, because content_type is "a/b"`,
		`{"kind":"k","content_type":"a/b","payload":"a"}`:  "payload: must be standard base64 with padding",
		`{"kind":"k","content_type":"a/b","payload":"-_"}`: "payload: must be standard base64 with padding",
	} {
		got, err := Parse([]byte(entry))
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, ErrVersion) || !reflect.DeepEqual(got, Envelope{}) {
			t.Errorf("%s\ngot  %v\nwant %s…", entry, err, want)
		}
	}
}

// A newer entry is told apart from a broken one, whatever else it holds.
func TestNewerVersion(t *testing.T) {
	_, err := Parse([]byte(`{"kind":["new",1],"at":"soon","v":2}`))
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "version 2, this program reads up to 1") {
		t.Errorf("got %v", err)
	}
}

// The head is recognised byte by byte, so that Go and Lua agree on it.
func TestHead(t *testing.T) {
	good := `{"id":"` + testID + `","n":12,"s":3,"kind":"k"}`
	id, n, s, rest, ok := Head([]byte(good))
	if id != testID || n != 12 || s != 3 || good[rest:] != `,"kind":"k"}` || !ok {
		t.Errorf("got %q %d %d %d %v", id, n, s, rest, ok)
	}
	alone := `{"id":"` + testID + `","n":0,"s":999999999999999}`
	if _, n, s, rest, ok := Head([]byte(alone)); !ok || n != 0 || s != MaxInteger || alone[rest:] != "}" {
		t.Errorf("a head alone: %d %d %d %v", n, s, rest, ok)
	}
	for name, bad := range map[string]string{
		"white space": strings.Replace(good, ":", ": ", 1), "lower case": strings.Replace(good, "01K1A", "01k1a", 1),
		"letter O": strings.Replace(good, "01K1A", "O1K1A", 1), "short id": strings.Replace(good, "01K1A", "1K1A", 1),
		"16 digits": strings.Replace(good, "12", "1234567890123456", 1), "leading zero": strings.Replace(good, "12", "012", 1),
		"negative": strings.Replace(good, "12", "-12", 1), "fraction": strings.Replace(good, `"s":3`, `"s":3.0`, 1),
		"no n": strings.Replace(good, `"n":12,`, "", 1), "text": strings.Replace(good, "12", `"12"`, 1),
		"cut": good[:len(testID)+20], "ends at s": `{"id":"` + testID + `","n":12,"s":3`, "empty": "",
	} {
		if id, n, s, rest, ok := Head([]byte(bad)); ok || id != "" || n != 0 || s != 0 || rest != 0 {
			t.Errorf("%s: %s was accepted: %q %d %d %d %v", name, bad, id, n, s, rest, ok)
		}
	}
}

// What Validate refuses it refuses with every reason at once.
func TestValidateJoins(t *testing.T) {
	e := Envelope{
		ID: "x", N: -1, S: MaxInteger + 1, Kind: "a b", Attempt: -2, MaxAttempts: -3, Timeout: -time.Second, At: time.Unix(-1, 0),
		Headers: map[string]string{"": "\xff"}, Payload: []byte(`{"a":}`), Errors: make([]Error, MaxErrors+1),
		Extra: []Member{{"at", []byte("1")}, {"\xff", nil}, {"z", []byte("{")}},
	}
	err := e.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"id: must be a ULID", "n: must not be negative, got -1", "s: must be at most", `kind: name "a b"`, "attempt: must not be negative, got -2",
		"max_attempts: must not be negative, got -3", "timeout: must not be negative, got -1s", "at: must lie between", "headers: a name is empty",
		"headers: \"\" is not valid UTF-8", "payload: is not valid JSON: invalid character '}' looking for beginning of value: send JSON, or state a content type",
		"errors: at most 10", "at: has a field of its own", `extra member "\xff"`, "z: is not valid JSON",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

// Each limit is kept on its own, and its last good value is good.
func TestValidateLimits(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for name, c := range map[string]struct {
		e    Envelope
		want string // "" = valid
	}{
		"nothing but a kind": {Envelope{Kind: "k"}, ""},
		"JSON by name":       {Envelope{Kind: "k", ContentType: JSON, Payload: []byte("x")}, "payload: is not valid JSON"},
		"bytes":              {Envelope{Kind: "k", ContentType: "a/b", Payload: []byte("\xff")}, ""},
		"JSON in Latin 1":    {Envelope{Kind: "k", Payload: []byte("\"\xe9\"")}, "payload: is not valid UTF-8"},
		"white space only":   {Envelope{Kind: "k", Payload: []byte("  ")}, "payload: is not valid JSON"},
		"two values":         {Envelope{Kind: "k", Payload: []byte(`1,"kind":"x"`)}, "payload: is not valid JSON"},
		"deep":               {Envelope{Kind: "k", Payload: []byte(deep)}, ""},
		"too deep":           {Envelope{Kind: "k", Payload: []byte("[" + deep + "]")}, "payload: is nested deeper than 512"},
		"large":              {Envelope{Kind: "k", ContentType: "a/b", Payload: make([]byte, MaxPayload)}, ""},
		"too large":          {Envelope{Kind: "k", ContentType: "a/b", Payload: make([]byte, MaxPayload+1)}, "payload: at most 16777216 bytes"},
		"much in headers":    {Envelope{Kind: "k", Headers: map[string]string{"a": strings.Repeat("x", MaxHeaderBytes-1)}}, ""},
		"too much":           {Envelope{Kind: "k", Headers: map[string]string{"a": strings.Repeat("x", MaxHeaderBytes)}}, "headers: together at most"},
		"content type":       {Envelope{Kind: "k", ContentType: "text/plain; charset=utf-8"}, ""},
		"odd content type":   {Envelope{Kind: "k", ContentType: "text\n"}, "content_type: must be printable ASCII"},
		"long content type":  {Envelope{Kind: "k", ContentType: strings.Repeat("x", 256)}, "content_type: at most 255"},
		"far future":         {Envelope{Kind: "k", At: time.UnixMilli(MaxInteger + 1)}, "at: must lie between"},
		"last millisecond":   {Envelope{Kind: "k", At: time.UnixMilli(MaxInteger), Timeout: 1<<63 - 1}, ""},
	} {
		err := c.e.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err == nil {
			if _, err := Parse(c.e.Append(nil)); err != nil {
				t.Errorf("%s: valid, but does not come back: %v", name, err)
			}
		}
	}
}

// What the format cannot hold is moved to the nearest that it can; no timeout
// turns into none.
func TestAppendRounds(t *testing.T) {
	e := Envelope{Kind: "k", N: -1, S: MaxInteger + 1, At: time.Unix(-5, 0), Timeout: time.Microsecond, Attempt: -1, Payload: []byte(" \n1\t")}
	if got, want := string(e.Append(nil)), `{"id":"","n":0,"s":999999999999999,"v":1,"kind":"k","timeout":1,"payload":1}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1<<63 - 1: maxTimeoutMillis, -1: 0} {
		if got := timeoutMillis(d); got != want {
			t.Errorf("%v = %d ms, want %d", d, got, want)
		}
	}
}

// The history keeps the first error and the newest, in order, and copies of an
// envelope do not see each other's errors.
func TestAddError(t *testing.T) {
	var e Envelope
	for i := 1; i <= 25; i++ {
		before := e
		kept := len(before.Errors)
		e.AddError(time.UnixMilli(int64(i)), i, "no")
		before.AddError(time.Time{}, -1, "other")
		if len(e.Errors) != min(kept+1, MaxErrors) || e.Errors[len(e.Errors)-1].Attempt != i {
			t.Fatalf("after %d: %+v", i, e.Errors)
		}
	}
	var kept []int
	for _, x := range e.Errors {
		kept = append(kept, x.Attempt)
	}
	if want := []int{1, 17, 18, 19, 20, 21, 22, 23, 24, 25}; !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	e.Errors = make([]Error, 30)
	if e.AddError(time.Time{}, 99, ""); len(e.Errors) != MaxErrors || e.Errors[9].Attempt != 99 {
		t.Errorf("a long foreign history: %+v", e.Errors)
	}
}

// A message is cut at 2 KiB without breaking a rune, and is always valid UTF-8.
func TestAddErrorCuts(t *testing.T) {
	for name, c := range map[string]struct{ message, want string }{
		"short":         {"no", "no"},
		"exactly full":  {strings.Repeat("x", 2048), strings.Repeat("x", 2048)},
		"one too long":  {strings.Repeat("x", 2049), strings.Repeat("x", 2045) + "…"},
		"runes":         {strings.Repeat("é", 2000), strings.Repeat("é", 1022) + "…"},
		"huge":          {strings.Repeat("日", 1_000_000), strings.Repeat("日", 681) + "…"},
		"broken":        {"a\xffb", "a\uFFFDb"},
		"huge, broken":  {strings.Repeat("\xff", 10_000), "\uFFFD…"},
		"grows, broken": {strings.Repeat("\xffx", 1000), strings.Repeat("\uFFFDx", 511) + "…"},
	} {
		var e Envelope
		e.AddError(time.Time{}, 1, c.message)
		if got := e.Errors[0].Message; got != c.want || len(got) > MaxErrorMessage || !utf8.ValidString(got) {
			t.Errorf("%s: got %d bytes, %.20q…, want %d", name, len(got), got, len(c.want))
		}
	}
}

// A payload of the caller is not written to by whoever appends to one that Parse
// returned.
func TestParseKeepsItsHandsOff(t *testing.T) {
	b := []byte(`{"kind":"k","payload":[1],"x":[2],"y":3}`)
	before := string(b)
	e := mustParse(t, before)
	e, _ = Parse(b)
	_ = append(e.Payload, "junk"...)
	_ = append(e.Extra[0].Raw, "junk"...)
	if string(b) != before {
		t.Errorf("the entry is %s now", b)
	}
}

// The common case stays cheap: an id and a kind are all that Parse allocates,
// and Append allocates nothing where there is room.
func TestAllocations(t *testing.T) {
	raw := []byte(benchEntry)
	e, _ := Parse(raw)
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf = e.Append(buf[:0]) }); n > 0 {
		t.Errorf("Append allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(raw) }); n > 2 {
		t.Errorf("Parse allocates %v times", n)
	}
}
