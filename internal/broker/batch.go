package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A segment is a row of record batches as Kafka writes them; this is the head of one, big-endian:
//
//	 0  first offset    8 bytes
//	 8  length          4         of everything behind it
//	12  leader epoch    4
//	16  magic           1         2
//	17  checksum        4         Castagnoli, of everything behind it
//	21  attributes      2
//	23  last offset     4         minus the first
//	27  timestamps      8 + 8
//	43  producer        8         -1 for none
//	51  producer epoch  2
//	53  first sequence  4
//	57  records         4
const (
	batchHead     = 61
	batchBytesMax = 1 << 30

	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is what repair needs to know of one.
type batch struct {
	offset     int64
	lastDelta  int32
	leader     int32
	attributes int16
	producer   int64
	epoch      int16
	sequence   int32
	records    int32
}

func (b batch) next() int64         { return b.offset + int64(b.lastDelta) + 1 }
func (b batch) control() bool       { return b.attributes&attrControl != 0 }
func (b batch) transactional() bool { return b.attributes&attrTransactional != 0 }

// readSegment visits the batches of a segment file and returns how many bytes of it are whole batches.
func readSegment(path string, visit func(batch)) (valid int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		b, size, err := readBatch(r)
		if errors.Is(err, errTorn) {
			return valid, nil
		}
		if err != nil {
			return valid, err
		}
		visit(b)
		valid += size
	}
}

var errTorn = errors.New("no whole batch follows")

func readBatch(r io.Reader) (b batch, size int64, err error) {
	var head [batchHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return b, 0, tornOr(err)
	}
	be := binary.BigEndian
	length := int64(int32(be.Uint32(head[8:])))
	if length < batchHead-12 || length > batchBytesMax || head[16] != 2 {
		return b, 0, errTorn
	}
	sum := crc32.New(castagnoli)
	sum.Write(head[21:])
	if _, err := io.CopyN(sum, r, length+12-batchHead); err != nil {
		return b, 0, tornOr(err)
	}
	if sum.Sum32() != be.Uint32(head[17:]) {
		return b, 0, errTorn
	}
	return batch{
		offset:     int64(be.Uint64(head[0:])),
		leader:     int32(be.Uint32(head[12:])),
		attributes: int16(be.Uint16(head[21:])),
		lastDelta:  int32(be.Uint32(head[23:])),
		producer:   int64(be.Uint64(head[43:])),
		epoch:      int16(be.Uint16(head[51:])),
		sequence:   int32(be.Uint32(head[53:])),
		records:    int32(be.Uint32(head[57:])),
	}, length + 12, nil
}

// tornOr tells the end of a file from trouble in reading it.
func tornOr(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// indexEntry is a batch's fifteen bytes in the index file: version, the low byte of a checksum of what follows, leader
// epoch, the greatest timestamp before (found anew at each start), and whether the batch is in a transaction.
func (b batch) indexEntry() []byte {
	var e [15]byte
	e[0] = 1
	binary.LittleEndian.PutUint32(e[2:], uint32(b.leader))
	if b.transactional() && !b.control() {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], castagnoli))
	return e[:]
}

// abortMarker is the batch that ends a producer's transaction.
func abortMarker(offset int64, leader int32, producer int64, epoch int16) []byte {
	key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}
	value := kmsg.EndTxnMarker{}
	record := kmsg.Record{Key: key.AppendTo(nil), Value: value.AppendTo(nil)}
	record.Length = int32(len(record.AppendTo(nil)) - 1) // its own length is one byte as long as it is below 64
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		FirstOffset: offset, PartitionLeaderEpoch: leader, Magic: 2, Attributes: attrTransactional | attrControl,
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: producer, ProducerEpoch: epoch, FirstSequence: -1,
		NumRecords: 1, Records: record.AppendTo(nil),
	}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}
