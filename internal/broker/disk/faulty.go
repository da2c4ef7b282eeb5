package disk

import (
	"path"
	"sync"
	"syscall"
)

// A Fault says which operations of a Faulty fail.
type Fault struct {
	Kind Kind
	// Name is a pattern of path.Match for the name or the last part of it; empty: every name. A renamed file goes by the
	// name that it was opened with, a rename by either of its names.
	Name string
	// After is what still succeeds: bytes of OpWrite, calls of every other kind. A write that reaches the end of them is
	// done in part.
	After int64
	// Times is how many calls fail before the fault heals by itself. Zero: all, until it is healed.
	Times int
	// Err is the cause of the failure. Nil: ENOSPC for OpCreate, OpWrite and OpMkdir, EIO for the others.
	Err error
}

// Faulty is a file system that fails when told to and counts what is asked of it.
type Faulty struct {
	fs FS

	mu     sync.Mutex
	faults []*fault     // GUARDED_BY(mu)
	counts [kinds]int64 // GUARDED_BY(mu)
	bytes  int64        // GUARDED_BY(mu)
}

var _ FS = (*Faulty)(nil)

// fault is a Fault with what has happened to it.
type fault struct {
	Fault

	left   int64 // of After
	failed int
}

// NewFaulty returns a file system that does what fs does, until told to fail.
func NewFaulty(fs FS) *Faulty { return &Faulty{fs: fs} }

// Fail adds a fault and returns how to heal it. An operation counts against all faults that match it, oldest first, up to
// the first that makes it fail.
func (f *Faulty) Fail(what Fault) (heal func()) {
	added := &fault{Fault: what, left: what.After}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, added)
	return func() { f.drop(added) }
}

// Heal ends all faults.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Count is how many operations of a kind were asked for, failed ones too.
func (f *Faulty) Count(kind Kind) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[kind]
}

// Written is how many bytes were written.
func (f *Faulty) Written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

// Open is FS.Open.
func (f *Faulty) Open(name string, mode Mode) (File, error) {
	kind := OpOpen
	if mode == Create && !f.exists(name) {
		kind = OpCreate
	}
	if err := f.check(kind, name); err != nil {
		return nil, err
	}
	file, err := f.fs.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f, name: name}, nil
}

// exists tells whether Open with Create would make a file.
func (f *Faulty) exists(name string) bool {
	file, err := f.fs.Open(name, Read)
	if err != nil {
		return false
	}
	return file.Close() == nil
}

// Rename is FS.Rename.
func (f *Faulty) Rename(from, to string) error {
	if err := f.check(OpRename, from, to); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

// Remove is FS.Remove.
func (f *Faulty) Remove(name string) error {
	if err := f.check(OpRemove, name); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// MkdirAll is FS.MkdirAll; it counts as one operation.
func (f *Faulty) MkdirAll(name string) error {
	if err := f.check(OpMkdir, name); err != nil {
		return err
	}
	return f.fs.MkdirAll(name)
}

// List is FS.List.
func (f *Faulty) List(dir string) ([]Entry, error) {
	if err := f.check(OpList, dir); err != nil {
		return nil, err
	}
	return f.fs.List(dir)
}

// SyncDir is FS.SyncDir.
func (f *Faulty) SyncDir(dir string) error {
	if err := f.check(OpSyncDir, dir); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

// check counts an operation and says whether it fails.
func (f *Faulty) check(kind Kind, names ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[kind]++
	_, err := f.admit(kind, 1, names)
	return err
}

// write counts a write and says how many of its bytes succeed.
func (f *Faulty) write(name string, size int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[OpWrite]++
	n, err := f.admit(OpWrite, int64(size), []string{name})
	f.bytes += n
	return int(n), err
}

// admit is how much of an operation of a size succeeds. The caller holds f.mu.
func (f *Faulty) admit(kind Kind, size int64, names []string) (int64, error) {
	for i, t := range f.faults {
		if t.Kind != kind || !t.matches(names) {
			continue
		}
		if t.left >= size {
			t.left -= size
			continue
		}
		done := t.left
		t.left = 0
		t.failed++
		if t.failed == t.Times {
			f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
		}
		return done, pathError(kind.String(), names[0], t.cause())
	}
	return size, nil
}

func (f *Faulty) drop(gone *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, t := range f.faults {
		if t == gone {
			f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
			return
		}
	}
}

func (t *fault) matches(names []string) bool {
	for _, name := range names {
		if t.Name == "" || glob(t.Name, name) || glob(t.Name, path.Base(name)) {
			return true
		}
	}
	return false
}

func glob(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func (t *fault) cause() error {
	if t.Err != nil {
		return t.Err
	}
	switch t.Kind {
	case OpCreate, OpWrite, OpMkdir:
		return syscall.ENOSPC
	default:
		return syscall.EIO
	}
}

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	File

	fs   *Faulty
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	allowed, refused := f.fs.write(f.name, len(p))
	if refused == nil {
		return f.File.WriteAt(p, off)
	}
	if allowed == 0 {
		return 0, refused
	}
	n, err := f.File.WriteAt(p[:allowed], off)
	if err != nil {
		return n, err
	}
	return n, refused
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.check(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.check(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}
