package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// ErrClosed says that a State was used after Close.
var ErrClosed = errors.New("the state is closed")

// ForeignError says that a directory holds something else than the state asked for. It is not touched.
type ForeignError struct {
	Dir    string
	Reason string
}

func (e *ForeignError) Error() string { return fmt.Sprintf("open state %q: %s", e.Dir, e.Reason) }

// DamagedError says that files of a state are damaged or missing. Nothing is lost: what it held is in the changelogs.
// Remove the directory, open it again and restore.
type DamagedError struct {
	Dir string
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("state %q is damaged and must be removed and restored from the log: %v", e.Dir, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// damage makes a DamagedError of what Pebble says about unreadable files, and leaves other errors as they are: a full
// disk or a missing right is not cured by removing anything.
func damage(dir string, err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, pebble.ErrDBNotPristine) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errLayout) {
		return &DamagedError{Dir: dir, Err: err}
	}
	return err
}

// logger gives Pebble's messages to slog.
type logger struct{ log *slog.Logger }

func (l logger) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf must not return: Pebble says so of writes that failed halfway. In a commit the panic becomes the State's error;
// in Pebble's own goroutines it ends the process, after which the log has what is missing.
func (l logger) Fatalf(format string, args ...any) {
	err := fatal(fmt.Sprintf(format, args...))
	l.log.Error("a state can't be written any more", "err", err)
	panic(err)
}

// fatal is an error after which a database must not be touched.
type fatal string

func (f fatal) Error() string { return string(f) }

func recoverFatal(errs ...*error) {
	switch f := recover().(type) {
	case nil:
	case fatal:
		for _, err := range errs {
			*err = f
		}
	default:
		panic(f)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
