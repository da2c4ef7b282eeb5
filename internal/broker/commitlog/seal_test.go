package commitlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"testing"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

func sample() *contents {
	return &contents{
		base: 10, bytes: 5000, next: 90, maxTime: 777, maxAt: 44,
		index:   []entry{{offset: 10, maxTime: -1}, {offset: 30, at: 2000, maxTime: 700}},
		aborted: []Aborted{{ProducerID: 3, First: 11, Last: 40, Stable: 12}},
		epochs:  []EpochStart{{Epoch: 0, First: 0}, {Epoch: 7, First: 12}},
		state:   []byte("state"), stated: true,
	}
}

func TestASealIsReadAsItWasWritten(t *testing.T) {
	stateless, empty := sample(), newContents(5, nil)
	stateless.state, stateless.stated = nil, false
	for name, c := range map[string]*contents{"full": sample(), "no state": stateless, "empty segment": empty} {
		got, err := decodeSeal(encodeSeal(c))
		if err != nil || !reflect.DeepEqual(encodeSeal(got), encodeSeal(c)) || got.stated != c.stated || !bytes.Equal(got.state, c.state) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c)
		}
	}
}

func TestADamagedSealIsUnusable(t *testing.T) {
	good := encodeSeal(sample())
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, err := decodeSeal(bad); !errors.Is(err, errSeal) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := decodeSeal(good[:i]); !errors.Is(err, errSeal) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	for name, change := range map[string]func(c *contents){
		"ends before it begins":        func(c *contents) { c.next = 9 },
		"index outside the segment":    func(c *contents) { c.bytes = 1000 },
		"index that does not grow":     func(c *contents) { c.index[1].offset = 10 },
		"index before the segment":     func(c *contents) { c.base = 11 },
		"batches but no index":         func(c *contents) { c.index = nil },
		"index of nothing":             func(c *contents) { c.bytes = 0 },
		"positions that do not grow":   func(c *contents) { c.index[1].at = 0 },
		"offset that is of the future": func(c *contents) { c.index[1].offset = 90 },
	} {
		c := sample()
		change(c)
		if _, err := decodeSeal(encodeSeal(c)); !errors.Is(err, errSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mendSeal gives bytes the magic, length and checksum of a sidecar.
func mendSeal(b []byte) []byte {
	if len(b) < sealHead {
		return b
	}
	b = bytes.Clone(b)
	copy(b, sealMagic)
	binary.BigEndian.PutUint32(b[12:], uint32(len(b)-16))
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[sealCRCFrom:], castagnoli))
	return b
}

func FuzzSeal(f *testing.F) {
	f.Add(encodeSeal(sample()))
	f.Add(encodeSeal(newContents(0, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = mendSeal(b)
		c, err := decodeSeal(b)
		if err != nil {
			return
		}
		if !bytes.Equal(encodeSeal(c), b) {
			t.Fatalf("read %+v, which is written otherwise", c)
		}
		for _, offset := range []int64{0, c.base, c.next, math.MaxInt64} {
			if e := c.seek(offset); e.at < 0 || c.bytes > 0 && e.at >= c.bytes {
				t.Fatalf("offset %d is at %+v of %+v", offset, e, c)
			}
		}
	})
}

// Whatever is in the files: no panic, and an end.
func FuzzOpen(f *testing.F) {
	raw := batch.EncodeMarker(batch.Marker{ProducerID: 1, Commit: true})
	c := newContents(0, nil)
	h, err := batch.Parse(raw)
	if err != nil {
		f.Fatal(err)
	}
	c.add(h, nil, 100)
	c.stated = true
	second := bytes.Clone(raw)
	batch.SetBase(second, 1, 0)
	swap := swapList{remove: []int64{0}, add: []int64{1}}.encode()
	f.Add(raw, encodeSeal(c), second, []byte(nil))
	f.Add(append(bytes.Clone(raw), second...), []byte(nil), []byte(nil), []byte(nil))
	f.Add(raw, encodeSeal(c), second, swap)
	f.Add([]byte{}, []byte{}, []byte{}, []byte("= 00000000\n"))
	f.Fuzz(func(t *testing.T, first, seal, second, swap []byte) {
		fs := disk.NewMemory()
		for name, b := range map[string][]byte{baseName(0) + logEnd: first, baseName(0) + sealEnd: mendSeal(seal), baseName(1) + logEnd: second, swapName: swap} {
			if name == swapName && len(b) == 0 {
				continue
			}
			file, err := fs.Open(name, disk.Create)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
		}
		l, _, err := Open(fs, ".", Options{SegmentBytes: 1000})
		if err != nil {
			return
		}
		if err := exercise(l); err != nil {
			t.Fatal(err)
		}
	})
}

// exercise uses every way to read, which may fail but has to end, and appends.
func exercise(l *Log) error {
	if l.Start() > l.End() {
		return fmt.Errorf("from %d to %d", l.Start(), l.End())
	}
	for at, n := l.Start(), 0; at < l.End(); n++ {
		got, err := l.Read(nil, at, 100, math.MaxInt64)
		if err != nil || len(got) == 0 {
			break
		}
		was := at
		if err := batch.Walk(got, func(h batch.Header, _ []byte) bool { at = h.Next(); return true }); err != nil || at <= was {
			return fmt.Errorf("read from %d leads to %d: %w", was, at, err)
		}
	}
	l.Segments()
	l.MaxTime()
	l.EpochEnd(3)
	_, _, _, _, _ = l.ByTime(1, math.MaxInt64)
	_, _ = l.Aborted(0, math.MaxInt64)
	raw := batch.EncodeMarker(batch.Marker{})
	end := l.End()
	batch.SetBase(raw, end, 0)
	h, err := batch.Parse(raw)
	if err != nil {
		return nil // at the end of all offsets
	}
	if err := errors.Join(l.Append(h, raw), l.SetStart(end), l.Close()); err != nil {
		return err
	}
	l, r, err := Open(l.fs, ".", Options{})
	if err != nil || l.End() != end+1 || r.Torn != 0 {
		return fmt.Errorf("open again: end %d, want %d; %+v, %w", l.End(), end+1, r, err)
	}
	return nil
}
