package keys

import (
	"strings"
	"testing"
)

// Every key of a lock lies in the slot of its name, and no two of them, of
// whatever kind, are the same.
func FuzzLockKeys(f *testing.F) {
	f.Add("colony", "report:42")
	f.Fuzz(func(t *testing.T, namespace, name string) {
		if strings.ContainsAny(namespace+name, "{}") || name == "" {
			t.Skip()
		}
		seen := map[string]bool{}
		for _, group := range []string{"", "sem", "rw"} {
			k := ForLock(namespace, name, group)
			for _, key := range []string{k.Token, k.Fence, k.Waiters, k.Holders, k.Intent, k.Reserved} {
				if seen[key] {
					t.Fatalf("key %q twice", key)
				}
				seen[key] = true
				if tag := key[strings.Index(key, "{")+1 : strings.Index(key, "}")]; tag != name {
					t.Fatalf("key %q has the hash tag %q", key, tag)
				}
			}
		}
	})
}
