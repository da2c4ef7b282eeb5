//go:build !unix

package doctor

import (
	"errors"
	"os"
)

// tryLock refuses: without a lock a broker could write what is being read.
func tryLock(*os.File) (held bool, err error) {
	return false, errors.New("this system has no lock that the embedded broker can use")
}
