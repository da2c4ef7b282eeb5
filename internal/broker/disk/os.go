package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"
)

// osFS is a directory of the operating system.
type osFS struct {
	root string
}

var _ FS = osFS{}

// OS is the directory root of the operating system, which must exist before it is used. Names cannot leave it, except
// through symbolic links that somebody with rights to the directory put there: a data directory may lie on several
// disks. Files are made with 0o640, directories with 0o750.
func OS(root string) FS { return osFS{root: root} }

func (o osFS) Open(name string, mode Mode) (File, error) {
	full, err := o.path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(full, flags(mode), 0o640) //nolint:gosec // G304: path refused what leaves the root
	if err != nil {
		return nil, err
	}
	// Reading a directory as a file fails only at the first read; say so here.
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = pathError("open", name, syscall.EISDIR)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return osFile{f}, nil
}

func flags(mode Mode) int {
	switch mode {
	case Create:
		return os.O_RDWR | os.O_CREATE
	case Write:
		return os.O_RDWR
	default:
		return os.O_RDONLY
	}
}

func (o osFS) Rename(from, to string) error {
	if err := checkRename(from, to); err != nil {
		return err
	}
	source, err := o.path("rename", from)
	if err != nil {
		return err
	}
	target, err := o.path("rename", to)
	if err != nil {
		return err
	}
	return os.Rename(source, target)
}

func (o osFS) Remove(name string) error {
	full, err := o.path("remove", name)
	if err != nil {
		return err
	}
	if name == "." {
		return pathError("remove", name, fs.ErrInvalid)
	}
	return os.Remove(full)
}

func (o osFS) MkdirAll(name string) error {
	full, err := o.path("mkdir", name)
	if err != nil {
		return err
	}
	return os.MkdirAll(full, 0o750)
}

func (o osFS) List(dir string) ([]Entry, error) {
	full, err := o.path("list", dir)
	if err != nil {
		return nil, err
	}
	found, err := os.ReadDir(full)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(found))
	for _, d := range found {
		e, err := entryOf(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed between the listing and the question for its size
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func entryOf(d fs.DirEntry) (Entry, error) {
	if d.IsDir() {
		return Entry{Name: d.Name(), Dir: true}, nil
	}
	info, err := d.Info()
	if err != nil {
		return Entry{}, err
	}
	return Entry{Name: d.Name(), Size: info.Size()}, nil
}

func (o osFS) SyncDir(dir string) error {
	full, err := o.path("sync", dir)
	if err != nil {
		return err
	}
	d, err := os.Open(full) //nolint:gosec // G304: path refused what leaves the root
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // nothing was written
	info, err := d.Stat()
	if err == nil && !info.IsDir() {
		err = pathError("sync", dir, syscall.ENOTDIR)
	}
	if err != nil {
		return err
	}
	return syncNames(d)
}

// syncNames syncs an open directory. Windows has no such call; NTFS keeps changes of names in its own journal.
func syncNames(d *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return d.Sync()
}

// path is the place of a name in the operating system.
func (o osFS) path(op, name string) (string, error) {
	if err := checkName(op, name); err != nil {
		return "", err
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", pathError(op, name, err)
	}
	return filepath.Join(o.root, local), nil
}

// osFile is an open file of the operating system.
type osFile struct {
	*os.File
}

var _ File = osFile{}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// checkName refuses a name that is not a plain path below the root.
func checkName(op, name string) error {
	if !fs.ValidPath(name) {
		return pathError(op, name, fs.ErrInvalid)
	}
	return nil
}

// checkRename refuses a move from one directory to another: no sync of a directory could make both halves durable at
// once.
func checkRename(from, to string) error {
	if err := checkName("rename", from); err != nil {
		return err
	}
	if err := checkName("rename", to); err != nil {
		return err
	}
	if from == "." || to == "." || path.Dir(from) != path.Dir(to) {
		return fmt.Errorf("rename %q to %q: %w", from, to, fs.ErrInvalid)
	}
	return nil
}

func pathError(op, name string, cause error) error {
	return &fs.PathError{Op: op, Path: name, Err: cause}
}
