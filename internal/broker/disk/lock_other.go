//go:build !unix

package disk

import (
	"errors"
	"os"
)

// TryLock refuses: without a lock two processes could write one log, or one could write what the other reads.
func TryLock(*os.File) (held bool, err error) {
	return false, errors.New("this system has no lock that the embedded broker can use")
}
