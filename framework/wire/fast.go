package wire

import "time"

// parseFast reads the entries that occur in practice in one pass, by hand. It
// gives up (ok = false) on everything else, errors included: parseSlow decides
// about that and words the error.
func parseFast(b []byte) (e Envelope, ok bool) {
	f := fastReader{scanner: scanner{b: b}}
	f.space()
	if !f.accept('{') {
		return Envelope{}, false
	}
	for first := true; ; first = false {
		name, more, ok := f.member(first)
		if !ok {
			return Envelope{}, false
		}
		if !more {
			break
		}
		if !f.value(name) {
			return Envelope{}, false
		}
	}
	if !f.end() || f.e.finish(f.payload) != nil {
		return Envelope{}, false
	}
	return f.e, true
}

type fastReader struct {
	scanner
	e       Envelope
	payload []byte // raw; nil = none yet
	seen    uint32 // a bit per member
}

// value reads the value of a member of the entry.
func (f *fastReader) value(name []byte) bool {
	m := memberOf(name)
	if m == unknown {
		raw, ok := f.raw()
		f.e.Extra = append(f.e.Extra, Member{Name: string(name), Raw: raw})
		return ok
	}
	if f.seen&(1<<m) != 0 {
		return f.skip(MaxDepth) // the first one counts
	}
	f.seen |= 1 << m
	if m == mPayload {
		raw, ok := f.raw()
		f.payload = raw
		return ok
	}
	if f.peek() == 'n' {
		return f.literal("null")
	}
	switch m {
	case mHeaders:
		return f.headers()
	case mErrors:
		return f.errors()
	case mID, mKind, mContentType, mReason:
		return f.stringMember(m)
	}
	return f.integerMember(m)
}

// raw returns a value as it stands, without the room to append to it: what
// follows it belongs to others.
func (f *fastReader) raw() ([]byte, bool) {
	start := f.i
	ok := f.skip(MaxDepth)
	return f.b[start:f.i:f.i], ok
}

func (f *fastReader) stringMember(m member) bool {
	t, ok := f.text()
	if !ok {
		return false
	}
	switch m {
	case mID:
		f.e.ID = string(t)
		return f.e.ID == "" || ValidID(f.e.ID)
	case mKind:
		f.e.Kind = string(t)
	case mContentType:
		f.e.ContentType = string(t)
	case mReason:
		f.e.Reason = string(t)
	}
	return true
}

func (f *fastReader) integerMember(m member) bool {
	v, ok := f.integer()
	if !ok {
		return false
	}
	switch m {
	case mN:
		f.e.N = v
	case mS:
		f.e.S = v
	case mV:
		f.e.V = int(v)
		return 1 <= v && v <= Version
	case mAt:
		f.e.At = timeOf(v)
	case mAttempt:
		f.e.Attempt = int(v)
		return v <= maxCount
	case mMaxAttempts:
		f.e.MaxAttempts = int(v)
		return v <= maxCount
	case mTimeout:
		f.e.Timeout = time.Duration(v) * time.Millisecond
		return v <= maxTimeoutMillis
	case mEnded:
		f.e.Ended = timeOf(v)
	}
	return true
}

func (f *fastReader) headers() bool {
	if !f.accept('{') {
		return false
	}
	for first := true; ; first = false {
		k, more, ok := f.member(first)
		if !more || !ok {
			return ok
		}
		v, ok := f.text()
		if !ok {
			return false
		}
		if f.e.Headers == nil {
			f.e.Headers = make(map[string]string)
		}
		if _, twice := f.e.Headers[string(k)]; !twice {
			f.e.Headers[string(k)] = string(v)
		}
	}
}

func (f *fastReader) errors() bool {
	if !f.accept('[') {
		return false
	}
	for first := true; ; first = false {
		more, ok := f.next(first, ']')
		if !more || !ok {
			return ok
		}
		x, ok := f.error()
		if !ok {
			return false
		}
		f.e.Errors = append(f.e.Errors, x)
	}
}

// error reads one error of the history. A member given twice goes the slow way.
func (f *fastReader) error() (x Error, ok bool) {
	if !f.accept('{') {
		return Error{}, false
	}
	seen := 0
	for first := true; ; first = false {
		name, more, ok := f.member(first)
		if !more || !ok {
			return x, ok
		}
		bit, ok := f.errorMember(&x, string(name))
		if !ok || seen&bit != 0 {
			return Error{}, false
		}
		seen |= bit
	}
}

func (f *fastReader) errorMember(x *Error, name string) (bit int, ok bool) {
	switch name {
	case "at":
		v, ok := f.integer()
		x.At = timeOf(v)
		return 1, ok
	case "attempt":
		v, ok := f.integer()
		x.Attempt = int(v)
		return 2, ok && v <= maxCount
	case "error":
		t, ok := f.text()
		x.Message = string(t)
		return 4, ok
	}
	return 0, f.skip(MaxDepth)
}
