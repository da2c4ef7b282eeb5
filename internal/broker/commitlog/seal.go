package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"ravenswood.dev/internal/broker/disk"
)

// The sidecar of a segment: contents as bytes.
const (
	sealMagic    = "RAVSEAL1"
	sealHead     = 72
	sealCRCFrom  = 12
	entryBytes   = 20
	abortedBytes = 32
	epochBytes   = 12
	noState      = math.MaxUint32 // in the place of the length of the tracker's state
	sealBytesMax = 256 << 20
)

// errSeal is a sidecar that cannot be used.
var errSeal = errors.New("unusable sidecar")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeSeal makes the bytes of a sidecar.
func encodeSeal(c *contents) []byte {
	size := sealHead + len(c.index)*entryBytes + len(c.aborted)*abortedBytes + len(c.epochs)*epochBytes + len(c.state)
	b := make([]byte, 0, size)
	b = append(b, sealMagic...)
	b = u32(b, 0) // checksum, below
	b = u32(b, uint32(size-16))
	for _, v := range []int64{c.base, c.bytes, c.next, c.maxTime, c.maxAt} {
		b = i64(b, v)
	}
	state := uint32(len(c.state))
	if !c.stated {
		state = noState
	}
	for _, n := range []uint32{uint32(len(c.index)), uint32(len(c.aborted)), uint32(len(c.epochs)), state} {
		b = u32(b, n)
	}
	for _, e := range c.index {
		b = i64(u32(i64(b, e.offset), uint32(e.at)), e.maxTime)
	}
	for _, a := range c.aborted {
		b = i64(i64(i64(i64(b, a.ProducerID), a.First), a.Last), a.Stable)
	}
	for _, e := range c.epochs {
		b = i64(u32(b, uint32(e.Epoch)), e.First)
	}
	if c.stated {
		b = append(b, c.state...)
	}
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[sealCRCFrom:], castagnoli))
	return b
}

func i64(b []byte, v int64) []byte  { return binary.BigEndian.AppendUint64(b, uint64(v)) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// decodeSeal reads a sidecar. The state points into b.
func decodeSeal(b []byte) (*contents, error) {
	if len(b) < sealHead || string(b[:8]) != sealMagic || int64(binary.BigEndian.Uint32(b[12:])) != int64(len(b)-16) {
		return nil, fmt.Errorf("%w: not one, or cut off", errSeal)
	}
	if crc32.Checksum(b[sealCRCFrom:], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return nil, fmt.Errorf("%w: its checksum does not match", errSeal)
	}
	r := taker{b[16:]}
	c := &contents{base: r.i64(), bytes: r.i64(), next: r.i64(), maxTime: r.i64(), maxAt: r.i64()}
	n, m, e, k := int64(r.u32()), int64(r.u32()), int64(r.u32()), int64(r.u32())
	c.stated = k != noState
	if !c.stated {
		k = 0
	}
	if n*entryBytes+m*abortedBytes+e*epochBytes+k != int64(len(r.b)) {
		return nil, fmt.Errorf("%w: its parts are not as long as it says", errSeal)
	}
	c.index = make([]entry, n)
	for i := range c.index {
		c.index[i] = entry{offset: r.i64(), at: int64(r.u32()), maxTime: r.i64()}
	}
	c.aborted = make([]Aborted, m)
	for i := range c.aborted {
		c.aborted[i] = Aborted{ProducerID: r.i64(), First: r.i64(), Last: r.i64(), Stable: r.i64()}
	}
	c.epochs = make([]EpochStart, e)
	for i := range c.epochs {
		c.epochs[i] = EpochStart{Epoch: int32(r.u32()), First: r.i64()}
	}
	c.state = r.b
	return c, c.sane()
}

// sane checks what the rest of the package relies on.
func (c *contents) sane() error {
	if c.base < 0 || c.bytes < 0 || c.next < c.base || (c.bytes == 0) != (len(c.index) == 0) {
		return fmt.Errorf("%w: offsets %d to %d in %d bytes", errSeal, c.base, c.next, c.bytes)
	}
	before := entry{offset: c.base - 1, at: -1}
	for _, e := range c.index {
		if e.offset <= before.offset || e.offset >= c.next || e.at <= before.at || e.at >= c.bytes {
			return fmt.Errorf("%w: an index that does not grow", errSeal)
		}
		before = e
	}
	return nil
}

// A taker takes integers off the front of bytes that are known to be there.
type taker struct{ b []byte }

func (t *taker) i64() int64 {
	v := binary.BigEndian.Uint64(t.b)
	t.b = t.b[8:]
	return int64(v)
}

func (t *taker) u32() uint32 {
	v := binary.BigEndian.Uint32(t.b)
	t.b = t.b[4:]
	return v
}

// readSeal reads the sidecar with that name; errSeal means that it must be made anew.
func readSeal(fs disk.FS, name string, base int64) (*contents, error) {
	b, err := readFile(fs, name, sealBytesMax)
	if err != nil {
		return nil, err
	}
	c, err := decodeSeal(b)
	if err != nil {
		return nil, err
	}
	if c.base != base {
		return nil, fmt.Errorf("%w: it is of segment %d", errSeal, c.base)
	}
	return c, nil
}
