package wire

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// MaxDepth is how deep the values of a payload may be nested. JSON libraries
// of other languages give up at 1,000 levels, Redis' own among them.
const MaxDepth = 512

// scanner walks over JSON by hand. Its methods answer ok = false for anything
// out of the ordinary; the caller then asks encoding/json, which decides. What
// a scanner accepts, encoding/json accepts and reads alike: a fuzz test sees to
// that.
type scanner struct {
	b []byte
	i int
}

// validJSON reports whether b is one JSON value, by the scanner alone.
func validJSON(b []byte) bool {
	s := scanner{b: b}
	s.space()
	return s.skip(MaxDepth) && s.end()
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (s *scanner) space() {
	for s.i < len(s.b) && isSpace(s.b[s.i]) {
		s.i++
	}
}

// end: nothing but white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.i == len(s.b)
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) literal(l string) bool {
	if len(s.b)-s.i < len(l) || string(s.b[s.i:s.i+len(l)]) != l {
		return false
	}
	s.i += len(l)
	return true
}

// next moves into the list (object or array) that was opened before, up to its
// next element; more is false behind the closing byte.
func (s *scanner) next(first bool, closing byte) (more, ok bool) {
	s.space()
	if s.accept(closing) {
		return false, true
	}
	if !first {
		if !s.accept(',') {
			return false, false
		}
		s.space()
	}
	return true, true
}

// member reads the name of an object's next member and moves to its value. The
// name may alias the input.
func (s *scanner) member(first bool) (name []byte, more, ok bool) {
	if more, ok = s.next(first, '}'); !more || !ok {
		return nil, more, ok
	}
	if name, ok = s.text(); !ok {
		return nil, false, false
	}
	s.space()
	if !s.accept(':') {
		return nil, false, false
	}
	s.space()
	return name, true, true
}

// text reads a string. The result aliases the input where nothing had to be
// decoded.
func (s *scanner) text() ([]byte, bool) {
	start := s.i
	plain, ok := s.skipString()
	if !ok {
		return nil, false
	}
	if raw := s.b[start+1 : s.i-1]; plain || bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw, true
	}
	var t string
	if json.Unmarshal(s.b[start:s.i], &t) != nil {
		return nil, false
	}
	return []byte(t), true
}

// integer reads a whole number of at most 15 digits.
func (s *scanner) integer() (v int64, ok bool) {
	v, end, ok := digits(s.b, s.i)
	s.i = end
	return v, ok
}

// skip moves behind a value, checking it on the way.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); c {
	case '{':
		return s.skipObject(depth - 1)
	case '[':
		return s.skipArray(depth - 1)
	case '"':
		_, ok := s.skipString()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.skipNumber()
	}
}

func (s *scanner) skipObject(depth int) bool {
	if depth < 0 {
		return false
	}
	s.i++
	for first := true; ; first = false {
		more, ok := s.next(first, '}')
		if !more || !ok {
			return ok
		}
		if _, ok = s.skipString(); !ok {
			return false
		}
		s.space()
		if !s.accept(':') {
			return false
		}
		s.space()
		if !s.skip(depth) {
			return false
		}
	}
}

func (s *scanner) skipArray(depth int) bool {
	if depth < 0 {
		return false
	}
	s.i++
	for first := true; ; first = false {
		more, ok := s.next(first, ']')
		if !more || !ok {
			return ok
		}
		if !s.skip(depth) {
			return false
		}
	}
}

// skipString moves behind a string; plain tells that it is ASCII without
// escapes.
func (s *scanner) skipString() (plain, ok bool) {
	if !s.accept('"') {
		return false, false
	}
	plain = true
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			return plain, true
		case c < ' ':
			return false, false
		case c >= utf8.RuneSelf:
			plain = false
		case c == '\\':
			plain = false
			if !s.skipEscape() {
				return false, false
			}
		}
	}
	return false, false
}

// skipEscape moves behind what follows a backslash.
func (s *scanner) skipEscape() bool {
	c := s.peek()
	s.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if !isHex(s.peek()) {
				return false
			}
			s.i++
		}
		return true
	}
	return false
}

func isHex(c byte) bool { return c-'0' <= 9 || c-'a' <= 5 || c-'A' <= 5 }

func (s *scanner) skipNumber() bool {
	s.accept('-')
	if !s.accept('0') && !s.skipDigits() {
		return false
	}
	if s.accept('.') && !s.skipDigits() {
		return false
	}
	if s.peek()|0x20 != 'e' {
		return true
	}
	s.i++
	if !s.accept('-') {
		s.accept('+')
	}
	return s.skipDigits()
}

// skipDigits moves behind one digit or more.
func (s *scanner) skipDigits() bool {
	start := s.i
	for s.peek()-'0' <= 9 {
		s.i++
	}
	return s.i > start
}
