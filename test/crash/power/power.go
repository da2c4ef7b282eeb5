// Package power plays a loss of power on real files, for a process that is killed: it keeps account, outside that
// process, of what was synced, and afterwards takes away or damages what was not.
//
// Watch wraps a file system in the process that will die; every entry of the account is written before the caller
// hears of what it stands for. Lose is for the process that lives on, when the other is dead: it mends the account with
// what lies on the disk. A watched file system is as safe for concurrent use as the one it wraps; Lose must be alone.
//
// What must not be assumed: not every state that a real loss could leave is played. A file keeps its durable bytes and
// any part of the rest, but bytes that were synced and overwritten since stay as they are, a truncate is never taken
// back, and a directory that was removed does not come back. disk.Memory plays those.
package power

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Account says where the account of a directory is kept. None of it may lie in that directory.
type Account struct {
	Root  string // the directory whose files are watched
	File  string // entries, one JSON object on a line
	Grave string // what was removed or replaced and could come back; on the same file system as Root
}

// kind says what an entry means.
type kind string

const (
	created   kind = "created"   // a file has a name that is not durable, and nothing in it is
	synced    kind = "synced"    // the first Length bytes of a file are durable
	truncated kind = "truncated" // what lies behind Length is not
	renamed   kind = "renamed"   // is about to be: From to Name; Old had that name before and lies in the grave
	removed   kind = "removed"   // is about to be: the file lies in the grave
	made      kind = "made"      // a directory
	listed    kind = "listed"    // the changes of names in Dir up to number Upto are durable
)

// entry is one line of the account. A file is known by its inode: that stays when its name changes.
type entry struct {
	Kind   kind   `json:"kind"`
	Inode  uint64 `json:"inode,omitempty"`
	Length int64  `json:"length,omitempty"`
	Number int64  `json:"number,omitempty"` // of a change of names
	Dir    string `json:"dir,omitempty"`
	Name   string `json:"name,omitempty"`
	From   string `json:"from,omitempty"`
	Old    uint64 `json:"old,omitempty"`
	Upto   int64  `json:"upto,omitempty"`
}

// Begin makes the account anew: all that is in the directory now is durable. It makes the directory's grave.
func (a Account) Begin() error {
	if err := errors.Join(os.RemoveAll(a.Grave), os.MkdirAll(a.Grave, 0o750)); err != nil {
		return fmt.Errorf("begin account of %q: %w", a.Root, err)
	}
	file, err := os.Create(a.File)
	if err != nil {
		return fmt.Errorf("begin account of %q: %w", a.Root, err)
	}
	out := bufio.NewWriter(file)
	err = eachFile(a.Root, func(path string, info fs.FileInfo) error {
		return writeEntry(out, entry{Kind: synced, Inode: inodeOf(info), Length: info.Size()})
	})
	return errors.Join(err, out.Flush(), file.Close())
}

func writeEntry(w io.Writer, e entry) error {
	line, _ := json.Marshal(e) // plain numbers and text
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write account: %w", err)
	}
	return nil
}

// eachFile visits the files of a directory; none if it is not there.
func eachFile(root string, visit func(path string, info fs.FileInfo) error) error {
	err := filepath.Walk(root, func(path string, info fs.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		return visit(path, info)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func inodeOf(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// inodeAt is the inode of a path, 0 if there is nothing.
func inodeAt(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return inodeOf(info)
}

func (a Account) buried(inode uint64) string { return filepath.Join(a.Grave, fmt.Sprint(inode)) }
