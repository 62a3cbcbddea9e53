package keys

import (
	"strings"
	"testing"
)

// A key's slot is that of its queue and partition, whatever the names: the hash
// tag is the first {…} of every key.
func FuzzOneSlotPerPartition(f *testing.F) {
	f.Add("colony", "emails", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	f.Fuzz(func(t *testing.T, namespace, queue, incarnation string) {
		if strings.ContainsAny(namespace+queue+incarnation, ":/{}") || queue == "" {
			t.Skip()
		}
		k := For(namespace, queue, 3, 4)
		for _, key := range []string{k.Meta, k.Ready, k.Workers, k.Parked, k.Active(incarnation), k.Producer(incarnation)} {
			tag := key[strings.Index(key, "{")+1 : strings.Index(key, "}")]
			if tag != queue+"/3" {
				t.Fatalf("key %q has the hash tag %q", key, tag)
			}
		}
		if k.Active(incarnation) == k.Producer(incarnation) || strings.HasPrefix(k.Ready, Queues(namespace)) {
			t.Fatal("keys collide")
		}
	})
}

// One partition has no number in its tag, so a queue that was never divided has
// the keys that the documentation shows.
func TestOnePartition(t *testing.T) {
	if got := For("", "emails", 0, 1).Ready; got != "colony:{emails}:ready" {
		t.Fatal(got)
	}
}
