package wire

import (
	"bytes"
	"os"
	"reflect"
	"testing"
	"time"
)

// goldenV1 is what the lines of testdata/v1.ndjson mean, in their order.
var goldenV1 = []Envelope{
	{ID: "01K1A2B3C4D5E6F7G8H9JKMNPQ", N: 1, V: 1, Kind: "email.send", Payload: []byte(`{"to":"ada@example.org"}`)},
	{ID: "00000000000000000000000000", V: 1, Kind: "_", Payload: []byte(`null`)},
	{
		ID: "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", N: MaxInteger, S: 3, V: 1, Kind: "report.monthly-2", At: time.UnixMilli(1753963200123).UTC(),
		Attempt: 2, MaxAttempts: 5, Timeout: 90 * time.Second,
		Headers: map[string]string{"": "empty", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "é": "日本"},
		Payload: []byte(`[1, 2.50, 12345678901234567890, {"b":1,"a":[]}, "\u00e9\/"]`),
	},
	{
		ID: "01K1A2B3C4D5E6F7G8H9JKMNPQ", N: 4, V: 1, Kind: "image.scale", ContentType: "image/png", Payload: []byte("\x89PNG\r\n\x1a\n\xff\xfe"),
	},
	{ID: "01K1A2B3C4D5E6F7G8H9JKMNPQ", N: 1, V: 1, Kind: "image.scale", ContentType: "application/json; charset=utf-8"},
	{
		ID: "01K1A2B3C4D5E6F7G8H9JKMNPQ", N: 9, S: 1, V: 1, Kind: "email.send", Attempt: 2, MaxAttempts: 2, Payload: []byte(`"x"`),
		Reason: "failed", Ended: time.UnixMilli(1753963200500).UTC(),
		Errors: []Error{
			{At: time.UnixMilli(1753963200000).UTC(), Attempt: 1, Message: "dial tcp: connection refused"},
			{At: time.UnixMilli(1753963200499).UTC(), Attempt: 2, Message: "panic: \"\\\b\t\n\f\r\x00\x1f\x7f </script> \u2028 \U0001F41C"},
			{},
		},
	},
	{
		ID: "01K1A2B3C4D5E6F7G8H9JKMNPQ", N: 1, V: 1, Kind: "email.send", Payload: []byte(`true`),
		Extra: []Member{{"priority", []byte(`{ "z" : 1, "a" : [ ] }`)}, {"\"q\"", []byte(`"\u0041"`)}, {"priority", []byte(`1.0`)}},
	},
}

// Every entry ever written in version 1 keeps its meaning, and this program
// still writes the same bytes for it.
func TestGoldenV1(t *testing.T) {
	file, err := os.ReadFile("testdata/v1.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
	if len(lines) != len(goldenV1) {
		t.Fatalf("%d lines, %d values", len(lines), len(goldenV1))
	}
	for i, line := range lines {
		for name, read := range map[string]func([]byte) (Envelope, error){"Parse": Parse, "parseSlow": parseSlow} {
			if got, err := read(line); err != nil || !reflect.DeepEqual(got, goldenV1[i]) {
				t.Errorf("line %d, %s:\ngot  %+v, %v\nwant %+v", i+1, name, got, err, goldenV1[i])
			}
		}
		if _, ok := parseFast(line); !ok {
			t.Errorf("line %d is canonical and does not take the fast reader", i+1)
		}
		if got := goldenV1[i].Append(nil); !bytes.Equal(got, line) {
			t.Errorf("line %d:\nwrote %s\nwant  %s", i+1, got, line)
		}
	}
}
