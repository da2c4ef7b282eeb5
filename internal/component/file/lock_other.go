//go:build !unix

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// inode is not known here: a file that is followed is found again by its name and beginning only.
func inode(os.FileInfo) uint64 { return 0 }

type lock struct{}

// openLock refuses: without a lock that ends with its owner two processes could write one file.
func openLock(path string) (*lock, error) {
	return nil, fmt.Errorf("lock %q: %w on this system", path, errors.ErrUnsupported)
}

func (*lock) acquire(context.Context) error { return errors.ErrUnsupported }
func (*lock) release()                      {}
func (*lock) close()                        {}
