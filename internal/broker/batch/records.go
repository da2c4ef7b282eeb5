package batch

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Records walks the records of one whole batch in order, inflated within limit bytes. Bad bytes end the walk with an
// error, which is the last thing it yields. It does not look at the checksum.
func Records(raw []byte, limit int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		h, body, err := open(raw, limit)
		if err != nil {
			yield(Record{}, err)
			return
		}
		err = h.eachRecord(body, func(c cut, _ []byte) (bool, error) {
			r, err := h.record(c)
			if err != nil {
				return false, err
			}
			return yield(r, nil), nil
		})
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// open is the header of a whole batch with its records, inflated.
func open(raw []byte, limit int) (Header, []byte, error) {
	h, err := Parse(raw)
	if err != nil {
		return h, nil, err
	}
	if h.Bytes != len(raw) {
		return h, nil, fmt.Errorf("%w: %d bytes where its length says %d", ErrCorrupt, len(raw), h.Bytes)
	}
	body, err := inflate(h.Codec(), raw[HeaderBytes:], limit)
	return h, body, err
}

// eachRecord calls f with every record in body until f says false, and sees to it that they are as many as the header
// says, at growing offsets within the batch.
func (h Header) eachRecord(body []byte, f func(c cut, raw []byte) (bool, error)) error {
	last := int32(-1)
	for i := int32(0); i < h.Records; i++ {
		c, n, err := cutRecord(body)
		if err != nil {
			return fmt.Errorf("%w (record %d of %d)", err, i, h.Records)
		}
		if c.offsetDelta <= last || c.offsetDelta > h.LastOffsetDelta {
			return fmt.Errorf("%w: record %d of %d is at offset delta %d after %d; the last is at %d",
				ErrInvalid, i, h.Records, c.offsetDelta, last, h.LastOffsetDelta)
		}
		last = c.offsetDelta
		more, err := f(c, body[:n:n])
		if err != nil || !more {
			return err
		}
		body = body[n:]
	}
	if len(body) != 0 {
		return fmt.Errorf("%w: %d bytes behind the last record", ErrInvalid, len(body))
	}
	return nil
}

// record makes a record of what was cut out.
func (h Header) record(c cut) (Record, error) {
	headers, err := c.decodeHeaders()
	return Record{
		Offset:    h.BaseOffset + int64(c.offsetDelta),
		Timestamp: h.timestamp(c),
		Key:       c.key,
		Value:     c.value,
		Headers:   headers,
	}, err
}

func (h Header) timestamp(c cut) int64 {
	if h.AppendTime() {
		return h.MaxTimestamp
	}
	return h.FirstTimestamp + c.timeDelta
}

// A cut is one record as it lies there:
//
//	varint length of the rest, 1 byte attributes, varlong timestamp delta, varint offset delta,
//	varint key length (-1: null), key, varint value length (-1: null), value, varint number of headers, headers
type cut struct {
	timeDelta   int64
	offsetDelta int32
	key, value  []byte
	count       int    // of headers
	headers     []byte // varint name length, name, varint value length (-1: null), value; and so on
}

// cutRecord cuts the first record out of b, which is n bytes long. Headers are not looked into.
func cutRecord(b []byte) (c cut, n int, err error) {
	size, at := varint32(b)
	if at <= 0 || size < 0 || int(size) > len(b)-at {
		return c, 0, fmt.Errorf("%w: a record that is cut off", ErrInvalid)
	}
	n = at + int(size)
	r := reader{b: b[at:n]}
	r.skip(1)
	c.timeDelta = r.varint()
	c.offsetDelta = r.varint32()
	c.key = r.bytes()
	c.value = r.bytes()
	c.count = int(r.varint32())
	c.headers = r.b
	if r.bad || c.count < 0 || c.count > len(c.headers)/2 {
		return c, 0, fmt.Errorf("%w: a record whose lengths do not fit", ErrInvalid)
	}
	return c, n, nil
}

func (c cut) decodeHeaders() ([]RecordHeader, error) {
	r := reader{b: c.headers}
	var hs []RecordHeader
	if c.count > 0 {
		hs = make([]RecordHeader, 0, c.count)
	}
	for range c.count {
		hs = append(hs, RecordHeader{Key: string(r.bytes()), Value: r.bytes()})
	}
	return hs, r.end()
}

// checkHeaders is decodeHeaders for those who do not want them.
func (c cut) checkHeaders() error {
	r := reader{b: c.headers}
	for range c.count {
		r.bytes()
		r.bytes()
	}
	return r.end()
}

// A reader takes fields off the front of bytes. After the first that does not fit it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) skip(n int) {
	if r.bad = r.bad || n > len(r.b); !r.bad {
		r.b = r.b[n:]
	}
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint32() int32 {
	v := r.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.bad = true
		return 0
	}
	return int32(v)
}

// bytes takes a length with so many bytes; -1 is null.
func (r *reader) bytes() []byte {
	n := r.varint32()
	if n == -1 {
		return nil
	}
	if r.bad = r.bad || n < 0 || int(n) > len(r.b); r.bad {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: record headers whose lengths do not fit", ErrInvalid)
	}
	return nil
}

// varint32 reads a zigzag varint that must fit 32 bits; n <= 0 if there is none.
func varint32(b []byte) (v int32, n int) {
	w, n := binary.Varint(b)
	if w < math.MinInt32 || w > math.MaxInt32 {
		return 0, 0
	}
	return int32(w), n
}
