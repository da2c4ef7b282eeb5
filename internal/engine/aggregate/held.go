package aggregate

import (
	"encoding/binary"
	"errors"

	"ravenswood.dev/internal/record"
)

// A record that is held back, without its key:
//
//	version 1 | format | flags: 1 value, 2 old | time, milliseconds, 8 bytes | value | old | headers: count, then name and
//	value of each (flag: 1 value) | origin: topic, partition, offset
//
// Texts and values come after their length; lengths and counts are uvarints.

const heldVersion = 1

const (
	hasValue = 1 << iota
	hasOld
)

var errHeld = errors.New("a held record ends too early or is of another version")

func holdRecord(r *record.Record) []byte {
	var flags byte
	if r.Value != nil {
		flags |= hasValue
	}
	if r.Old != nil {
		flags |= hasOld
	}
	dst := make([]byte, 0, 64+r.Size()+len(r.Old)+8*len(r.Headers)+len(r.Origin.Topic))
	dst = appendMillis(append(dst, heldVersion, byte(r.Format), flags), r.Time.UnixMilli())
	dst = appendBytes(appendBytes(dst, r.Value), r.Old)
	dst = binary.AppendUvarint(dst, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = append(appendText(dst, h.Key), flag(h.Value != nil))
		dst = appendBytes(dst, h.Value)
	}
	dst = appendText(dst, r.Origin.Topic)
	dst = binary.AppendVarint(dst, int64(r.Origin.Partition))
	return binary.AppendVarint(dst, r.Origin.Offset)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// readHeld reads what holdRecord wrote; the record shares b.
func readHeld(b []byte) (*record.Record, error) {
	if len(b) < 11 || b[0] != heldVersion || b[1] > byte(record.Float64) {
		return nil, errHeld
	}
	r := &record.Record{Format: record.Format(b[1]), Time: timeAt(b[3:])}
	d := heldReader{rest: b[11:]}
	value, old := d.bytes(), d.bytes()
	if b[2]&hasValue != 0 {
		r.Value = value
	}
	if b[2]&hasOld != 0 {
		r.Old = old
	}
	for n := d.uvarint(); n > 0 && !d.broken; n-- {
		h := record.Header{Key: string(d.bytes())}
		present := d.byte()
		if v := d.bytes(); present == 1 {
			h.Value = v
		}
		r.Headers = append(r.Headers, h)
	}
	r.Origin = record.Origin{Topic: string(d.bytes()), Partition: int32(d.varint()), Offset: d.varint()}
	if d.broken || len(d.rest) > 0 {
		return nil, errHeld
	}
	return r, nil
}

// heldReader reads piece by piece; after the first that is not there it is broken and reads zeros.
type heldReader struct {
	rest   []byte
	broken bool
}

func (d *heldReader) skip(n int) {
	if n <= 0 {
		d.broken, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *heldReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *heldReader) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *heldReader) byte() byte {
	if len(d.rest) == 0 {
		d.skip(0)
		return 0
	}
	c := d.rest[0]
	d.skip(1)
	return c
}

func (d *heldReader) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.skip(0)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}
