package txn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// snapshotVersion is the first byte of a snapshot.
//
//	0  1  version, 1
//	1     number of producers, then each of them; those without an open transaction first, longest silent first, then
//	      those with one by its first offset. All numbers are varints.
//	      producer id, epoch + 1, coordinator epoch + 1, seen, timestamp + 1
//	      first offset of the open transaction + 1, and if that is not 0: since
//	      number of batches (0 to 5), then for each:
//	          first sequence, last sequence, first offset, last offset - first offset, append time (zigzag)
const snapshotVersion = 1

// errSnapshot says that bytes are not a snapshot.
var errSnapshot = errors.New("not a snapshot of producers")

// producerBytesMin is the least that a producer takes in a snapshot, which bounds their number by the size of the bytes.
const producerBytesMin = 7

// Snapshot is the state after the last batch observed. It implements commitlog.Tracker.
func (p *Producers) Snapshot() []byte {
	b := []byte{snapshotVersion}
	b = binary.AppendUvarint(b, uint64(len(p.known)))
	for e := p.idle.Front(); e != nil; e = e.Next() {
		b = e.Value.(*producer).append(b)
	}
	for e := p.open.Front(); e != nil; e = e.Next() {
		b = e.Value.(*producer).append(b)
	}
	return b
}

// append encodes the producer.
func (k *producer) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(k.id))
	b = binary.AppendUvarint(b, uint64(int64(k.epoch)+1))
	b = binary.AppendUvarint(b, uint64(int64(k.coordinatorEpoch)+1))
	b = binary.AppendUvarint(b, uint64(k.seen))
	b = binary.AppendVarint(b, k.timestamp)
	b = binary.AppendUvarint(b, uint64(k.first+1))
	if k.first >= 0 {
		b = binary.AppendUvarint(b, uint64(k.since))
	}
	b = binary.AppendUvarint(b, uint64(len(k.batches)))
	for _, w := range k.batches {
		b = w.append(b)
	}
	return b
}

func (w written) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(w.firstSequence))
	b = binary.AppendUvarint(b, uint64(w.lastSequence))
	b = binary.AppendUvarint(b, uint64(w.first))
	b = binary.AppendUvarint(b, uint64(w.last-w.first))
	return binary.AppendVarint(b, w.appendTime)
}

// Restore takes the place of everything observed. Empty bytes are the state before the first batch. On an error nothing
// has changed. It implements commitlog.Tracker.
func (p *Producers) Restore(snapshot []byte) error {
	fresh := NewProducers()
	fresh.limit, fresh.clock = p.limit, p.clock
	if len(snapshot) > 0 {
		if err := fresh.decode(snapshot); err != nil {
			return fmt.Errorf("restore producers: %w", err)
		}
	}
	*p = *fresh
	return nil
}

func (p *Producers) decode(snapshot []byte) error {
	if snapshot[0] != snapshotVersion {
		return fmt.Errorf("%w: version %d", errSnapshot, snapshot[0])
	}
	d := decoder{b: snapshot[1:]}
	n := d.unsigned(uint64(len(snapshot) / producerBytesMin))
	for range n {
		k := d.producer()
		if d.failed || !p.take(k) {
			return errSnapshot
		}
	}
	if d.failed || len(d.b) > 0 {
		return errSnapshot
	}
	return nil
}

// take adds a decoded producer. It refuses one that is there already, and open transactions out of order.
func (p *Producers) take(k *producer) bool {
	if p.known[k.id] != nil {
		return false
	}
	if last := p.open.Back(); last != nil && k.first <= last.Value.(*producer).first {
		return false
	}
	p.known[k.id] = k
	p.arrange(k)
	return true
}

// decoder takes numbers off the front of bytes until one does not fit.
type decoder struct {
	b      []byte
	failed bool
}

// unsigned takes a number of at most limit.
func (d *decoder) unsigned(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	return take(d, v, n, n > 0 && v <= limit)
}

// signed takes a zigzag number.
func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	return take(d, v, n, n > 0)
}

func take[T int64 | uint64](d *decoder, v T, n int, ok bool) T {
	if d.failed || !ok {
		d.failed = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) producer() *producer {
	k := &producer{
		id:               int64(d.unsigned(math.MaxInt64)),
		epoch:            int16(int64(d.unsigned(math.MaxInt16+1)) - 1),
		coordinatorEpoch: int32(int64(d.unsigned(math.MaxInt32+1)) - 1),
		seen:             int64(d.unsigned(math.MaxInt64)),
		timestamp:        d.signed(),
		first:            int64(d.unsigned(math.MaxInt64)) - 1,
	}
	if k.first >= 0 {
		k.since = int64(d.unsigned(math.MaxInt64))
	}
	for range d.unsigned(rememberedBatches) {
		k.batches = append(k.batches, d.written())
	}
	return k
}

func (d *decoder) written() written {
	w := written{
		firstSequence: int32(d.unsigned(math.MaxInt32)),
		lastSequence:  int32(d.unsigned(math.MaxInt32)),
		first:         int64(d.unsigned(math.MaxInt64)),
	}
	w.last = w.first + int64(d.unsigned(math.MaxInt32))
	w.appendTime = d.signed()
	if w.last < w.first {
		d.failed = true
	}
	return w
}
