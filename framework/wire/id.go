package wire

import (
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"time"
)

// idLen is the length of an id in bytes.
const idLen = 26

// maxIDTime is the last millisecond that the 48 bits of a ULID can hold.
const maxIDTime = 1<<48 - 1

// crockford is the alphabet of a ULID: base 32 without I, L, O and U, in the
// order of ASCII, so that ids sort by bytes as they sort by value.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// crockfordValue maps a byte to its value, or to 255.
var crockfordValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte(crockford) {
		t[c] = byte(i)
	}
	return t
}()

// NewID returns a ULID whose time is t, in milliseconds (a time that 48 bits
// cannot hold is moved to the nearest that they can). Ids asked for one after
// another within the same millisecond grow, so that they sort in the order of
// the calls; across processes and milliseconds they differ by 79 random bits.
//
// The format is that of https://github.com/ulid/spec, monotonicity included,
// with one liberty: a fresh random part leaves its top bit clear, so that
// counting up from it cannot overflow and NewID cannot fail.
func NewID(t time.Time) string {
	ms := uint64(min(max(t.UnixMilli(), 0), maxIDTime))
	hi, lo := ids.next(ms)
	return formatID(ms, hi, lo)
}

// ids is where this process draws its ids from.
var ids idSource

// idSource hands out the random parts: 80 bits as a 16-bit and a 64-bit half.
type idSource struct {
	mu     sync.Mutex
	random *rand.ChaCha8 // seeded from the system at first use
	ms     uint64        // time of the last id
	hi     uint16        // its random part
	lo     uint64
}

// next returns the successor of the last part when ms is still the same, else
// a fresh one.
func (s *idSource) next(ms uint64) (hi uint16, lo uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random == nil {
		s.random = newRandom()
	} else if ms == s.ms {
		if s.lo++; s.lo == 0 {
			s.hi++
		}
		return s.hi, s.lo
	}
	s.ms, s.hi, s.lo = ms, uint16(s.random.Uint64())&0x7fff, s.random.Uint64()
	return s.hi, s.lo
}

func newRandom() *rand.ChaCha8 {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails: crypto/rand ends the program instead
	return rand.NewChaCha8(seed)
}

// formatID writes 48 bits of time and 80 of randomness, five at a time.
func formatID(ms uint64, hi uint16, lo uint64) string {
	var b [idLen]byte
	for i := 9; i >= 0; i-- {
		b[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := 25; i >= 14; i-- { // the low 60 bits
		b[i] = crockford[lo&31]
		lo >>= 5
	}
	rest := uint32(hi)<<4 | uint32(lo) // 16 bits of hi, the last 4 of lo
	for i := 13; i >= 10; i-- {
		b[i] = crockford[rest&31]
		rest >>= 5
	}
	return string(b[:])
}

// ValidID reports whether id is a ULID in its canonical spelling: 26 capital
// Crockford characters, the first at most 7 (a ULID has 128 bits, not 130).
func ValidID(id string) bool {
	return len(id) == idLen && id[0] <= '7' && crockfordText(id)
}

func crockfordText[T string | []byte](s T) bool {
	for i := range len(s) {
		if crockfordValue[s[i]] == 255 {
			return false
		}
	}
	return true
}

// IDTime returns the time in an id, in milliseconds and UTC: when the job was
// enqueued, by its producer's clock. It is zero when id is not valid.
func IDTime(id string) time.Time {
	if !ValidID(id) {
		return time.Time{}
	}
	var ms uint64
	for i := range 10 {
		ms = ms<<5 | uint64(crockfordValue[id[i]])
	}
	return time.UnixMilli(int64(ms)).UTC()
}
