//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// inode is the number by which a file is known whatever its name.
func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// lock keeps other processes out for the length of a delivery. The kernel lets go of it when its owner dies.
type lock struct{ file *os.File }

func openLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &lock{f}, nil
}

// acquire waits for the lock. It asks again and again, since a blocking flock could not be given up.
func (l *lock) acquire(ctx context.Context) error {
	for {
		err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %q: %w", l.file.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock %q, which another process holds: %w", l.file.Name(), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (l *lock) release() { _ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) }

func (l *lock) close() { _ = l.file.Close() }
