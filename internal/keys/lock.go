package keys

// Lock holds the keys of one lock. All of them share the hash tag {name}, so a
// script may touch them together.
type Lock struct {
	Token    string // who holds a mutex; absent = free
	Fence    string // the last fence
	Waiters  string // who waits, by arrival
	Holders  string // who holds a semaphore or reader-writer lock, by deadline
	Intent   string // the writer that readers let pass
	Reserved string // never exists: what scripts delete first on a full server
}

// ForLock returns the keys of a lock; group is "" for a mutex, or sem or rw.
func ForLock(namespace, name, group string) Lock {
	p := LockPrefix(namespace) + name + "}"
	token := p
	if group != "" {
		p += ":" + group
		token = p
	}
	return Lock{
		Token: token, Fence: p + ":fence", Waiters: p + ":waiters",
		Holders: p + ":holders", Intent: p + ":intent", Reserved: p + ":none",
	}
}

// LockPrefix is what the keys of every lock begin with; the name and "}" follow.
func LockPrefix(namespace string) string { return ns(namespace) + ":lock:{" }

// LockWake is the channel on which the waiters of one manager are woken; the
// manager's id follows.
func LockWake(namespace string) string { return ns(namespace) + ":lock-wake:" }
