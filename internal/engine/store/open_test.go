package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// filled makes a state with an entry in the store "a", committed with the checkpoint 5.
func filled(t *testing.T, dir string) {
	t.Helper()
	s := openTest(t, Options{Dir: dir, Identity: "t/totals/3", Specs: []Spec{{Name: "a"}}, Origins: map[string]string{"a": "topic-1"}})
	put(t, s, "a", 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *State, store string, checkpoint int64) {
	t.Helper()
	s.KeyValue(store).Put([]byte("k"), Entry{Value: []byte("v"), Time: at(9)})
	s.Seal()
	if err := s.Commit(map[string]int64{store: checkpoint}); err != nil {
		t.Fatal(err)
	}
}

func TestOpenKeepsOnlyWhatIsItsOwn(t *testing.T) {
	for _, c := range []struct {
		name    string
		opt     Options
		store   string
		kept    bool
		foreign bool
	}{
		{name: "the same", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "a"}}, Origins: map[string]string{"a": "topic-1"}}, store: "a", kept: true},
		{name: "one more store", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "A"}, {Name: "a"}}, Origins: map[string]string{"a": "topic-1"}}, store: "a", kept: true},
		{name: "another origin", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "a"}}, Origins: map[string]string{"a": "topic-2"}}, store: "a"},
		{name: "another kind", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "a", Kind: KindVersioned, Retention: time.Hour}}, Origins: map[string]string{"a": "topic-1"}}, store: "a"},
		{name: "in memory from now on", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "a", Memory: true}}, Origins: map[string]string{"a": "topic-1"}}, store: "a"},
		{name: "another name", opt: Options{Identity: "t/totals/3", Specs: []Spec{{Name: "b"}}, Origins: map[string]string{"b": "topic-1"}}, store: "b"},
		{name: "another identity", opt: Options{Identity: "t/totals/4", Specs: []Spec{{Name: "a"}}}, foreign: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir)
			c.opt.Dir = dir
			s, err := Open(c.opt)
			if c.foreign {
				if _, ok := errors.AsType[*ForeignError](err); !ok {
					t.Fatalf("open: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.Checkpoint(c.store) == 5; got != c.kept {
				t.Errorf("checkpoint %d", s.Checkpoint(c.store))
			}
			if s.byName[c.store].spec.Kind == KindKeyValue {
				if _, ok := s.KeyValue(c.store).Get([]byte("k")); ok != c.kept {
					t.Errorf("the entry is there: %v", ok)
				}
			}
		})
	}
}

// TestAStoreThatLeftDoesNotComeBack: its bytes are gone, whoever has its number next.
func TestAStoreThatLeftDoesNotComeBack(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	for _, name := range []string{"b", "a"} {
		s := openTest(t, Options{Dir: dir, Identity: "t/totals/3", Specs: []Spec{{Name: name}}, Origins: map[string]string{name: "topic-1"}})
		if got := tableText(s.KeyValue(name).Range(nil, nil)); len(got) > 0 || s.Checkpoint(name) != -1 {
			t.Errorf("store %s begins with %v at %d", name, got, s.Checkpoint(name))
		}
		s.Close()
	}
}

func TestOpenRefusesForeignDirectories(t *testing.T) {
	t.Run("files of another program", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "letters.txt"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{Dir: dir})
		if _, ok := errors.AsType[*ForeignError](err); !ok {
			t.Errorf("open: %v", err)
		}
		if err := Remove(dir); err == nil {
			t.Error("removed another program's files")
		}
		if _, err := os.Stat(filepath.Join(dir, "letters.txt")); err != nil {
			t.Error(err)
		}
	})
	t.Run("a database of another program", func(t *testing.T) {
		dir := t.TempDir()
		db, err := pebble.Open(dir, &pebble.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set([]byte("x"), nil, nil); err != nil {
			t.Fatal(err)
		}
		db.Close()
		_, err = Open(Options{Dir: dir})
		if _, ok := errors.AsType[*ForeignError](err); !ok {
			t.Errorf("open: %v", err)
		}
	})
	t.Run("twice at once", func(t *testing.T) {
		dir := t.TempDir()
		s := openTest(t, Options{Dir: dir})
		defer s.Close()
		_, err := Open(Options{Dir: dir})
		if _, damaged := errors.AsType[*DamagedError](err); err == nil || damaged {
			t.Errorf("open: %v", err)
		}
	})
}

func TestOpenChecksSpecs(t *testing.T) {
	for _, c := range []struct {
		name, want string
		specs      []Spec
	}{
		{"the same name twice", `two stores of the name "a"`, []Spec{{Name: "a"}, {Name: "a"}}},
		{"windows for ever", "needs a retention", []Spec{{Name: "a", Kind: KindWindow}}},
		{"a retention that never was", "the least is a millisecond", []Spec{{Name: "a", Retention: -time.Second}}},
		{"no such kind", "unknown kind", []Spec{{Name: "a", Kind: 9}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Open(Options{Specs: c.specs}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestDamageIsToldAndCuredByRemove breaks each file of a state in turn. It either opens, being whole, or says that it is
// damaged, at once or when it is read; after Remove it starts anew.
func TestDamageIsToldAndCuredByRemove(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	for range 2 { // so that there is a table
		s := openTest(t, Options{Dir: dir, Identity: "t/totals/3", Specs: []Spec{{Name: "a"}}, Origins: map[string]string{"a": "topic-1"}})
		put(t, s, "a", 6)
		if err := s.disk.db.Flush(); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, f := range files {
		for _, how := range []string{"missing", "zeros"} {
			t.Run(f.Name()+" "+how, func(t *testing.T) {
				copied := filepath.Join(t.TempDir(), "state")
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				spoil(t, filepath.Join(copied, f.Name()), how)
				opt := Options{Dir: copied, Identity: "t/totals/3", Specs: []Spec{{Name: "a"}}, Origins: map[string]string{"a": "topic-1"}}
				err := readAll(opt)
				if err == nil {
					return
				}
				if _, ok := errors.AsType[*DamagedError](err); !ok {
					t.Fatalf("not told as damage: %v", err)
				}
				damaged++
				if err := Remove(copied); err != nil {
					t.Fatal(err)
				}
				if err := readAll(opt); err != nil {
					t.Fatalf("after Remove: %v", err)
				}
			})
		}
	}
	if damaged == 0 {
		t.Error("no damage was found")
	}
}

func readAll(opt Options) error {
	s, err := Open(opt)
	if err != nil {
		return err
	}
	defer s.Close()
	for range s.KeyValue("a").Range(nil, nil) {
	}
	return s.Err()
}

func spoil(t *testing.T, file, how string) {
	t.Helper()
	info, err := os.Stat(file)
	if err == nil && how == "zeros" {
		err = os.WriteFile(file, make([]byte, info.Size()), 0o600)
	} else if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotIsWhatIsCommitted(t *testing.T) {
	files := vfs.NewMem()
	opt := Options{Dir: "state", FS: files, Identity: "i", Specs: []Spec{{Name: "a"}, {Name: "m", Memory: true}}}
	s := openTest(t, opt)
	defer s.Close()
	put(t, s, "a", 7)
	put(t, s, "m", 8)
	s.KeyValue("a").Put([]byte("sealed"), Entry{})
	s.Seal()
	s.KeyValue("a").Put([]byte("open"), Entry{})
	if err := s.Snapshot("copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(map[string]int64{"a": 9}); err != nil {
		t.Fatal(err)
	}
	opt.Dir = "copy"
	c := openTest(t, opt)
	defer c.Close()
	if got, want := fmt.Sprint(tableText(c.KeyValue("a").Range(nil, nil))), `["k"="v"@9]`; got != want || c.Checkpoint("a") != 7 {
		t.Errorf("the copy has %s at %d", got, c.Checkpoint("a"))
	}
	if got := tableText(c.KeyValue("m").Range(nil, nil)); len(got) > 0 || c.Checkpoint("m") != -1 {
		t.Errorf("the copy has %v of the store in memory", got)
	}
	if err := s.Snapshot("copy"); err == nil {
		t.Error("a snapshot over another")
	}
	if err := openTest(t, Options{}).Snapshot("x"); err == nil {
		t.Error("a snapshot of a state in memory")
	}
}

func TestResetEmptiesOneStore(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			opt := Options{Dir: dir, Specs: []Spec{{Name: "a"}, {Name: "b", Retention: time.Minute}}}
			s := openTest(t, opt)
			defer func() { s.Close() }()
			put(t, s, "a", 1)
			put(t, s, "b", 2)
			s.KeyValue("b").Put([]byte("sealed"), Entry{})
			s.Seal()
			s.KeyValue("b").Put([]byte("open"), Entry{})
			if err := s.Reset("b"); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(nil); err != nil {
				t.Fatal(err)
			}
			if dir != "" {
				s.Close()
				s = openTest(t, opt)
			}
			if got := tableText(s.KeyValue("b").Range(nil, nil)); len(got) > 0 || s.Checkpoint("b") != -1 {
				t.Errorf("b has %v at %d", got, s.Checkpoint("b"))
			}
			if got := tableText(s.KeyValue("a").Range(nil, nil)); len(got) != 1 || s.Checkpoint("a") != 1 {
				t.Errorf("a has %v at %d", got, s.Checkpoint("a"))
			}
		})
	}
}

func TestStatsSayWhatIsThere(t *testing.T) {
	caches := NewCaches(CacheOptions{States: 2})
	defer caches.Close()
	s := openTest(t, Options{Dir: t.TempDir(), Caches: caches, Specs: []Spec{{Name: "m", Memory: true}, {Name: "a"}}})
	defer s.Close()
	put(t, s, "m", 3)
	s.KeyValue("a").Put([]byte("k"), Entry{Value: make([]byte, 1000)})
	if n, bytes := s.Pending(); n != 1 || bytes < 1000 || bytes > 3000 {
		t.Errorf("pending: %d entries, %d bytes", n, bytes)
	}
	s.Seal()
	st := s.Stats()
	names := []string{st.Stores[0].Name, st.Stores[1].Name}
	if !slices.Equal(names, []string{"a", "m"}) || st.Stores[0].Entries != -1 || st.Stores[1].Entries != 1 || st.Stores[1].Checkpoint != 3 {
		t.Errorf("stores: %+v", st.Stores)
	}
	if st.SealedBytes < 1000 || st.DiskBytes <= 0 {
		t.Errorf("%+v", st)
	}
}
