package kafkatest

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bits of a batch's attributes.
const (
	attrLogAppendTime = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
)

// batch is a record batch to be.
type batch struct {
	producer      int64 // -1 for none
	epoch         int16
	sequence      int32
	transactional bool
	timestamp     int64 // milliseconds; 0 is now
	records       []kmsg.Record
}

// plain is a batch of values without keys, of nobody.
func plain(values ...string) batch {
	b := batch{producer: -1, epoch: -1, sequence: -1}
	for _, v := range values {
		b.records = append(b.records, kmsg.Record{Value: []byte(v)})
	}
	return b
}

// keyed is a batch of key, value, key, value; an empty value is a tombstone.
func keyed(pairs ...string) batch {
	b := batch{producer: -1, epoch: -1, sequence: -1}
	for i := 0; i < len(pairs); i += 2 {
		r := kmsg.Record{Key: []byte(pairs[i])}
		if pairs[i+1] != "" {
			r.Value = []byte(pairs[i+1])
		}
		b.records = append(b.records, r)
	}
	return b
}

// at gives the batch a time.
func (b batch) at(when time.Time) batch {
	b.timestamp = when.UnixMilli()
	return b
}

// bytes encodes the batch.
func (b batch) bytes() []byte {
	if b.timestamp == 0 {
		b.timestamp = time.Now().UnixMilli()
	}
	out := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(b.records) - 1),
		FirstTimestamp: b.timestamp, MaxTimestamp: b.timestamp,
		ProducerID: b.producer, ProducerEpoch: b.epoch, FirstSequence: b.sequence, NumRecords: int32(len(b.records)),
	}
	if b.transactional {
		out.Attributes = attrTransactional
	}
	for i, r := range b.records {
		r.OffsetDelta = int32(i)
		body := r.AppendTo(nil)[1:] // the length of an empty record takes one byte
		r.Length = int32(len(body))
		out.Records = r.AppendTo(out.Records)
	}
	raw := out.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	return seal(raw)
}

// seal writes the checksum anew.
func seal(raw []byte) []byte {
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// altered is the batch with bytes changed from a position on, and a checksum that fits.
func altered(raw []byte, at int, with ...byte) []byte {
	copy(raw[at:], with)
	return seal(raw)
}

// split cuts the answer of a fetch into its whole batches.
func split(raw []byte) (batches []kmsg.RecordBatch) {
	for len(raw) >= 12 {
		size := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		if size > len(raw) {
			break
		}
		var b kmsg.RecordBatch
		if b.ReadFrom(raw[:size]) != nil {
			break
		}
		batches = append(batches, b)
		raw = raw[size:]
	}
	return batches
}

// recordsOf decodes the records of a batch that is not compressed.
func recordsOf(b kmsg.RecordBatch) (records []kmsg.Record) {
	raw := b.Records
	for len(raw) > 0 {
		var r kmsg.Record
		if r.ReadFrom(raw) != nil {
			break
		}
		records = append(records, r)
		_, n := binary.Varint(raw)
		raw = raw[n+int(r.Length):]
	}
	return records
}
