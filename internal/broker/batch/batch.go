// Package batch reads and makes Kafka record batches of format 2 where they lie: the header is read in place, records
// are walked without copying, and the bytes that a producer sent are what a consumer gets.
//
// All functions are pure. Bytes come from strangers: nothing here trusts a length, and inflating is bounded by the caller.
package batch

import "time"

// HeaderBytes is the size of a batch without records.
const HeaderBytes = 61

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
