// Package file is the spout that reads lines, JSON lines and CSV from files, and the sink that writes JSON lines into
// files, both exactly once.
//
// A spout belongs to one goroutine. A sink's methods may be called from any goroutine for different partitions at the
// same time, and several processes may use the same folder: a lock per partition and a position that is compared before
// each write keep them apart.
//
// Do not assume that a spout notices a file that is changed in the middle, or that the newest file of a sink is whole:
// after a crash it may end in a part of a delivery until the sink opens it again. All older files are final.
package file

import (
	_ "embed"
)

//go:embed spout.md
var spoutDoc string

//go:embed sink.md
var sinkDoc string
