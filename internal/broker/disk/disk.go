// Package disk is the broker's only way to files: a small file system interface with the operations a log needs, its
// implementation by the operating system, one in memory that can lose power, and one that fails when told to.
//
// Every method may be called from any goroutine. What a caller must not assume: a write is on the disk only after Sync
// of that file returned nil, and a name (created, renamed, removed) only after SyncDir of its directory did. Memory takes
// this at its word: after a power loss it keeps any part of what was not synced, in any order.
package disk

import "io"

// A File is an open file. Offsets are bytes from its beginning. Errors are those of the os package (fs.ErrNotExist,
// syscall.ENOSPC and so on, to be asked for with errors.Is).
type File interface {
	io.ReaderAt
	io.WriterAt
	// Truncate sets the length of the file.
	Truncate(size int64) error
	// Sync returns when everything written before the call survives a loss of power. After an error nothing is known
	// about what was written since the last success, and a second Sync would lie: give the file up.
	Sync() error
	// Size is the length of the file now.
	Size() (int64, error)
	// Close gives the file back. It does not sync.
	Close() error
}

// A Mode says how a file is opened.
type Mode int

// The ways to open a file.
const (
	Read   Mode = iota // must exist, reads only
	Write              // must exist, reads and writes
	Create             // made if it is not there, else as it is; reads and writes
)

// FS is a file system. Names are slash-separated paths relative to the root that the FS was made for; "." is the root.
// Names as fs.ValidPath has them; others are refused with fs.ErrInvalid.
type FS interface {
	Open(name string, mode Mode) (File, error)
	// Rename puts a file under another name of the same directory, in the place of what has it, at once or not at all.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// MkdirAll makes a directory with its parents; it is no error if it is there. The names are synced by SyncDir of
	// each parent.
	MkdirAll(name string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]Entry, error)
	// SyncDir makes the names in a directory survive a loss of power.
	SyncDir(dir string) error
}

// An Entry is a name in a directory.
type Entry struct {
	Name string
	Dir  bool
	Size int64 // bytes; zero for a directory
}
