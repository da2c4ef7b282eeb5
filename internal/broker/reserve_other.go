//go:build !unix

package broker

// reserveFor is how much of the disk is held back for commits when it is full.
func reserveFor(string) int64 { return reserveMax }
