package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ravenswood.dev/internal/broker/disk"
)

// Directory is the options for a data directory of the operating system.
func Directory(dir string) Options {
	return Options{Files: disk.OS(dir), Lock: Lock(dir)}
}

// A RunningError says that a process has the data directory open.
type RunningError struct {
	Dir     string `json:"-"`
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (e *RunningError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("examine data directory %q: a broker has it open", e.Dir)
	}
	return fmt.Sprintf("examine data directory %q: %q (pid %d) has it open", e.Dir, e.Command, e.PID)
}

// ErrNoData says that a directory is not one of a broker.
var ErrNoData = errors.New("no broker has kept its log there")

// The files by which a directory of a broker is known, and the largest of what is read of them.
const (
	markerFile    = "raven-broker.json"
	ownerFile     = "owner.json"
	ownerBytesMax = 1 << 16
)

// Lock makes a lock for Options of a data directory: the one that a broker takes. It changes no file. A directory that is none of
// a broker is ErrNoData, one in use a *RunningError.
func Lock(dir string) func() (release func() error, err error) {
	return func() (func() error, error) {
		if _, err := os.Stat(filepath.Join(dir, markerFile)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = ErrNoData
			}
			return nil, fmt.Errorf("examine data directory %q: %w", dir, err)
		}
		f, err := os.OpenFile(filepath.Join(dir, ownerFile), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return func() error { return nil }, nil // no broker has come so far as to lock it
		}
		if err != nil {
			return nil, fmt.Errorf("examine data directory %q: %w", dir, err)
		}
		held, err := disk.TryLock(f)
		if err == nil && !held {
			return f.Close, nil
		}
		defer f.Close()
		if err != nil {
			return nil, fmt.Errorf("examine data directory %q: lock %s: %w", dir, ownerFile, err)
		}
		return nil, owner(dir, f)
	}
}

// owner reads who has the lock, as far as it says so.
func owner(dir string, f *os.File) error {
	running := &RunningError{Dir: dir}
	raw, err := io.ReadAll(io.LimitReader(f, ownerBytesMax))
	if err == nil {
		_ = json.Unmarshal(raw, running) // a text that is being written says nothing yet
	}
	return running
}
