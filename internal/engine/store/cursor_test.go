package store

import (
	"testing"
	"time"
)

// counting counts what is taken from a source.
type counting struct {
	cursor
	taken *int
}

func (c counting) next() *item {
	*c.taken++
	return c.cursor.next()
}

// TestASearchEndsAtItsEnd: deletions behind the end of a range, of which a queue leaves many, are not passed in search of
// something that is there.
func TestASearchEndsAtItsEnd(t *testing.T) {
	s, err := Open(Options{Specs: []Spec{{Name: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kv := s.KeyValue("s")
	for i := range 1000 {
		kv.Delete([]byte{'b', byte(i >> 8), byte(i)}, time.UnixMilli(0))
	}
	kv.Put([]byte("a"), Entry{Value: []byte("v")})
	kv.Put([]byte("c"), Entry{Value: []byte("v")})
	table, taken := s.byName["s"], 0
	c := newMerged(join(table.number, []byte("b")), counting{newLayerCursor(table.open, true), &taken})
	defer c.close()
	c.seek(join(table.number, []byte("a")))
	if it := c.next(); it == nil || string(it.user()) != "a" {
		t.Fatalf("have %v, want a", it)
	}
	if it := c.next(); it != nil {
		t.Errorf("have %q behind the end", it.user())
	}
	if taken > 3 {
		t.Errorf("%d entries were passed to find one", taken)
	}
}

// TestADiskIsNotReadBehindTheEnd is the same for what is committed: the database has to be told, since it passes its
// deletions itself.
func TestADiskIsNotReadBehindTheEnd(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), Specs: []Spec{{Name: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Load("s", []Change{{Key: []byte("a"), Value: []byte("v")}, {Key: []byte("b"), Value: []byte("v")}}, 2); err != nil {
		t.Fatal(err)
	}
	table := s.byName["s"]
	c, err := table.ground.cursor(new(arena), join(table.number, []byte("b")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.seek(table.number)
	if c.next() == nil || c.next() != nil {
		t.Error("want one entry before the end, and nothing behind it")
	}
}
