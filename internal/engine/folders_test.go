package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/topology"
)

var noon = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

// shelf is the states of a process, at times of the test's own.
type shelf struct {
	*states
	t    *testing.T
	data string
}

func newShelf(t *testing.T, data string, now time.Time, specs ...store.Spec) *shelf {
	t.Helper()
	p := &topology.Plan{Name: "t", Stages: []topology.Stage{{Name: "s", Stateful: true}}}
	for _, spec := range specs {
		p.Stages[0].Stores = append(p.Stages[0].Stores, topology.Store{Spec: spec, Changelog: "t." + spec.Name + ".changelog"})
	}
	k := newStates(p, data, func(s topology.Store) string { return s.Changelog }, slog.New(slog.DiscardHandler))
	k.begin(now)
	s := &shelf{states: k, t: t, data: data}
	t.Cleanup(k.closeAll)
	return s
}

func (s *shelf) lend(n int32) *store.State {
	s.t.Helper()
	state, err := s.take(s.t.Context(), unitID{n: n})
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}

// open lists the partitions whose State is open, folders those that have a folder.
func (s *shelf) open() (all []int) {
	for id := range s.held {
		all = append(all, int(id.n))
	}
	slices.Sort(all)
	return all
}

func (s *shelf) folders() (all []string) {
	for name := range s.onDisk() {
		all = append(all, filepath.ToSlash(name))
	}
	slices.Sort(all)
	return all
}

func (s *shelf) expect(when string, open []int, folders ...string) {
	s.t.Helper()
	if got := s.open(); !slices.Equal(got, open) {
		s.t.Errorf("%s: open are %v, want %v", when, got, open)
	}
	if got := s.folders(); !slices.Equal(got, folders) {
		s.t.Errorf("%s: there are the folders %v, want %v", when, got, folders)
	}
}

func TestStoresOfTasksThatWorkElsewhereAreClosedAndThenRemoved(t *testing.T) {
	s := newShelf(t, t.TempDir(), noon, store.Spec{Name: "a"}, store.Spec{Name: "m", Memory: true})
	s.lend(0)
	moved := s.lend(1)
	s.give(unitID{n: 1})
	s.sweep(noon)
	s.sweep(noon.Add(closeAfter - 1))
	s.expect("a moment before", []int{0, 1}, "s/0", "s/1")
	s.sweep(noon.Add(closeAfter))
	s.expect("after ten minutes", []int{0}, "s/0", "s/1")
	if moved.Reader().Err() == nil {
		t.Error("the State of a task that moved is not closed")
	}

	if s.lend(1) == moved {
		t.Error("a closed State is lent")
	}
	s.sweep(noon.Add(time.Hour))
	s.give(unitID{n: 1})
	s.sweep(noon.Add(time.Hour + time.Minute))
	s.sweep(noon.Add(time.Hour + time.Minute + closeAfter))
	s.expect("it came back and went again", []int{0}, "s/0", "s/1")
	gone := noon.Add(time.Hour + time.Minute + removeAfter)
	s.sweep(gone.Add(-1))
	s.expect("nearly a day later", []int{0}, "s/0", "s/1")
	s.sweep(gone)
	s.expect("a day later", []int{0}, "s/0")
	if at := s.lend(1).Checkpoint("a"); at != -1 {
		t.Errorf("a folder that was removed is opened at %d", at)
	}
	s.sweep(noon.Add(99 * removeAfter))
	for name := range s.onDisk() {
		if err := s.remove(name); err != nil {
			t.Error(err)
		}
	}
	s.expect("what is in use stays", []int{0, 1}, "s/0", "s/1")
}

func TestAUserThatComesBackKeepsItsState(t *testing.T) {
	s := newShelf(t, t.TempDir(), noon, store.Spec{Name: "m", Memory: true})
	state := s.lend(0)
	if err := state.Load("m", []store.Change{{Key: []byte("k"), Value: []byte("v")}}, 7); err != nil {
		t.Fatal(err)
	}
	s.give(unitID{})
	s.sweep(noon)
	if s.lend(0) != state || state.Checkpoint("m") != 7 {
		t.Error("it finds another State")
	}
	s.sweep(noon.Add(closeAfter))
	s.give(unitID{})
	s.sweep(noon.Add(closeAfter + 1)) // unused from now on
	s.sweep(noon.Add(2 * closeAfter))
	s.expect("less than ten minutes after", []int{0})
}

// A process that was down for long must have the time to get its tasks before it removes what it has of them.
func TestAProcessThatStartsAgainRemovesNothingAtOnce(t *testing.T) {
	data := t.TempDir()
	first := newShelf(t, data, noon, store.Spec{Name: "a"})
	for n := range int32(2) {
		if err := first.lend(n).Load("a", nil, 40+int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	first.sweep(noon)
	for n := range int32(2) {
		first.give(unitID{n: n})
	}
	first.closeAll()

	later := time.Now().Add(3 * removeAfter)
	s := newShelf(t, data, later, store.Spec{Name: "a"})
	waiting := s.waiting()
	if len(waiting) != 2 || waiting[unitID{n: 1}].Stores["a"] != (storeNote{Origin: "t.a.changelog", Next: 41}) {
		t.Errorf("at the start it knows of %v", waiting)
	}
	s.sweep(later.Add(settleAfter - 1))
	s.expect("before it is settled", nil, "s/0", "s/1")
	s.lend(1)
	if waiting := s.waiting(); len(waiting) != 1 {
		t.Errorf("one is in use, %v wait", waiting)
	}
	s.sweep(later.Add(settleAfter))
	s.expect("settled", []int{1}, "s/1")
}

func TestOnlyFoldersOfTasksAreRemovedAndNoneThatIsOpen(t *testing.T) {
	data := t.TempDir()
	s := newShelf(t, data, noon, store.Spec{Name: "a"})
	for _, dir := range []string{"s/5.saving", "s/notes", "gone/3", "s/6"} {
		if err := os.MkdirAll(filepath.Join(data, "stages", dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "stages", "s", "6", "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := store.Open(store.Options{Dir: filepath.Join(data, "stages", "s", "7"), Identity: "by another process"})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	s.sweep(noon)
	s.expect("at first", nil, "gone/3", "s/6", "s/7")
	s.sweep(noon.Add(removeAfter))
	s.expect("a day later: one has a foreign file, one is open", nil, "s/6", "s/7")
	for _, left := range []string{"5.saving", "notes"} {
		if _, err := os.Stat(filepath.Join(data, "stages", "s", left)); err != nil {
			t.Errorf("what is no task's folder is gone: %v", err)
		}
	}
}

func TestNotesThatMakeNoSenseAreNone(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "half": `{"s/0":{"used":"2026-01-`, "null": "null", "another kind": `[1]`} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folders.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if n := readNotes(path); n == nil || len(n) != 0 {
				t.Errorf("read %v", n)
			}
		})
	}
}
