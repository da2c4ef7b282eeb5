package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ravenswood.dev/internal/broker/disk"
)

var errState = errors.New("no state")

// faulty is an open journal with one synced entry, on file systems that fail.
func faulty(t *testing.T) (*disk.Memory, *disk.Faulty, *Journal) {
	t.Helper()
	m := disk.NewMemory()
	f := disk.NewFaulty(m)
	j, _, _ := reopened(t, f, Options{})
	must(t, j.Append(1, 1, []byte("first")))
	must(t, j.Sync())
	return m, f, j
}

func appendText(j *Journal, text string) error { return j.Append(1, 1, []byte(text)) }

// has compares what a start finds after a kill.
func has(t *testing.T, m *disk.Memory, want ...string) {
	t.Helper()
	_, _, got := reopened(t, m.Kill(), Options{})
	for i := range want {
		want[i] = "1.1 " + want[i]
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func wants(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFullDiskLeavesNothingHalf(t *testing.T) {
	m, f, j := faulty(t)
	for room := range int64(40) {
		heal := f.Fail(disk.Fault{Kind: disk.OpWrite, After: room})
		wants(t, appendText(j, "refused"), syscall.ENOSPC)
		heal()
		has(t, m, "first")
	}
	must(t, appendText(j, "second"))
	must(t, j.Close())
	has(t, m, "first", "second")
}

func TestAnEntryThatCannotBeCutOffBreaksTheJournal(t *testing.T) {
	m, f, j := faulty(t)
	f.Fail(disk.Fault{Kind: disk.OpWrite, After: 10})
	f.Fail(disk.Fault{Kind: disk.OpTruncate})
	wants(t, appendText(j, "half"), syscall.ENOSPC)
	f.Heal()
	wants(t, appendText(j, "refused"), syscall.EIO)
	wants(t, j.Checkpoint(func(Add) error { return nil }), syscall.EIO)
	must(t, j.Close())
	has(t, m, "first")
	j, r, _ := reopened(t, m, Options{})
	if r.Cut != 10 {
		t.Errorf("%+v", r)
	}
	must(t, appendText(j, "second"))
	has(t, m, "first", "second")
}

func TestAFailedSyncStays(t *testing.T) {
	_, f, j := faulty(t)
	must(t, appendText(j, "second"))
	f.Fail(disk.Fault{Kind: disk.OpSync, Times: 1})
	for range 3 {
		wants(t, j.Sync(), syscall.EIO)
		wants(t, appendText(j, "refused"), syscall.EIO)
		wants(t, j.Checkpoint(func(Add) error { return nil }), syscall.EIO)
	}
	must(t, j.Close())
	wants(t, appendText(j, "refused"), ErrClosed)
}

func TestAFailedCheckpointChangesNothing(t *testing.T) {
	for name, fault := range map[string]disk.Fault{
		"created":   {Kind: disk.OpCreate},
		"emptied":   {Kind: disk.OpTruncate},
		"written":   {Kind: disk.OpWrite, After: 20},
		"synced":    {Kind: disk.OpSync},
		"renamed":   {Kind: disk.OpRename},
		"the state": {Kind: disk.OpList}, // does not happen: state itself fails
	} {
		for what, also := range map[string][]disk.Fault{"": nil, ", and stays": {{Kind: disk.OpRemove}}} {
			t.Run(name+what, func(t *testing.T) { failCheckpoint(t, append(also, fault)) })
		}
	}
}

func failCheckpoint(t *testing.T, faults []disk.Fault) {
	m, f, j := faulty(t)
	for _, fault := range faults {
		f.Fail(fault)
	}
	err := j.Checkpoint(func(add Add) error {
		if faults[len(faults)-1].Kind == disk.OpList {
			return errState
		}
		return add(1, 1, []byte("state"))
	})
	if err == nil || !strings.HasPrefix(err.Error(), `checkpoint journal "journal": `) ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	f.Heal()
	has(t, m, "first")
	must(t, appendText(j, "second"))
	must(t, j.Sync())
	has(t, m, "first", "second")
	must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte("state")) }))
	must(t, j.Close())
	has(t, m, "state")
	files(t, m, "00000000000000000002.journal")
}

func files(t *testing.T, fs disk.FS, want ...string) {
	t.Helper()
	entries, err := fs.List("journal")
	must(t, err)
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Name)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// TestACheckpointOfUncertainNameBreaksTheJournal: nobody can say which file a start will find.
func TestACheckpointOfUncertainNameBreaksTheJournal(t *testing.T) {
	_, f, j := faulty(t)
	f.Fail(disk.Fault{Kind: disk.OpSyncDir, Times: 1})
	wants(t, j.Checkpoint(func(Add) error { return nil }), syscall.EIO)
	wants(t, appendText(j, "refused"), syscall.EIO)
	wants(t, j.Sync(), nil) // all that was appended had been synced
	must(t, j.Close())
}

func TestLeftoversAreRemoved(t *testing.T) {
	m, f, j := faulty(t)
	f.Fail(disk.Fault{Kind: disk.OpRemove})
	for _, state := range []string{"a", "b"} {
		must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte(state)) }))
	}
	must(t, appendText(j, "more"))
	must(t, j.Sync())
	for _, name := range []string{"00000000000000000004.journal.tmp", "notes", "7.journal", "x.journal"} {
		_, err := m.Open("journal/"+name, disk.Create)
		must(t, err)
	}
	has(t, m, "b", "more")
	left := m.Kill()
	reopened(t, left, Options{})
	files(t, left, "00000000000000000003.journal", "7.journal", "notes", "x.journal")

	f.Heal()
	must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte("c")) }))
	must(t, j.Close())
	files(t, m, "00000000000000000004.journal", "7.journal", "notes", "x.journal")
}

func TestAnOldFileStaysUntilTheNewOneIsRead(t *testing.T) {
	m, f, j := faulty(t)
	f.Fail(disk.Fault{Kind: disk.OpRemove})
	must(t, j.Checkpoint(func(add Add) error { return add(1, 1, []byte("state")) }))
	must(t, j.Close())
	overwrite(t, m, "journal/00000000000000000002.journal", 10, 0xff)
	if _, err := replay(m); !errors.As(err, new(*DamageError)) {
		t.Errorf("got %v", err)
	}
	files(t, m, "00000000000000000001.journal", "00000000000000000002.journal")
}

func TestAReadErrorIsNoTear(t *testing.T) {
	m, f, j := faulty(t)
	must(t, j.Close())
	f.Fail(disk.Fault{Kind: disk.OpRead})
	before := size(t, m, firstFile)
	_, err := replay(f)
	wants(t, err, syscall.EIO)
	if size(t, m, firstFile) != before {
		t.Error("the file was cut")
	}
}

func TestOpenSaysWhatFailed(t *testing.T) {
	for _, kind := range []disk.Kind{
		disk.OpMkdir, disk.OpList, disk.OpCreate, disk.OpWrite, disk.OpSync, disk.OpRename, disk.OpSyncDir,
	} {
		f := disk.NewFaulty(disk.NewMemory())
		f.Fail(disk.Fault{Kind: kind, Err: fs.ErrPermission})
		_, err := Open(f, "journal", Options{})
		if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), `open journal "journal": `) {
			t.Errorf("%v: %v", kind, err)
		}
		f.Heal()
		reopened(t, f, Options{})
	}
}

func TestReplayComesOnceAndFirst(t *testing.T) {
	j, err := Open(disk.NewMemory(), "journal", Options{})
	must(t, err)
	wants(t, appendText(j, "early"), ErrNotReplayed)
	wants(t, j.Sync(), ErrNotReplayed)
	wants(t, j.Checkpoint(func(Add) error { return nil }), ErrNotReplayed)
	none := func(uint16, uint16, []byte) error { return nil }
	_, err = j.Replay(none)
	must(t, err)
	_, err = j.Replay(none)
	wants(t, err, ErrReplayed)
	must(t, j.Close())
	must(t, j.Close())
	_, err = j.Replay(none)
	wants(t, err, ErrClosed)
}

func TestReplayStopsAtTheReadersError(t *testing.T) {
	m := written(t, 3, []byte("x"))
	before := size(t, m, firstFile)
	j, err := Open(m, "journal", Options{})
	must(t, err)
	calls := 0
	_, err = j.Replay(func(uint16, uint16, []byte) error { calls++; return errState })
	wants(t, err, errState)
	wants(t, appendText(j, "refused"), errState)
	must(t, j.Close())
	if calls != 1 || size(t, m, firstFile) != before {
		t.Errorf("%d calls, %d bytes", calls, size(t, m, firstFile))
	}
}

// TestSyncsShareTheWork: those that wait while another one syncs need one more sync together.
func TestSyncsShareTheWork(t *testing.T) {
	m := disk.NewMemory()
	f := disk.NewFaulty(m)
	s := &slowSync{FS: f}
	j, _, _ := reopened(t, s, Options{})
	must(t, appendText(j, "first"))
	before := f.Count(disk.OpSync)
	var started, done sync.WaitGroup
	var once sync.Once
	s.meanwhile = func() {
		once.Do(func() {
			for i := range 20 {
				started.Add(1)
				done.Go(func() {
					err := appendText(j, fmt.Sprint(i))
					started.Done()
					if err = errors.Join(err, j.Sync()); err != nil {
						t.Error(err)
					}
				})
			}
			started.Wait()
		})
	}
	must(t, j.Sync())
	done.Wait()
	if got := f.Count(disk.OpSync) - before; got > 2 {
		t.Errorf("%d syncs", got)
	}
}

func TestManyAppendAndSyncAtOnce(t *testing.T) {
	m := disk.NewMemory()
	j, _, _ := reopened(t, m, Options{})
	var wg sync.WaitGroup
	for g := range uint16(8) {
		wg.Go(func() {
			for i := range uint16(50) {
				if err := errors.Join(j.Append(1+g, i, nil), j.Sync()); err != nil {
					t.Error(err)
				}
				_ = j.Bytes()
			}
		})
	}
	wg.Wait()
	next := map[uint16]uint16{}
	j, err := Open(m.Kill(), "journal", Options{})
	must(t, err)
	r, err := j.Replay(func(kind, version uint16, _ []byte) error {
		if version != next[kind] {
			t.Errorf("kind %d: %d instead of %d", kind, version, next[kind])
		}
		next[kind]++
		return nil
	})
	must(t, err)
	if r.Entries != 400 {
		t.Errorf("%+v", r)
	}
}
