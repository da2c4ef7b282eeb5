package power

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"ravenswood.dev/internal/broker/disk"
)

// Watch wraps the file system of a.Root and keeps its account, which must have been begun.
func (a Account) Watch(inner disk.FS) (disk.FS, error) {
	out, err := os.OpenFile(a.File, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("watch %q: %w", a.Root, err)
	}
	return &watched{FS: inner, account: a, out: out, files: map[uint64]*content{}}, nil
}

// watched keeps the account. Each entry is one write to a file opened for appending, so entries are whole.
type watched struct {
	disk.FS
	account Account
	out     *os.File

	mu     sync.Mutex          // held over every change of names, so that their entries have their order
	number int64               // GUARDED_BY(mu)
	files  map[uint64]*content // GUARDED_BY(mu); by inode, for all that have it open
}

func (w *watched) full(name string) string {
	return filepath.Join(w.account.Root, filepath.FromSlash(name))
}

func (w *watched) note(e entry) error { return writeEntry(w.out, e) }

// noteName notes a change of names; the caller holds mu.
func (w *watched) noteName(e entry) error {
	w.number++
	e.Number = w.number
	return w.note(e)
}

func (w *watched) Open(name string, mode disk.Mode) (disk.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := inodeAt(w.full(name))
	f, err := w.FS.Open(name, mode)
	if err != nil {
		return nil, err
	}
	inode := inodeAt(w.full(name))
	if was == 0 {
		delete(w.files, inode) // the number was another's before
		if err := w.noteName(entry{Kind: created, Inode: inode, Dir: path.Dir(name), Name: path.Base(name)}); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	c, err := w.contentOf(inode, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &file{File: f, fs: w, inode: inode, content: c}, nil
}

func (w *watched) contentOf(inode uint64, f disk.File) (*content, error) {
	if c := w.files[inode]; c != nil {
		return c, nil
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	c := &content{end: size}
	w.files[inode] = c
	return c, nil
}

// bury gives a file a second name, under which it can be found again.
func (w *watched) bury(name string) (inode uint64, err error) {
	inode = inodeAt(w.full(name))
	if inode == 0 {
		return 0, nil
	}
	if info, err := os.Lstat(w.full(name)); err != nil || info.IsDir() {
		return 0, err
	}
	err = os.Link(w.full(name), w.account.buried(inode))
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return inode, err
}

func (w *watched) Rename(from, to string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, err := w.bury(to)
	if err != nil {
		return err
	}
	e := entry{Kind: renamed, Inode: inodeAt(w.full(from)), Old: old, Dir: path.Dir(to), From: path.Base(from), Name: path.Base(to)}
	if err := w.noteName(e); err != nil {
		return err
	}
	return w.FS.Rename(from, to)
}

func (w *watched) Remove(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	inode, err := w.bury(name)
	if err != nil {
		return err
	}
	if inode != 0 {
		if err := w.noteName(entry{Kind: removed, Inode: inode, Dir: path.Dir(name), Name: path.Base(name)}); err != nil {
			return err
		}
	}
	return w.FS.Remove(name)
}

func (w *watched) MkdirAll(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	parent := "."
	for part := range strings.SplitSeq(name, "/") {
		child := path.Join(parent, part)
		if inodeAt(w.full(child)) == 0 {
			if err := w.noteName(entry{Kind: made, Dir: parent, Name: part}); err != nil {
				return err
			}
		}
		parent = child
	}
	return w.FS.MkdirAll(name)
}

func (w *watched) SyncDir(dir string) error {
	w.mu.Lock()
	upto := w.number
	w.mu.Unlock()
	if err := w.FS.SyncDir(dir); err != nil {
		return err
	}
	return w.note(entry{Kind: listed, Dir: path.Clean(dir), Upto: upto})
}

// content is what all who have a file open know of it.
type content struct {
	change sync.RWMutex // a sync is never beside a truncate
	mu     sync.Mutex
	end    int64 // GUARDED_BY(mu); of what was written by calls that are over
}

func (c *content) grow(end int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = max(c.end, end)
}

func (c *content) length() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// file is an open file.
type file struct {
	disk.File
	fs      *watched
	inode   uint64
	content *content
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b, at)
	f.content.grow(at + int64(n))
	return n, err
}

func (f *file) Truncate(size int64) error {
	f.content.change.Lock()
	defer f.content.change.Unlock()
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.content.mu.Lock()
	f.content.end = size
	f.content.mu.Unlock()
	return f.fs.note(entry{Kind: truncated, Inode: f.inode, Length: size})
}

func (f *file) Sync() error {
	f.content.change.RLock()
	defer f.content.change.RUnlock()
	covered := f.content.length()
	if err := f.File.Sync(); err != nil {
		return err
	}
	return f.fs.note(entry{Kind: synced, Inode: f.inode, Length: covered})
}
