package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// seeds are entries of every sort, good and bad.
var seeds = []string{
	`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,"s":0,"v":1,"kind":"email.send","payload":{"to":"ada@example.org"}}`,
	`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,"s":0,"kind":"a","id":7,"n":"x","s":[],"kind":"b"}`,
	`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":3,"s":1,"v":1,"kind":"k","at":1,"attempt":2,"max_attempts":3,"timeout":4,"headers":{"a":"b"},"content_type":"text/plain","payload":"aGk=","reason":"failed","ended":5,"errors":[{"at":1,"attempt":1,"error":"x"}],"x":[1]}`,
	`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","n":1,"s":0}`,
	" {\t\"payload\" : [ 1 , 2.5e-3 , -0 , true , null , \"\\u00e9\\n\" ] ,\r\n\"\\u006bind\" : \"k\" } ",
	`{"kind":"k","at":null,"headers":null,"errors":null,"content_type":"application/json"}`,
	`{"kind":"k","headers":{"a":"1","a":"2","é":"\ud800"},"errors":[{"at":null,"error":"a","error":"b","z":1}]}`,
	"{\"kind\":\"k\",\"payload\":\"a\nb\"}", "{\"kind\":\"k\",\"reason\":\"\x00\"}",
	`{"kind":"k","headers":{"a":"1","a":"2"},"reason":"r","reason":"s"}`,
	`{"kind":"k","content_type":"a/b","payload":"\/\/8="}`,
	`{"kind":"k","content_type":"a/b","payload":null}`,
	`{"kind":"k","content_type":"a/b","payload":"!"}`,
	`{"kind":"k","at":1e3}`, `{"kind":"k","n":-1}`, `{"kind":"k","n":01}`, `{"kind":"k","s":1234567890123456}`,
	`{"kind":"k","v":2}`, `{"kind":"k","v":0}`, `{"kind":"k","timeout":999999999999999}`, `{"kind":"k","attempt":99999999999}`,
	`{"kind":"k","x":"` + "\xff\xfe" + `","reason":"` + "\xff" + `"}`,
	`{"kind":"k","x":"\u12` + "\x13" + `4"}`,
	`{"kind":"a b"}`, `{"kind":""}`, `{}`, `[]`, `null`, `"x"`, ``, `{`, `{"kind":"k",}`, `{"kind":"k"} x`, `{"kind" "k"}`,
	`{"kind":"k","payload":[1,]}`, `{"kind":"k","payload":1.}`, `{"kind":"k","payload":-}`, `{"kind":"k","payload":{"a":{}}}`,
	`{"kind":"k","errors":[{}],"headers":{}}`, `{"kind":"k","errors":[1]}`, `{"kind":"k","headers":{"a":1}}`, `{"id":"x","kind":"k"}`,
}

func seed(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for _, depth := range []int{MaxDepth - 1, MaxDepth, MaxDepth + 1, 9999, 10000} { // the last is too deep for encoding/json
		f.Add([]byte(`{"kind":"k","payload":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`))
	}
}

// FuzzReaders: what the fast reader accepts, encoding/json accepts and reads
// alike, duplicates and foreign spellings included; and what the fast reader
// refuses is never read otherwise by Parse.
func FuzzReaders(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		slow, err := parseSlow(b)
		fast, ok := parseFast(b)
		if ok && err != nil {
			t.Fatalf("fast reader accepts %q, slow reader says %v", b, err)
		}
		if ok && !reflect.DeepEqual(fast, slow) {
			t.Fatalf("%q\nfast %+v\nslow %+v", b, fast, slow)
		}
		if err != nil && !reflect.DeepEqual(slow, Envelope{}) {
			t.Fatalf("an error, and an envelope as well: %+v", slow)
		}
		if got, gotErr := Parse(b); (gotErr == nil) != (err == nil) || !reflect.DeepEqual(got, slow) {
			t.Fatalf("%q\nParse %+v, %v\nslow  %+v, %v", b, got, gotErr, slow, err)
		}
	})
}

// FuzzCanonical: whatever can be read is written in the canonical form, which is
// valid JSON, takes the fast reader, means the same, and is a fixed point.
func FuzzCanonical(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		canonical := e.Append(nil)
		if !json.Valid(canonical) {
			t.Fatalf("%q was written as %q, which is not JSON", b, canonical)
		}
		again, err := Parse(canonical)
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%q\nwritten %q\nfirst  %+v\nsecond %+v, %v", b, canonical, e, again, err)
		}
		if twice := again.Append(nil); !bytes.Equal(canonical, twice) {
			t.Fatalf("not a fixed point:\n%q\n%q", canonical, twice)
		}
		if id, n, s, rest, ok := Head(canonical); ok != (e.ID != "") ||
			ok && (id != e.ID || n != e.N || s != e.S || !bytes.HasPrefix(canonical[rest:], []byte(`,"v":1,`))) {
			t.Fatalf("Head(%q) = %s %d %d %d %v", canonical, id, n, s, rest, ok)
		}
	})
}

// FuzzScanner: the hand-written check of JSON accepts nothing that encoding/json
// refuses, and refuses only what is nested too deep.
func FuzzScanner(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		want := json.Valid(b)
		if got := validJSON(b); got != want && (got || bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) <= MaxDepth) {
			t.Fatalf("validJSON(%q) = %v, json.Valid says %v", b, got, want)
		}
	})
}

// FuzzHead: Head never panics, and says ok exactly for the bytes that appendHead
// writes.
func FuzzHead(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		id, n, s, rest, ok := Head(b)
		if !ok {
			if id != "" || n != 0 || s != 0 || rest != 0 {
				t.Fatalf("Head(%q) says more than no: %q %d %d %d", b, id, n, s, rest)
			}
			return
		}
		if again := appendHead(nil, id, n, s); !bytes.Equal(again, b[:rest]) || b[rest] != ',' && b[rest] != '}' {
			t.Fatalf("Head(%q) = %q %d %d, rest %q", b, id, n, s, b[rest:])
		}
	})
}

// FuzzWriter: for any strings and numbers the writer's output is valid JSON that
// encoding/json reads as what was written.
func FuzzWriter(f *testing.F) {
	f.Add("email.send", "trace", "a\"\\\n\x00\u2028\xffé", int64(7), 3, []byte(`{"a":1}`))
	f.Add("k", "", "", int64(-5), -1, []byte{})
	f.Fuzz(func(t *testing.T, kind, key, text string, n int64, attempt int, raw []byte) {
		e := Envelope{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", N: n, Kind: kind, Attempt: attempt, Reason: text,
			Headers: map[string]string{key: text}, ContentType: "application/octet-stream", Payload: raw}
		e.AddError(timeOf(5), attempt, text)
		var got struct {
			N           int64
			Kind        string
			Attempt     int
			Headers     map[string]string
			Payload     []byte
			Reason      string
			Errors      []struct{ Error string }
			ContentType string `json:"content_type"`
		}
		b := e.Append(nil)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		clean := func(s string) (out string) {
			j, _ := json.Marshal(s)
			_ = json.Unmarshal(j, &out)
			return out
		}
		if got.N != min(max(n, 0), MaxInteger) || got.Attempt != int(min(max(int64(attempt), 0), MaxInteger)) {
			t.Fatalf("numbers of %s", b)
		}
		if got.Kind != clean(kind) || got.Headers[clean(key)] != clean(text) || got.Reason != clean(text) || !bytes.Equal(got.Payload, raw) {
			t.Fatalf("%+v was written as %s", e, b)
		}
		if len(got.Errors) != 1 || len(got.Errors[0].Error) > MaxErrorMessage {
			t.Fatalf("errors of %s", b)
		}
	})
}

// FuzzValidate: an envelope that Validate accepts can be read back, and means
// the same.
func FuzzValidate(f *testing.F) {
	f.Add("email.send", "", "trace", "x", []byte(` {"a": [1]} `), "future", []byte(`[1, 2]`))
	f.Add("k", "a/b", "é", "", []byte("\xff\x00"), "x", []byte(` `))
	f.Fuzz(func(t *testing.T, kind, contentType, key, value string, payload []byte, extra string, raw []byte) {
		e := Envelope{V: 1, Kind: kind, ContentType: contentType, Payload: payload,
			Headers: map[string]string{key: value}, Extra: []Member{{Name: extra, Raw: raw}}}
		if e.Validate() != nil {
			return
		}
		b := e.Append(nil)
		got, err := Parse(b)
		if err != nil || errors.Is(err, ErrVersion) {
			t.Fatalf("%+v was valid, and written as %q: %v", e, b, err)
		}
		if got.Kind != kind || got.Headers[key] != value || len(got.Extra) != 1 || got.Extra[0].Name != extra {
			t.Fatalf("%+v was written as %q", e, b)
		}
		if !e.jsonPayload() && !bytes.Equal(got.Payload, payload) {
			t.Fatalf("payload %q came back as %q", payload, got.Payload)
		}
	})
}
