package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// full is a disk on which nothing can be written from some write on.
type full struct {
	at     int64 // the first write that fails; 0 is none
	writes atomic.Int64
}

func (f *full) String() string { return "full" }

func (f *full) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRemoveAll {
		return nil // what gives room goes
	}
	if n := f.writes.Add(1); f.at > 0 && n >= f.at {
		return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	}
	return nil
}

// TestAFullDiskLeavesSomeCommittedMoment lets the disk be full from each write on that a story of commits, loads, flushes
// and compactions does. No commit is confirmed after it, nothing panics, and what is left opens as some moment before.
func TestAFullDiskLeavesSomeCommittedMoment(t *testing.T) {
	const seed, transactions, points = 1, 16, 60
	caches := NewCaches(CacheOptions{MemtableBytes: 1, States: 1})
	defer caches.Close()
	disk := new(full)
	tellStory(t, caches, vfs.NewMem(), disk, seed, transactions)
	all := disk.writes.Load()
	if all < points {
		t.Fatalf("only %d writes: too few to disturb", all)
	}
	failed := 0
	for at := int64(1); at <= all; at += max(all/points, 1) {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			files := vfs.NewMem()
			committed, err := tellStory(t, caches, files, &full{at: at}, seed, transactions)
			if err != nil {
				failed++
				if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("the error does not say why: %v", err)
				}
			}
			if halfMade(files, caches) {
				if committed > 0 {
					t.Errorf("%d transactions were confirmed, and there is no beginning of a store", committed)
				}
				return
			}
			if got := checkMoment(t, caches, files, seed); got > committed+1 {
				t.Errorf("the store stands at transaction %d, and only %d were begun", got, committed+1)
			}
		})
	}
	if failed == 0 {
		t.Error("no story failed")
	}
}

// halfMade says whether the disk was full when the store was made: it is removed and made again.
func halfMade(files vfs.FS, caches *Caches) bool {
	s, err := Open(crashOptions(files, caches))
	if _, damaged := errors.AsType[*DamagedError](err); damaged {
		return true
	}
	if err == nil {
		_ = s.Close() // only a look
	}
	return false
}

// tellStory returns the last transaction that was confirmed.
func tellStory(t *testing.T, caches *Caches, files vfs.FS, disk *full, seed uint64, transactions int64) (committed int64, err error) {
	t.Helper()
	s, err := Open(crashOptions(errorfs.Wrap(files, disk), caches))
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }() // it may say what has failed
	for i := int64(1); i <= transactions; i++ {
		if err := writeMoment(s, seed, i); err != nil {
			return committed, err
		}
		committed = i
	}
	return committed, nil
}

// Whoever removes the folder of a store that is in use does not end the process.
func TestAFolderThatIsRemovedFailsItsStateOnly(t *testing.T) {
	caches := NewCaches(CacheOptions{MemtableBytes: 1, States: 1})
	defer caches.Close()
	opt := crashOptions(vfs.Default, caches)
	opt.Dir = t.TempDir() + "/state"
	s := openTest(t, opt)
	if err := writeMoment(s, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(opt.Dir); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := int64(2); err == nil && i < 1000; i++ {
		err = writeMoment(s, 1, i)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("commit: %v, want that the folder is not there", err)
	}
	_ = s.Close() // as it failed
	again := openTest(t, opt)
	defer again.Close()
	if at := again.Checkpoint(tableStore); at != -1 {
		t.Errorf("the new store stands at %d, want -1", at)
	}
}
