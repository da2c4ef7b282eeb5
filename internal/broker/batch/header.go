package batch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Where the fields of a batch are.
const (
	atLength      = 8
	atLeaderEpoch = 12
	atMagic       = 16
	atCRC         = 17
	atAttributes  = 21
	atLastDelta   = 23
	atFirstTime   = 27
	atMaxTime     = 35
	atProducer    = 43
	atEpoch       = 51
	atSequence    = 53
	atCount       = 57
	magic2        = 2
	lengthEnd     = 12 // the length counts what follows it
)

// Bits of the attributes.
const (
	codecBits     = 0x07
	appendTime    = 0x08
	transactional = 0x10
	control       = 0x20
)

// castagnoli is the polynomial of Kafka's checksums; the processor computes it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Parse reads the header of the first batch in b, which need not hold the whole batch. It allocates nothing unless the
// bytes are bad.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderBytes {
		return Header{}, ErrShort
	}
	if b[atMagic] != magic2 {
		return Header{}, fmt.Errorf("%w: its magic byte is %d", ErrFormat, b[atMagic])
	}
	length := int32(binary.BigEndian.Uint32(b[atLength:]))
	if length < HeaderBytes-lengthEnd || length > math.MaxInt32-lengthEnd {
		return Header{}, fmt.Errorf("%w: its length is %d", ErrCorrupt, length)
	}
	h := Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b)),
		Bytes:           int(length) + lengthEnd,
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[atLeaderEpoch:])),
		CRC:             binary.BigEndian.Uint32(b[atCRC:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[atAttributes:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[atLastDelta:])),
		FirstTimestamp:  int64(binary.BigEndian.Uint64(b[atFirstTime:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[atMaxTime:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[atProducer:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[atEpoch:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[atSequence:])),
		Records:         int32(binary.BigEndian.Uint32(b[atCount:])),
	}
	if h.LastOffsetDelta < 0 || h.Records < 0 || h.BaseOffset < 0 || h.BaseOffset > math.MaxInt64-math.MaxInt32-1 {
		return Header{}, fmt.Errorf("%w: %d records from offset %d to %d after it", ErrCorrupt, h.Records, h.BaseOffset, h.LastOffsetDelta)
	}
	return h, nil
}

// put writes h over the first bytes of raw, checksum and all. raw holds the whole batch.
func (h Header) put(raw []byte) {
	binary.BigEndian.PutUint64(raw, uint64(h.BaseOffset))
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-lengthEnd))
	binary.BigEndian.PutUint32(raw[atLeaderEpoch:], uint32(h.LeaderEpoch))
	raw[atMagic] = magic2
	binary.BigEndian.PutUint16(raw[atAttributes:], uint16(h.Attributes))
	binary.BigEndian.PutUint32(raw[atLastDelta:], uint32(h.LastOffsetDelta))
	binary.BigEndian.PutUint64(raw[atFirstTime:], uint64(h.FirstTimestamp))
	binary.BigEndian.PutUint64(raw[atMaxTime:], uint64(h.MaxTimestamp))
	binary.BigEndian.PutUint64(raw[atProducer:], uint64(h.ProducerID))
	binary.BigEndian.PutUint16(raw[atEpoch:], uint16(h.ProducerEpoch))
	binary.BigEndian.PutUint32(raw[atSequence:], uint32(h.BaseSequence))
	binary.BigEndian.PutUint32(raw[atCount:], uint32(h.Records))
	seal(raw)
}

// seal computes the checksum of raw anew.
func seal(raw []byte) {
	binary.BigEndian.PutUint32(raw[atCRC:], crc32.Checksum(raw[atAttributes:], castagnoli))
}

// Check compares one whole batch with its checksum. It allocates nothing unless the bytes are bad.
func Check(raw []byte) error {
	if len(raw) < HeaderBytes {
		return ErrShort
	}
	want := binary.BigEndian.Uint32(raw[atCRC:])
	if got := crc32.Checksum(raw[atAttributes:], castagnoli); got != want {
		return fmt.Errorf("%w: its checksum is %08x, its bytes make %08x", ErrCorrupt, want, got)
	}
	return nil
}

// Next is the offset after the batch.
func (h Header) Next() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) + 1 }

// Codec is how the records are compressed; values above Zstd are none that Kafka knows.
func (h Header) Codec() Codec { return Codec(h.Attributes & codecBits) }

// Control says that this is a marker, written by a coordinator, and no records.
func (h Header) Control() bool { return h.Attributes&control != 0 }

// Transactional says that the batch is part of a transaction: its records, or the marker at its end.
func (h Header) Transactional() bool { return h.Attributes&transactional != 0 }

// AppendTime says that every record has the batch's MaxTimestamp, which is when it was appended.
func (h Header) AppendTime() bool { return h.Attributes&appendTime != 0 }

// LastSequence is the sequence of the last record; after the largest comes zero. It is -1 without a sequence.
func (h Header) LastSequence() int32 {
	if h.BaseSequence < 0 {
		return -1
	}
	return int32((int64(h.BaseSequence) + int64(h.LastOffsetDelta)) % (math.MaxInt32 + 1))
}

// SetBase says where in the log the batch is, and in which leader epoch it was appended. Neither is under the checksum.
func SetBase(raw []byte, base int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(raw, uint64(base))
	binary.BigEndian.PutUint32(raw[atLeaderEpoch:], uint32(leaderEpoch))
}

// SetAppendTime makes millis, Unix milliseconds, the timestamp of every record (message.timestamp.type=LogAppendTime).
func SetAppendTime(raw []byte, millis int64) {
	raw[atAttributes+1] |= appendTime
	binary.BigEndian.PutUint64(raw[atMaxTime:], uint64(millis))
	seal(raw)
}

// Walk calls f with each whole batch in b, in order, until f says false. Bytes that end inside a batch are ErrShort,
// after the whole ones were walked. Checksums are not looked at.
func Walk(b []byte, f func(h Header, raw []byte) bool) error {
	for len(b) > 0 {
		h, err := Parse(b)
		if err != nil {
			return err
		}
		if h.Bytes > len(b) {
			return ErrShort
		}
		if !f(h, b[:h.Bytes:h.Bytes]) {
			return nil
		}
		b = b[h.Bytes:]
	}
	return nil
}
