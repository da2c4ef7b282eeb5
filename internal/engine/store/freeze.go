package store

import (
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// freezing is the files of one database, up to the first change that fails: a disk is full, a folder was removed. From then
// on nothing is changed any more, as if the power had gone, while the database goes on as if nothing had happened: what it
// makes is in memory, until its State is closed. Whoever opens the folder again finds what a crash would have left.
//
// Without it such a failure ends the process in a way that cannot be caught: Pebble panics with its locks given up when it
// can't make a log, and in goroutines of its own when it can't write to its manifest.
//
// It may be used by any goroutine.
type freezing struct {
	vfs.FS
	dir    string
	frozen atomic.Pointer[error] // what failed first
	mu     sync.Mutex
	after  *vfs.MemFS // made since; GUARDED_BY(mu)
}

func newFreezing(files vfs.FS, dir string) *freezing { return &freezing{FS: files, dir: dir} }

// err is what failed first, nil while everything can be written.
func (f *freezing) err() error {
	if err := f.frozen.Load(); err != nil {
		return *err
	}
	return nil
}

// freeze ends all changes.
func (f *freezing) freeze(err error) { f.frozen.CompareAndSwap(nil, &err) }

// memory gives the files that were made since; nil if nothing has failed.
func (f *freezing) memory() *vfs.MemFS {
	if f.frozen.Load() == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after == nil {
		f.after = vfs.NewMem()
		_ = f.after.MkdirAll(f.dir, 0o755) // in memory
	}
	return f.after
}

// change does something to the disk, or to memory if that can't be.
func (f *freezing) change(disk func() error, memory func(*vfs.MemFS) error) error {
	if m := f.memory(); m != nil {
		return memory(m)
	}
	err := disk()
	if err == nil {
		return nil
	}
	f.freeze(err)
	return memory(f.memory())
}

// made is change for what gives a file.
func (f *freezing) made(name string, disk func() (vfs.File, error), memory func(*vfs.MemFS) (vfs.File, error)) (file vfs.File, err error) {
	err = f.change(func() error {
		real, err := disk()
		if err == nil {
			file = f.file(name, real)
		}
		return err
	}, func(m *vfs.MemFS) (err error) {
		file, err = memory(m)
		return err
	})
	return file, err
}

func (f *freezing) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.made(name, func() (vfs.File, error) { return f.FS.Create(name, category) },
		func(m *vfs.MemFS) (vfs.File, error) { return m.Create(name, category) })
}

func (f *freezing) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.made(name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, category) },
		func(m *vfs.MemFS) (vfs.File, error) { return m.Create(name, category) })
}

func (f *freezing) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.made(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) },
		func(m *vfs.MemFS) (vfs.File, error) { return m.OpenReadWrite(name, category, opts...) })
}

func (f *freezing) Link(old, name string) error {
	return f.change(func() error { return f.FS.Link(old, name) }, func(m *vfs.MemFS) error { return m.Link(old, name) })
}

func (f *freezing) Rename(old, name string) error {
	return f.change(func() error { return f.FS.Rename(old, name) }, func(m *vfs.MemFS) error { return m.Rename(old, name) })
}

func (f *freezing) MkdirAll(dir string, perm os.FileMode) error {
	return f.change(func() error { return f.FS.MkdirAll(dir, perm) }, func(m *vfs.MemFS) error { return m.MkdirAll(dir, perm) })
}

// Remove leaves everything that is on disk: the manifest there may need it.
func (f *freezing) Remove(name string) error {
	m := f.memory()
	if m == nil {
		return f.FS.Remove(name)
	}
	if _, err := m.Stat(name); err != nil {
		return nil
	}
	return m.Remove(name)
}

func (f *freezing) RemoveAll(name string) error {
	if f.memory() != nil {
		return nil
	}
	return f.FS.RemoveAll(name)
}

func (f *freezing) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if m := f.memory(); m != nil {
		if file, err := m.Open(name, opts...); err == nil {
			return file, nil
		}
	}
	return f.FS.Open(name, opts...)
}

func (f *freezing) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		if m := f.memory(); m != nil {
			return m.OpenDir(name)
		}
		return nil, err
	}
	return &freezingFile{File: dir, files: f, silent: true}, nil
}

func (f *freezing) Stat(name string) (vfs.FileInfo, error) {
	if m := f.memory(); m != nil {
		if info, err := m.Stat(name); err == nil {
			return info, nil
		}
	}
	return f.FS.Stat(name)
}

func (f *freezing) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if m := f.memory(); m != nil {
		made, _ := m.List(dir)
		return append(names, made...), nil
	}
	return names, err
}

func (f *freezing) Unwrap() vfs.FS { return f.FS }

func (f *freezing) file(name string, real vfs.File) vfs.File {
	base := f.PathBase(name)
	return &freezingFile{File: real, files: f, silent: strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-")}
}

// freezingFile is a file on disk. Nobody reads a log or a manifest again before the folder is opened anew, so what can't be
// written there is passed over in silence; others fail, and what was to be in them is made again, in memory.
type freezingFile struct {
	vfs.File
	files  *freezing
	silent bool
}

// write does something that must not be done, or may fail.
func (f *freezingFile) write(to func() error) error {
	if f.files.err() == nil {
		err := to()
		if err == nil {
			return nil
		}
		f.files.freeze(err)
	}
	if f.silent {
		return nil
	}
	return &fs.PathError{Op: "write", Path: f.files.dir, Err: f.files.err()}
}

func (f *freezingFile) Write(p []byte) (n int, err error) {
	err = f.write(func() error { _, err := f.File.Write(p); return err })
	return written(p, err), err
}

func (f *freezingFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.write(func() error { _, err := f.File.WriteAt(p, at); return err })
	return written(p, err), err
}

func written(p []byte, err error) int {
	if err != nil {
		return 0
	}
	return len(p)
}

func (f *freezingFile) Preallocate(offset, length int64) error {
	return f.write(func() error { return f.File.Preallocate(offset, length) })
}

func (f *freezingFile) Sync() error { return f.write(f.File.Sync) }

func (f *freezingFile) SyncData() error { return f.write(f.File.SyncData) }

func (f *freezingFile) SyncTo(length int64) (full bool, err error) {
	err = f.write(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close is done in any case: the handle is the process's.
func (f *freezingFile) Close() error {
	err := f.File.Close()
	if err == nil || f.files.err() != nil {
		return nil
	}
	return f.write(func() error { return err })
}
