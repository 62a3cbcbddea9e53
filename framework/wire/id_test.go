package wire

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// An id holds its time to the millisecond, and is what ValidID calls valid.
func TestIDTime(t *testing.T) {
	for _, ms := range []int64{0, 1, 1469918176385, 1753963200123, maxIDTime} {
		id := NewID(time.UnixMilli(ms))
		if !ValidID(id) || !IDTime(id).Equal(time.UnixMilli(ms)) {
			t.Errorf("%d ms: id %s, time %v", ms, id, IDTime(id))
		}
	}
	if id := NewID(time.Unix(-1, 0)); !strings.HasPrefix(id, "0000000000") {
		t.Errorf("before 1970: %s", id)
	}
	if id := NewID(time.UnixMilli(maxIDTime + 1)); !strings.HasPrefix(id, "7ZZZZZZZZZ") {
		t.Errorf("after 10889: %s", id)
	}
	// The example of the specification.
	if got := IDTime("01ARZ3NDEKTSV4RRFFQ69G5FAV"); got.UnixMilli() != 1469922850259 {
		t.Errorf("01ARZ3NDEK… is %d", got.UnixMilli())
	}
	if got := IDTime("nonsense"); !got.IsZero() {
		t.Errorf("nonsense is %v", got)
	}
}

// All 80 random bits find their place, and none is lost or doubled.
func TestFormatID(t *testing.T) {
	for _, c := range []struct {
		ms   uint64
		hi   uint16
		lo   uint64
		want string
	}{
		{0, 0, 0, "00000000000000000000000000"},
		{0, 0, 1, "00000000000000000000000001"},
		{0, 0, 1 << 63, "00000000000008000000000000"},
		{0, 1, 0, "0000000000000G000000000000"},
		{0, 1 << 15, 0, "0000000000G000000000000000"},
		{1, 0, 0, "00000000010000000000000000"},
		{maxIDTime, 1<<16 - 1, 1<<64 - 1, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
	} {
		if got := formatID(c.ms, c.hi, c.lo); got != c.want {
			t.Errorf("%d %d %d: got %s, want %s", c.ms, c.hi, c.lo, got, c.want)
		}
	}
}

// Ids of one millisecond grow in the order of the calls, also over the edge of
// the lower half.
func TestNewIDMonotonic(t *testing.T) {
	now := time.UnixMilli(1753963200123)
	last := NewID(now)
	for range 10_000 {
		id := NewID(now)
		if id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
	s := idSource{random: newRandom(), ms: 5, hi: 7, lo: 1<<64 - 1}
	if hi, lo := s.next(5); hi != 8 || lo != 0 {
		t.Errorf("no carry: %d %d", hi, lo)
	}
	if hi, _ := s.next(6); hi > 0x7fff {
		t.Errorf("a fresh part begins at %#x, which leaves no room to count", hi)
	}
}

// Ids are unique whoever asks for them at the same time.
func TestNewIDConcurrent(t *testing.T) {
	const workers, each = 8, 5000
	ids := make([][]string, workers)
	now := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				ids[w] = append(ids[w], NewID(now.Add(time.Duration(i%3)*time.Millisecond)))
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool, workers*each)
	for _, list := range ids {
		for _, id := range list {
			if seen[id] || !ValidID(id) {
				t.Fatalf("%s: twice or invalid", id)
			}
			seen[id] = true
		}
	}
}

// Only the canonical spelling of a ULID is an id.
func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"01ARZ3NDEKTSV4RRFFQ69G5FAV": true, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ": true,
		"8ZZZZZZZZZZZZZZZZZZZZZZZZZ": false, "01arz3ndektsv4rrffq69g5fav": false, "01ARZ3NDEKTSV4RRFFQ69G5FA": false,
		"01ARZ3NDEKTSV4RRFFQ69G5FAVV": false, "01ARZ3NDEKTSV4RRFFQ69G5FAI": false, "01ARZ3NDEKTSV4RRFFQ69G5FAL": false,
		"01ARZ3NDEKTSV4RRFFQ69G5FAO": false, "01ARZ3NDEKTSV4RRFFQ69G5FAU": false, "": false, "01ARZ3NDEKTSV4RRFFQ69G5F\xff\xfe": false,
	} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

// The hand-written check of names is the regular expression of the design, and
// the error says what is wrong.
func FuzzValidName(f *testing.F) {
	for _, s := range []string{"a", "email.send", "-a", ".a", "_", "a b", "é", "a\xff", "a:b", "a\n", strings.Repeat("x", 128), strings.Repeat("é", 65), ""} {
		f.Add(s)
	}
	pattern := regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z`)
	f.Fuzz(func(t *testing.T, name string) {
		if err := ValidName(name); (err == nil) != pattern.MatchString(name) {
			t.Errorf("ValidName(%q) = %v", name, err)
		}
	})
}

// Errors about names name the culprit.
func TestValidNameErrors(t *testing.T) {
	for name, want := range map[string]string{
		"":                       "name is empty",
		"-x":                     `name "-x" begins with '-': begin with a letter, a digit or _`,
		"emails:eu":              `name "emails:eu" has ':' at position 7: only letters, digits, _ . and - are allowed`,
		strings.Repeat("x", 129): `name "xxxxxxxxxxxxxxxx"… has 129 characters, at most 128 are allowed`,
	} {
		if err := ValidName(name); err == nil || err.Error() != want {
			t.Errorf("%.20q: got %v, want %s", name, err, want)
		}
	}
}
