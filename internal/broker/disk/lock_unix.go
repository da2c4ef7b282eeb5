//go:build unix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// TryLock locks the file for as long as it is open; held says that another process has it.
func TryLock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
