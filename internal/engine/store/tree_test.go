package store

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeIsASortedMapWithSnapshots compares a tree with a map, and its snapshots with copies of the map.
func TestTreeIsASortedMapWithSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr tree
		twin := map[string]*item{}
		var snapshots []*node
		var copies []map[string]*item
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%04d", rapid.IntRange(0, 3000).Draw(t, "key")) })
		t.Repeat(map[string]func(*rapid.T){
			"set some in order": func(t *rapid.T) {
				from := rapid.IntRange(0, 3000).Draw(t, "from")
				for i := range rapid.IntRange(1, 300).Draw(t, "n") {
					it := &item{key: fmt.Appendf(nil, "%04d", from+i)}
					tr.set(it)
					twin[string(it.key)] = it
				}
			},
			"set": func(t *rapid.T) {
				it := &item{key: []byte(key.Draw(t, "key"))}
				tr.set(it)
				twin[string(it.key)] = it
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				tr.delete([]byte(k))
				delete(twin, k)
			},
			"delete a stretch": func(t *rapid.T) {
				from := rapid.IntRange(0, 3000).Draw(t, "from")
				for i := range rapid.IntRange(1, 500).Draw(t, "n") {
					k := fmt.Sprintf("%04d", from+i)
					tr.delete([]byte(k))
					delete(twin, k)
				}
			},
			"snapshot": func(*rapid.T) {
				snapshots, copies = append(snapshots, tr.snapshot()), append(copies, maps.Clone(twin))
			},
			"": func(t *rapid.T) {
				from := key.Draw(t, "from")
				compareTree(t, tr.root, twin, from)
				if tr.count != len(twin) {
					t.Fatalf("count %d, want %d", tr.count, len(twin))
				}
				if k := key.Draw(t, "key"); tr.get([]byte(k)) != twin[k] {
					t.Fatalf("get %s: another item", k)
				}
				for i := max(0, len(snapshots)-2); i < len(snapshots); i++ {
					compareTree(t, snapshots[i], copies[i], from)
				}
			},
		})
	})
}

func compareTree(t *rapid.T, root *node, want map[string]*item, from string) {
	w := &walk{root: root}
	w.seek([]byte(from))
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if k < from {
			continue
		}
		if it := w.next(); it != want[k] {
			t.Fatalf("from %s on: not the item of %s", from, k)
		}
	}
	if it := w.next(); it != nil {
		t.Fatalf("from %s on: %s too much", from, it.key)
	}
}

// TestIteratorsSeeTheStoreAsItWas writes while a view is iterated.
func TestIteratorsSeeTheStoreAsItWas(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, Options{Dir: dir, Specs: []Spec{{Name: "t"}}})
			defer s.Close()
			kv := s.KeyValue("t")
			for round := range 4 { // with the entries in the open layer, the sealed one, the ground, and mixed
				var want [][]byte
				for i := range 300 {
					key := fmt.Appendf(nil, "%03d", i)
					kv.Put(key, Entry{Value: []byte("old"), Time: at(1)})
					want = append(want, key)
				}
				if round > 0 {
					s.Seal()
				}
				if round > 1 {
					if err := s.Commit(nil); err != nil {
						t.Fatal(err)
					}
				}
				var got [][]byte
				s.Mark()
				for key, e := range kv.Range(nil, nil) {
					if string(e.Value) != "old" {
						t.Fatalf("round %d: at %s the value written meanwhile", round, key)
					}
					got = append(got, key)
					kv.Put(key, Entry{Value: []byte("new"), Time: at(2)})
					kv.Delete(fmt.Appendf(nil, "%03d", len(got)+5), at(2))
					kv.Put(fmt.Appendf(nil, "%03d-more", len(got)), Entry{Value: []byte("new"), Time: at(2)})
				}
				if !slices.EqualFunc(got, want, bytes.Equal) {
					t.Fatalf("round %d: %d keys, want %d: %s", round, len(got), len(want), got)
				}
				s.Rollback()
				if got := tableText(kv.Range(nil, nil)); len(got) != 300 || got[0] != `"000"="old"@1` {
					t.Fatalf("round %d: %d entries after the rollback, %v", round, len(got), got[0])
				}
				s.Abort()
				s.Seal()
				_ = s.Commit(nil)
			}
		})
	}
}
