package wire

import "strconv"

// maxDigits is how many digits an integer may have: what survives Lua's and
// JavaScript's floating-point numbers, and cjson.
const maxDigits = 15

// MaxInteger is the greatest integer in an entry: 15 nines.
const MaxInteger = 999_999_999_999_999

const (
	headID = `{"id":"`
	headN  = `","n":`
	headS  = `,"s":`
)

// Head reads the head of an entry,
//
//	{"id":"<26 Crockford characters>","n":<1 to 15 digits>,"s":<1 to 15 digits>
//
// followed by a comma or the closing brace, without a byte more or less. rest
// is the index right after the digits of s. ok is false when the entry does not
// begin like that; then a script has yet to give it a head. Head says nothing
// of what follows: an entry with a good head may be unreadable.
func Head(b []byte) (id string, n, s int64, rest int, ok bool) {
	i := len(headID) + idLen
	if len(b) < i || string(b[:len(headID)]) != headID || !crockfordText(b[len(headID):i]) {
		return "", 0, 0, 0, false
	}
	if n, rest, ok = headInteger(b, i, headN); !ok {
		return "", 0, 0, 0, false
	}
	if s, rest, ok = headInteger(b, rest, headS); !ok {
		return "", 0, 0, 0, false
	}
	if rest == len(b) || b[rest] != ',' && b[rest] != '}' {
		return "", 0, 0, 0, false
	}
	return string(b[len(headID):i]), n, s, rest, true
}

// headInteger expects label at b[i:] and then digits.
func headInteger(b []byte, i int, label string) (v int64, end int, ok bool) {
	if len(b)-i < len(label) || string(b[i:i+len(label)]) != label {
		return 0, 0, false
	}
	return digits(b, i+len(label))
}

// digits reads 1 to 15 digits at b[i:], without leading zeros (JSON has none,
// and id:n could otherwise be spelled in two ways).
func digits(b []byte, i int) (v int64, end int, ok bool) {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		v = v*10 + int64(b[i]-'0')
		if i++; i-start > maxDigits {
			return 0, 0, false
		}
	}
	return v, i, i > start && (b[start] != '0' || i == start+1)
}

// appendHead writes the head.
func appendHead(dst []byte, id string, n, s int64) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, id)
	dst = append(dst, `,"n":`...)
	dst = appendInteger(dst, n)
	dst = append(dst, `,"s":`...)
	return appendInteger(dst, s)
}

func appendInteger(dst []byte, v int64) []byte {
	return strconv.AppendInt(dst, min(max(v, 0), MaxInteger), 10)
}
