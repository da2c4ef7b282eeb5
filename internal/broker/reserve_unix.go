//go:build unix

package broker

import "golang.org/x/sys/unix"

// reserveFor is how much of the disk is held back for commits when it is full: little of a small disk.
func reserveFor(dir string) int64 {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return 0 // the default
	}
	return min(reserveMax, max(int64(fs.Bavail)*int64(fs.Bsize)/20, 64<<10)) //nolint:gosec,unconvert // types differ by system; no disk is that large
}
