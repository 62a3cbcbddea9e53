package wire

import (
	"errors"
	"fmt"
)

// MaxName is the greatest length of a name, in bytes.
const MaxName = 128

// ValidName checks the name of a queue, a kind or a plugin: 1 to 128 letters,
// digits, underscores, dots and hyphens of ASCII, the first neither dot nor
// hyphen ([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}). The error says what is wrong,
// without saying what the name is for.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > MaxName:
		return fmt.Errorf("name %q… has %d characters, at most %d are allowed", name[:16], len(name), MaxName)
	case name[0] == '.' || name[0] == '-':
		return fmt.Errorf("name %q begins with %q: begin with a letter, a digit or _", name, name[0])
	}
	for i, c := range name {
		if !nameRune(c) {
			return fmt.Errorf("name %q has %q at position %d: only letters, digits, _ . and - are allowed", name, c, i+1)
		}
	}
	return nil
}

func nameRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}
