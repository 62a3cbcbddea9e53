package wire

import (
	"encoding/base64"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// Append appends the canonical bytes of e to dst, which must not share memory
// with e's payload. The version written is always Version.
//
// Append takes what Validate accepts. It checks nothing itself: a payload that
// is no JSON makes an entry that nobody can read. What the format cannot hold
// is moved to the nearest that it can: negative numbers are written as 0, a
// timeout is rounded up to the millisecond, broken UTF-8 becomes U+FFFD.
func (e *Envelope) Append(dst []byte) []byte {
	dst = appendHead(dst, e.ID, e.N, e.S)
	dst = appendInteger(append(dst, `,"v":`...), Version)
	dst = append(dst, `,"kind":`...)
	dst = appendString(dst, e.Kind)
	dst = appendNumber(dst, `,"at":`, millis(e.At))
	dst = appendNumber(dst, `,"attempt":`, int64(e.Attempt))
	dst = appendNumber(dst, `,"max_attempts":`, int64(e.MaxAttempts))
	dst = appendNumber(dst, `,"timeout":`, timeoutMillis(e.Timeout))
	dst = appendHeaders(dst, e.Headers)
	if !e.jsonPayload() {
		dst = append(dst, `,"content_type":`...)
		dst = appendString(dst, e.ContentType)
	}
	dst = e.appendPayload(append(dst, `,"payload":`...))
	if e.Reason != "" {
		dst = append(dst, `,"reason":`...)
		dst = appendString(dst, e.Reason)
	}
	dst = appendNumber(dst, `,"ended":`, millis(e.Ended))
	dst = appendErrors(dst, e.Errors)
	return append(appendExtra(dst, e.Extra), '}')
}

// jsonPayload: does the payload stand in the entry as JSON?
func (e *Envelope) jsonPayload() bool { return e.ContentType == "" || e.ContentType == JSON }

func (e *Envelope) appendPayload(dst []byte) []byte {
	if e.jsonPayload() {
		return appendRaw(dst, e.Payload)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, e.Payload)
	return append(dst, '"')
}

// appendRaw appends a JSON value without the white space around it; nothing
// counts as null.
func appendRaw(dst, raw []byte) []byte {
	for len(raw) > 0 && isSpace(raw[0]) {
		raw = raw[1:]
	}
	for len(raw) > 0 && isSpace(raw[len(raw)-1]) {
		raw = raw[:len(raw)-1]
	}
	if len(raw) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}

// appendNumber appends a member, or nothing for 0.
func appendNumber(dst []byte, label string, v int64) []byte {
	if v <= 0 {
		return dst
	}
	return appendInteger(append(dst, label...), v)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeoutMillis rounds up: a timeout of less than a millisecond must not turn
// into none.
func timeoutMillis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond && ms < maxTimeoutMillis {
		ms++
	}
	return ms
}

func appendHeaders(dst []byte, h map[string]string) []byte {
	if len(h) == 0 {
		return dst
	}
	var few [8]string
	keys := slices.AppendSeq(few[:0], maps.Keys(h))
	slices.Sort(keys)
	dst = append(dst, `,"headers":`...)
	for i, k := range keys {
		dst = append(dst, "{,"[min(i, 1)])
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendString(dst, h[k])
	}
	return append(dst, '}')
}

func appendErrors(dst []byte, errs []Error) []byte {
	if len(errs) == 0 {
		return dst
	}
	dst = append(dst, `,"errors":`...)
	for i, x := range errs {
		dst = append(dst, "[,"[min(i, 1)])
		dst = append(dst, `{"at":`...)
		dst = appendInteger(dst, millis(x.At))
		dst = append(dst, `,"attempt":`...)
		dst = appendInteger(dst, int64(x.Attempt))
		dst = append(dst, `,"error":`...)
		dst = appendString(dst, x.Message)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendExtra(dst []byte, extra []Member) []byte {
	for _, m := range extra {
		dst = append(dst, ',')
		dst = appendString(dst, m.Name)
		dst = append(dst, ':')
		dst = appendRaw(dst, m.Raw)
	}
	return dst
}

// appendString appends s as RFC 8785 (3.2.2.2) spells strings: escaped is what
// must be, in the shortest way, and nothing else.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0 // s[from:i] needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[from:i]...), c)
			from = i + 1
		}
		i++
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
