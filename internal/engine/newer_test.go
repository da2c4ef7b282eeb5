package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	archive "ravenswood.dev/internal/engine/snapshot"
	"ravenswood.dev/internal/engine/store"
)

// had is what a folder or a snapshot has of the two stores of logged.
type had struct {
	count, table int64 // checkpoints; -1: nothing
	age          time.Duration
}

// fill makes a State as somebody had it, with a key that only this one has.
func (h had) fill(t *testing.T, s *store.State, mark string) {
	t.Helper()
	for name, at := range map[string]int64{"count": h.count, "table": h.table} {
		if at < 0 {
			continue
		}
		if err := s.Load(name, []store.Change{{Key: []byte("a"), Value: []byte("9")}, {Key: []byte(mark), Value: []byte("1")}}, at); err != nil {
			t.Fatal(err)
		}
		if err := s.Confirm(name, time.Now().Add(-h.age)); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder that is of no use any more, or not of much, does not keep a process from a snapshot that is.
func TestASnapshotTakesThePlaceOfAFolderThatWouldBeRestoredWhole(t *testing.T) {
	const long = 30 * time.Hour
	nothing := func(*testing.T, string) {}
	for _, c := range []struct {
		name            string
		saved, folder   had
		spoil           func(t *testing.T, folder string)
		snapshot, stays bool // whose keys are there then; neither: those of the changelog alone
	}{
		{"the folder is old", had{2, 2, 0}, had{1, 1, long}, nothing, true, false},
		{"the folder is damaged", had{2, 2, 0}, had{2, 2, 0}, damage, true, false},
		{"the folder is empty", had{2, 2, 0}, had{-1, -1, 0}, nothing, true, false},
		{"both are old", had{2, 2, long}, had{1, 1, long}, nothing, true, false}, // nothing was written since
		{"both are old, and more was written", had{1, 1, long}, had{1, 1, long}, nothing, false, false},
		{"the folder will do", had{2, 2, 0}, had{1, 1, time.Hour}, nothing, false, true},
		{"one store would have more to read", had{2, 1, 0}, had{1, 2, long}, nothing, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogged(t, t.TempDir(), "a")
			l.write("in", "a1", "b1")
			l.write("t.count.changelog", "a9", "b8")
			saved, dir := t.TempDir(), t.TempDir()
			l.snapshots = saved
			owner := &logged{t: t, cfg: l.cfg, snapshots: saved}
			owner.connect(t.TempDir(), "owner")
			state := owner.take()
			c.saved.fill(t, state, "s")
			owner.Engine.snapshots.save(t.Context(), unitID{}, state)

			old := &logged{t: t, cfg: l.cfg}
			old.connect(dir, "b")
			folder := old.states.folder(unitID{})
			c.folder.fill(t, old.take(), "f")
			old.states.give(unitID{})
			old.disconnect()
			c.spoil(t, folder)

			next := &logged{t: t, cfg: l.cfg, snapshots: saved}
			next.connect(dir, "b")
			s := next.restored(2)
			want := "a=9 b=8 "
			if c.snapshot {
				want = "a=9 s=1 "
			}
			if c.stays {
				want = "a=9 b=8 f=1 "
			}
			if got := contents(s, "count"); got != want {
				t.Errorf("the counts are %q, want %q", got, want)
			}
			for _, suffix := range []string{newerSuffix, fetchingSuffix} {
				if _, err := os.Stat(folder + suffix); err == nil {
					t.Errorf("%s%s is left", folder, suffix)
				}
			}
		})
	}
}

func damage(t *testing.T, folder string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "MANIFEST-*"))
	for _, path := range all {
		if err == nil {
			err = os.WriteFile(path, []byte("no manifest"), 0o600)
		}
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("damage %d files: %v", len(all), err)
	}
}

func TestWhatACrashLeavesOfSnapshotsIsRemoved(t *testing.T) {
	dir := t.TempDir()
	l := newLogged(t, dir, "a")
	folder := l.states.folder(unitID{n: 3})
	for _, suffix := range []string{savingSuffix, fetchingSuffix, newerSuffix, newerSuffix + fetchingSuffix} {
		if err := os.MkdirAll(folder+suffix, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	next := &logged{t: t, cfg: l.cfg}
	next.connect(dir, "a")
	left, err := os.ReadDir(filepath.Dir(folder))
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
}

func TestASnapshotIsFetchedOnlyIfItSparesReading(t *testing.T) {
	now := time.Unix(1000, 0)
	here := func(at int64) standing {
		return standing{at: at, current: now, start: 10, end: 20, to: 20, keeps: time.Hour}
	}
	there := func(name string, at int64) archive.Store {
		return archive.Store{Name: name, Checkpoint: at, Current: now}
	}
	old := there("a", 15)
	old.Current = now.Add(-2 * time.Hour)
	for _, c := range []struct {
		name  string
		a, b  int64
		saved []archive.Store
		want  bool
	}{
		{"both have less to read", 5, -1, []archive.Store{there("a", 12), there("b", 13)}, true},
		{"one has less, the other as much", 5, 13, []archive.Store{there("a", 12), there("b", 13)}, true},
		{"one has less, the other more", 5, 13, []archive.Store{there("a", 19), there("b", 12)}, false},
		{"both have as much", 12, 13, []archive.Store{there("a", 12), there("b", 13)}, false},
		{"one is not saved", 5, 13, []archive.Store{there("a", 19)}, false},
		{"one is not saved, and not here either", 5, -1, []archive.Store{there("a", 19)}, true},
		{"too old itself", 5, -1, []archive.Store{old}, false},
		{"of before the log", 5, -1, []archive.Store{there("a", 9)}, false},
	} {
		if got := sparesReading(map[string]standing{"a": here(c.a), "b": here(c.b)}, c.saved, now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
