package commitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"ravenswood.dev/internal/broker/disk"
)

// Endings of the names in the directory of a log.
const (
	logEnd       = ".log"
	sealEnd      = ".seal"
	cleanEnd     = ".clean"
	cleanSealEnd = ".clean.seal"
	tmpEnd       = ".tmp"
	swapName     = "swap"
	baseDigits   = 20
)

// file is the name of a file of this log.
func (l *Log) file(base int64, end string) string { return path.Join(l.dir, baseName(base)+end) }

func (l *Log) named(name string) string { return path.Join(l.dir, name) }

func baseName(base int64) string { return fmt.Sprintf("%0*d", baseDigits, base) }

// parseName is the base offset in a name with that ending.
func parseName(name, end string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, end)
	if !ok || len(digits) != baseDigits {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 10, 63)
	return int64(base), err == nil
}

// readFile reads a whole file of at most limit bytes.
func readFile(d disk.FS, name string, limit int64) ([]byte, error) {
	f, err := d.Open(name, disk.Read)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%w: read %q: it has %d bytes", errSeal, name, size)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if n == len(b) || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// writeFile puts bytes under a name at once: written beside, synced, renamed, and the name synced.
func (l *Log) writeFile(name string, b []byte) error {
	tmp := name + tmpEnd
	if err := l.writeTemporary(tmp, b); err != nil {
		_ = l.fs.Remove(tmp) // what failed counts; Open removes it as well
		return err
	}
	if err := l.fs.Rename(tmp, name); err != nil {
		return err
	}
	return l.syncDir()
}

func (l *Log) writeTemporary(name string, b []byte) error {
	f, err := l.fs.Open(name, disk.Create)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := l.syncFile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// syncFile syncs a file unless the log was told not to. An error breaks the log: the system may have dropped what it could
// not write, and asking again would be answered with success.
func (l *Log) syncFile(f disk.File) error {
	if l.o.NoSync {
		return nil
	}
	return l.breakOn(f.Sync())
}

func (l *Log) syncDir() error {
	if l.o.NoSync {
		return nil
	}
	return l.breakOn(l.fs.SyncDir(l.dir))
}

// remove removes a file that may be gone already.
func remove(d disk.FS, name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
