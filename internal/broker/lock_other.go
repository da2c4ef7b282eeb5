//go:build !unix

package broker

import (
	"errors"
	"os"
)

// tryLock refuses: without a lock two processes could write one log.
func tryLock(*os.File) (held bool, err error) {
	return false, errors.New("this system has no lock that the embedded broker can use")
}
