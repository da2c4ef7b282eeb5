package store

import (
	"testing"
	"time"
)

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func TestStateOfCommittedAndOpenWrites(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) { committedAndOpenWrites(t, dir) })
	}
}

func committedAndOpenWrites(t *testing.T, dir string) {
	s, err := Open(Options{Dir: dir, Specs: []Spec{{Name: "counts"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kv, query := s.KeyValue("counts"), s.Reader().KeyValue("counts")
	kv.Put([]byte("a"), Entry{Value: []byte("1"), Time: at(5)})
	if _, ok := query.Get([]byte("a")); ok {
		t.Fatal("a query saw an open write")
	}
	s.Mark()
	kv.Put([]byte("a"), Entry{Value: []byte("2"), Time: at(6)})
	s.Rollback()
	s.Seal()
	kv.Delete([]byte("a"), at(7))
	if err := s.Commit(map[string]int64{"counts": 12}); err != nil {
		t.Fatal(err)
	}
	if e, ok := query.Get([]byte("a")); !ok || string(e.Value) != "1" || !e.Time.Equal(at(5)) {
		t.Fatalf("a query got %v, %v", e, ok)
	}
	s.Abort()
	if e, ok := kv.Get([]byte("a")); !ok || string(e.Value) != "1" {
		t.Fatalf("after the abort: %v, %v", e, ok)
	}
	if got := s.Checkpoint("counts"); got != 12 {
		t.Fatalf("checkpoint %d", got)
	}
}
