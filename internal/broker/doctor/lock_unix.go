//go:build unix

package doctor

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks the file as a broker does, for as long as it is open; held says that another process has it.
func tryLock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
