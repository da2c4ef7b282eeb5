package batch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// InflatedBytesMax is how large the records of a batch may be once inflated if nothing else is said.
const InflatedBytesMax = 64 << 20

// Rules say what a produced batch must be beyond what every batch must.
type Rules struct {
	InflatedBytes int  // largest size of the records once inflated; zero: InflatedBytesMax
	Keys          bool // every record has a key, as in compacted topics
}

// Validate sees to it that raw is one whole batch as a producer may send it: undamaged, with as many records as it says
// at offsets without gaps, none of them a marker, in a compression that is known, within the bound once inflated.
//
// Records are inflated as a stream in constant memory. Those in snappy say beforehand how large they are, which is
// enough unless their keys are asked for: they are the default of clients in a hurry.
func Validate(raw []byte, r Rules) (Header, error) {
	h, err := Parse(raw)
	if err != nil {
		return h, err
	}
	if h.Bytes != len(raw) {
		return h, fmt.Errorf("%w: %d bytes where its length says %d; one batch is expected", ErrInvalid, len(raw), h.Bytes)
	}
	if err := Check(raw); err != nil {
		return h, err
	}
	if err := h.producible(); err != nil {
		return h, err
	}
	if r.InflatedBytes == 0 {
		r.InflatedBytes = InflatedBytesMax
	}
	return h, h.checkBody(raw[HeaderBytes:], r)
}

// producible looks at the header only.
func (h Header) producible() error {
	switch {
	case h.Codec() > Zstd:
		return fmt.Errorf("%w %d", ErrCodec, h.Codec())
	case h.Control():
		return fmt.Errorf("%w: a marker, which only a coordinator writes", ErrInvalid)
	case h.AppendTime():
		return fmt.Errorf("%w: timestamps of the log, which only a broker gives", ErrInvalid)
	case h.Records == 0 || h.Records-1 != h.LastOffsetDelta:
		return fmt.Errorf("%w: %d records, of which the last is at %d", ErrInvalid, h.Records, h.LastOffsetDelta)
	case h.ProducerID < -1 || h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0):
		return fmt.Errorf("%w: producer %d with epoch %d and sequence %d", ErrInvalid, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	case h.Transactional() && h.ProducerID < 0:
		return fmt.Errorf("%w: a transaction without a producer id", ErrInvalid)
	}
	return nil
}

func (h Header) checkBody(body []byte, r Rules) error {
	switch c := h.Codec(); c {
	case None:
		return h.checkRecords(body, r)
	case Snappy:
		if _, err := snappyLength(body, r.InflatedBytes); err != nil || !r.Keys {
			return err
		}
		inflated, err := inflateSnappy(body, r.InflatedBytes)
		if err != nil {
			return err
		}
		return h.checkRecords(inflated, r)
	default:
		return streaming(c, body, func(s io.Reader) error { return h.checkStream(c, s, r) })
	}
}

// checkRecords checks records that are in memory: at a glance as far as that goes, and the rest the long way.
func (h Header) checkRecords(body []byte, r Rules) error {
	next := int32(0)
	for next < h.Records {
		n := glance(body, next, r.Keys)
		if n == 0 {
			return h.checkRest(body, next, r)
		}
		body = body[n:]
		next++
	}
	return h.checkRest(body, next, r)
}

// checkRest checks the records from one on, and that nothing follows the last.
func (h Header) checkRest(body []byte, next int32, r Rules) error {
	for ; next < h.Records; next++ {
		c, n, err := cutRecord(body)
		if err == nil {
			err = c.fits(next, r)
		}
		if err == nil {
			err = c.checkHeaders()
		}
		if err != nil {
			return fmt.Errorf("%w (record %d of %d)", err, next, h.Records)
		}
		body = body[n:]
	}
	if len(body) != 0 {
		return fmt.Errorf("%w: %d bytes behind the last record", ErrInvalid, len(body))
	}
	return nil
}

// fits says whether a record may be the one at delta.
func (c cut) fits(delta int32, r Rules) error {
	if c.offsetDelta != delta {
		return fmt.Errorf("%w: record %d says that it is at %d", ErrInvalid, delta, c.offsetDelta)
	}
	if r.Keys && c.key == nil {
		return fmt.Errorf("%w: record %d has no key, and the topic is compacted", ErrInvalid, delta)
	}
	return nil
}

// recordPrefix is as many bytes as the fields before a record's key can have.
const recordPrefix = 5 + 1 + 10 + 5 + 5

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 16<<10) }}

// checkStream checks records that come out of a decoder: how many, how large, and the fields before the key.
func (h Header) checkStream(c Codec, s io.Reader, r Rules) error {
	b := readers.Get().(*bufio.Reader)
	defer readers.Put(b)
	b.Reset(s)
	left := r.InflatedBytes
	for i := range h.Records {
		n, err := checkPrefix(b, i, c, r)
		if err != nil {
			return err
		}
		if left -= n; left < 0 {
			return tooLarge(r.InflatedBytes)
		}
		if _, err := b.Discard(n); err != nil {
			return inflateError(c, noEOF(err))
		}
	}
	if _, err := b.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return inflateError(c, err)
		}
		return fmt.Errorf("%w: bytes behind the last record", ErrInvalid)
	}
	return nil
}

// checkPrefix looks at the record that b is at, and returns its size.
func checkPrefix(b *bufio.Reader, i int32, codec Codec, r Rules) (int, error) {
	p, err := b.Peek(recordPrefix)
	if len(p) == 0 || err != nil && !errors.Is(err, io.EOF) {
		return 0, inflateError(codec, noEOF(err))
	}
	size, at := varint32(p)
	if at <= 0 || size < 1 {
		return 0, fmt.Errorf("%w: record %d has no length", ErrInvalid, i)
	}
	f := reader{b: p[at:min(len(p), at+int(size))]}
	f.skip(1)
	f.varint()
	c := cut{offsetDelta: f.varint32()}
	if key := f.varint32(); key >= 0 {
		c.key = f.b[:0:0]
	}
	if f.bad {
		return 0, fmt.Errorf("%w: record %d is cut off", ErrInvalid, i)
	}
	return at + int(size), c.fits(i, r)
}

// noEOF: the end came too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
