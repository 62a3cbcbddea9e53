package wire

import (
	"testing"
	"time"
)

// benchEntry is a job of 200 bytes, as it lies in Redis.
const benchEntry = `{"id":"01K1A2B3C4D5E6F7G8H9JKMNPQ","n":1,"s":0,"v":1,"kind":"email.send","max_attempts":5,` +
	`"payload":{"to":"ada@example.org","subject":"Your order 81723 was shipped","template":"shipped","user":1815}}`

const benchHeaders = `{"id":"01K1A2B3C4D5E6F7G8H9JKMNPQ","n":1,"s":0,"v":1,"kind":"email.send","at":1753963200000,"attempt":1,` +
	`"headers":{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},"payload":{"to":"ada@example.org"},` +
	`"errors":[{"at":1753963200000,"attempt":1,"error":"dial tcp 192.0.2.1:25: connection refused"}]}`

func BenchmarkAppendParse(b *testing.B) {
	e := mustParse(b, benchEntry)
	var buf []byte
	b.SetBytes(int64(len(benchEntry)))
	for b.Loop() {
		buf = e.Append(buf[:0])
		if _, err := Parse(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, entry := range map[string]string{"plain": benchEntry, "headers and errors": benchHeaders} {
		b.Run(name, func(b *testing.B) {
			e := mustParse(b, entry)
			var buf []byte
			for b.Loop() {
				buf = e.Append(buf[:0])
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, entry := range map[string]string{"plain": benchEntry, "headers and errors": benchHeaders} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(entry)
			for b.Loop() {
				if _, err := Parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseSlow(b *testing.B) {
	raw := []byte(benchEntry)
	for b.Loop() {
		if _, err := parseSlow(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	e := mustParse(b, benchEntry)
	for b.Loop() {
		if err := e.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	raw := []byte(benchEntry)
	for b.Loop() {
		if _, _, _, _, ok := Head(raw); !ok {
			b.Fatal("no head")
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	now := time.Now()
	for b.Loop() {
		NewID(now)
	}
}

func BenchmarkNewIDParallel(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			NewID(time.Now())
		}
	})
}

func mustParse(tb testing.TB, entry string) Envelope {
	tb.Helper()
	e, err := Parse([]byte(entry))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}
