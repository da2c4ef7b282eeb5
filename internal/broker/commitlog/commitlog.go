// Package commitlog keeps the record batches of one partition in files: segments of untouched batches, each with one
// sidecar that is written when the segment is full or closed and can always be made anew by reading the segment.
//
// A Log is for one writer and many readers: the caller sees to it that Append, Roll, SetStart, Replace, Checkpoint and Close
// never run at the same time as each other; everything else may run at any time from any goroutine.
//
// What is on the disk: what Append took is handed to the operating system (it survives the process) and survives a loss
// of power once a later Sync returned nil. Open finds the log as it was acknowledged: it trusts a segment up to where its
// sidecar covers it, reads what follows, and cuts off what is torn there.
package commitlog

import (
	"fmt"

	"ravenswood.dev/internal/broker/batch"
)

// A Tracker follows what the batches of a log mean beyond their bytes: who wrote them and which transactions are open.
// The log calls it in the order of offsets, from the writer only, and saves its state in the sidecars, so that a start
// reads only what came after the last one.
type Tracker interface {
	// Observe is told of every batch once it is in the log, raw as stored. For an abort marker that ends a transaction of
	// this partition it returns that transaction.
	Observe(h batch.Header, raw []byte) *Aborted
	// Snapshot is the state after the last batch observed.
	Snapshot() []byte
	// Restore takes the place of everything observed; empty is the state before the first batch. An error means that the
	// bytes are not a snapshot; the log then reads the segments before instead.
	Restore(snapshot []byte) error
}

// Aborted is a transaction that was given up: readers of committed data leave out the batches of its producer from First
// up to its marker.
type Aborted struct {
	ProducerID int64
	First      int64 // offset of its first record in this partition
	Last       int64 // offset of its abort marker
	// Stable is the last stable offset just after the marker: no transaction that was open before it is still open
	// below. A reader of a range collects entries until Stable passes the end of the range.
	Stable int64
}

// Options of a log. The zero value of a field means its default.
type Options struct {
	SegmentBytes int64 // a segment is full from here on; default 64 MiB
	IndexBytes   int   // one index entry per so many bytes; default 16 KiB
	// Tracker, if there is one.
	Tracker Tracker
	// NewTracker makes an empty tracker of the same kind, with which a lost sidecar of an old segment is made anew while
	// the log is in use. Without it such a segment cannot be read.
	NewTracker func() Tracker
	// NoSync leaves out every Sync that the log does on its own account (sealing a segment, new names), for brokers that
	// trust the operating system with the last seconds. The log's Sync then speaks for the active segment only.
	NoSync bool
}

// Recovery says what Open found and did.
type Recovery struct {
	Scanned  int64    // bytes read because no sidecar covered them
	Torn     int64    // bytes cut off the end
	TornFile string   // where
	Rebuilt  []string // sidecars that were missing or damaged and were made anew
}

// A DamageError reports stored bytes that are not what was written, in a place that was complete before. Nothing after
// it can be trusted to be in order, so the partition is fenced until somebody decides (raven doctor).
type DamageError struct {
	File     string // segment
	Position int64  // byte in the file
	Offset   int64  // offset of the batch that is expected there
	Cause    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("read %s at byte %d (offset %d): %v", e.File, e.Position, e.Offset, e.Cause)
}

// Unwrap gives the cause.
func (e *DamageError) Unwrap() error { return e.Cause }

// A RangeError reports an offset that the log does not have.
type RangeError struct{ Offset, Start, End int64 }

func (e *RangeError) Error() string {
	return fmt.Sprintf("offset %d is not in the log, which has %d up to %d", e.Offset, e.Start, e.End)
}

// A Segment is what is known of one file of the log.
type Segment struct {
	Base    int64 // offset of its first batch, which is its name
	Next    int64 // offset after its last batch
	Bytes   int64
	MaxTime int64 // largest timestamp, Unix milliseconds; -1 when it has none; math.MaxInt64 when that cannot be told
	Active  bool  // the last one, which is appended to
}

// An EpochStart says from which offset on a leader epoch wrote.
type EpochStart struct {
	Epoch int32
	First int64
}
