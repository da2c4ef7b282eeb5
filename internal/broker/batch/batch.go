// Package batch reads and makes Kafka record batches of format 2 where they lie: the header is read in place, records
// are walked without copying, and the bytes that a producer sent are what a consumer gets.
//
// All functions are pure and may be called from any goroutine. Bytes come from strangers: nothing here trusts a length,
// and inflating is bounded by the caller.
//
// What must not be assumed: that a header which Parse accepts belongs to a whole batch, that a whole batch is an
// undamaged one (Check), or that an undamaged one has the records that its header counts (Validate, Records). Slices in
// a Record point into the batch or into what it was inflated to.
package batch

import (
	"errors"
	"time"
)

// HeaderBytes is the size of a batch without records.
const HeaderBytes = 61

// What can be wrong with bytes. Every error of this package is one of these, with details around it.
var (
	// ErrShort: the batch goes on behind the bytes that are there.
	ErrShort = errors.New("cut off")
	// ErrFormat: a record format other than 2, from a client of before 2017, or no batch at all.
	ErrFormat = errors.New("not a record batch of format 2")
	// ErrCorrupt: the bytes are not what was written: lengths or the checksum do not fit.
	ErrCorrupt = errors.New("corrupt batch")
	// ErrCodec: a compression that Kafka does not know.
	ErrCodec = errors.New("unknown compression")
	// ErrInvalid: undamaged, but not what a producer may send or a log may hold.
	ErrInvalid = errors.New("invalid batch")
	// ErrTooLarge: inflated, the records are more than the caller allows.
	ErrTooLarge = errors.New("records too large once inflated")
)

// A Header is what the first 61 bytes of a batch say.
type Header struct {
	BaseOffset      int64 // offset of the first record
	Bytes           int   // size of the whole batch, header included
	LeaderEpoch     int32
	CRC             uint32 // CRC-32C of everything from the attributes on
	Attributes      int16
	LastOffsetDelta int32 // offset of the last record less BaseOffset
	FirstTimestamp  int64 // Unix milliseconds of the first record
	MaxTimestamp    int64 // Unix milliseconds, the largest of the records
	ProducerID      int64 // -1: not idempotent
	ProducerEpoch   int16
	BaseSequence    int32
	Records         int32
}

// A Record is one record of a batch; its slices point into the batch or into what it was inflated to.
type Record struct {
	Offset    int64
	Timestamp int64  // Unix milliseconds
	Key       []byte // nil: null
	Value     []byte // nil: null, a tombstone in a compacted topic
	Headers   []RecordHeader
}

// A RecordHeader is a record header: a name with a value.
type RecordHeader struct {
	Key   string
	Value []byte
}

// A Marker says how a transaction ended in a partition.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32
	Commit           bool
	Time             time.Time
}

// A Codec is how the records of a batch are compressed.
type Codec int8

// The codecs, numbered as on the wire.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String is the name that Kafka's configuration uses.
func (c Codec) String() string {
	names := [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	if c < 0 || int(c) >= len(names) {
		return "unknown"
	}
	return names[c]
}
