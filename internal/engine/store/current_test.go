package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// What a store has missed of its changelog can be judged only by the time at which it had everything.
func TestWhenAStoreWasCurrentIsKept(t *testing.T) {
	noon := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		name string
		then func(*State) error
		want time.Time
	}{
		{"as confirmed", func(*State) error { return nil }, noon},
		{"a later time counts", func(s *State) error { return s.Confirm("a", noon.Add(time.Minute)) }, noon.Add(time.Minute)},
		{"an earlier one does not", func(s *State) error { return s.Confirm("a", noon.Add(-time.Minute)) }, noon},
		{"what is loaded says nothing of it", func(s *State) error { return s.Load("a", nil, 9) }, noon},
		{"a store that is emptied was never current", func(s *State) error { return s.Reset("a") }, time.Time{}},
	} {
		for _, memory := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, memory=%v", c.name, memory), func(t *testing.T) {
				opt := Options{Specs: []Spec{{Name: "a"}}, Identity: "t"}
				if !memory {
					opt.Dir = t.TempDir()
				}
				s := openTest(t, opt)
				if got := s.Current("a"); !got.IsZero() {
					t.Fatalf("a new store was current at %v", got)
				}
				put(t, s, "a", 5)
				if err := s.Confirm("a", noon); err != nil {
					t.Fatal(err)
				}
				if err := c.then(s); err != nil {
					t.Fatal(err)
				}
				if !memory {
					s = reopen(t, s, opt)
				}
				if got := s.Current("a"); !got.Equal(c.want) {
					t.Errorf("it was current at %v, want %v", got, c.want)
				}
			})
		}
	}
}

func TestAStoreOfAnotherOriginWasNeverCurrent(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Specs: []Spec{{Name: "a"}}, Identity: "t", Origins: map[string]string{"a": "old"}}
	s := openTest(t, opt)
	put(t, s, "a", 5)
	if err := s.Confirm("a", time.Now()); err != nil {
		t.Fatal(err)
	}
	opt.Origins = map[string]string{"a": "new"}
	if s = reopen(t, s, opt); !s.Current("a").IsZero() || s.Checkpoint("a") != -1 {
		t.Errorf("it stands at %d, current at %v", s.Checkpoint("a"), s.Current("a"))
	}
}

// A folder of a version that noted no times is opened as it is.
func TestAFolderWithoutTimesIsOpened(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Specs: []Spec{{Name: "a"}}, Identity: "t"}
	s := openTest(t, opt)
	put(t, s, "a", 5)
	if err := s.disk.db.Delete(currentKey("a"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if s = reopen(t, s, opt); !s.Current("a").IsZero() || s.Checkpoint("a") != 5 {
		t.Errorf("it stands at %d, current at %v", s.Checkpoint("a"), s.Current("a"))
	}
}

func TestPassMovesOnlyFromWhereTheStoreStands(t *testing.T) {
	opt := Options{Dir: t.TempDir(), Specs: []Spec{{Name: "a"}}, Identity: "t"}
	s := openTest(t, opt)
	put(t, s, "a", 5)
	for _, c := range []struct{ from, to, want int64 }{{4, 9, 5}, {5, 7, 7}, {5, 9, 7}} {
		if err := s.Pass("a", c.from, c.to); err != nil || s.Checkpoint("a") != c.want {
			t.Errorf("from %d to %d: it stands at %d, %v; want %d", c.from, c.to, s.Checkpoint("a"), err, c.want)
		}
	}
	if s = reopen(t, s, opt); s.Checkpoint("a") != 7 {
		t.Errorf("after a restart it stands at %d", s.Checkpoint("a"))
	}
}

// Somebody who asks may keep a State for as long as a question takes; what it held must not stay with it.
func TestACloseFreesWhatIsInMemory(t *testing.T) {
	s := openTest(t, Options{Specs: []Spec{{Name: "a", Memory: true}}})
	for i := range 1000 {
		s.KeyValue("a").Put(fmt.Append(nil, i), Entry{Value: make([]byte, 1000), Time: at(1)})
	}
	s.Seal()
	if err := s.Commit(nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range s.tables {
		if entries, bytes := table.ground.size(); entries != 0 || bytes != 0 || table.ground.(*memory).tree.root != nil {
			t.Errorf("after Close the store has %d entries, %d bytes", entries, bytes)
		}
		if _, bytes := table.open.size(); bytes != 0 || table.sealed != nil {
			t.Errorf("after Close its layers have %d bytes", bytes)
		}
	}
}

func reopen(t *testing.T, s *State, opt Options) *State {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openTest(t, opt)
}
