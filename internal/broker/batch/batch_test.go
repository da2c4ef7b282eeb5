package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
)

func isErr(err, target error) bool { return errors.Is(err, target) }

// make3 is a batch of three small records with the fields that change changes.
func make3(change func(b *kmsg.RecordBatch)) []byte {
	b := kmsg.RecordBatch{Magic: 2, LastOffsetDelta: 2, FirstTimestamp: 100, MaxTimestamp: 102, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 3}
	for i := range 3 {
		b.Records = append(b.Records, record(int32(i), "k", "v")...)
	}
	if change != nil {
		change(&b)
	}
	return seal(b)
}

// record is one record as it lies in a batch.
func record(delta int32, key, value string) []byte {
	r := kmsg.Record{TimestampDelta64: int64(delta), OffsetDelta: delta, Key: []byte(key), Value: []byte(value)}
	body := r.AppendTo(nil)
	_, n := binary.Varint(body)
	return append(binary.AppendVarint(nil, int64(len(body)-n)), body[n:]...)
}

func seal(b kmsg.RecordBatch) []byte {
	b.Length = int32(batch.HeaderBytes - 12 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func TestParse(t *testing.T) {
	good := make3(nil)
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		err    error
	}{
		"whole":            {func(b []byte) []byte { return b }, nil},
		"header only":      {func(b []byte) []byte { return b[:batch.HeaderBytes] }, nil},
		"empty":            {func([]byte) []byte { return nil }, batch.ErrShort},
		"cut header":       {func(b []byte) []byte { return b[:batch.HeaderBytes-1] }, batch.ErrShort},
		"old format":       {func(b []byte) []byte { b[16] = 1; return b }, batch.ErrFormat},
		"length too small": {func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], batch.HeaderBytes-13); return b }, batch.ErrCorrupt},
		"negative length":  {func(b []byte) []byte { b[8] = 0xff; return b }, batch.ErrCorrupt},
		"negative count":   {func(b []byte) []byte { b[57] = 0xff; return b }, batch.ErrCorrupt},
		"negative offset":  {func(b []byte) []byte { b[0] = 0xff; return b }, batch.ErrCorrupt},
		"last offset overflows": {func(b []byte) []byte {
			binary.BigEndian.PutUint64(b, math.MaxInt64)
			return b
		}, batch.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := batch.Parse(c.change(bytes.Clone(good))); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		raw []byte
		err error
	}{
		"plain":      {make3(nil), nil},
		"idempotent": {make3(func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = 5, 0, 0 }), nil},
		"transactional": {make3(func(b *kmsg.RecordBatch) {
			b.ProducerID, b.ProducerEpoch, b.FirstSequence, b.Attributes = 5, 0, 0, 0x10
		}), nil},
		"two batches":      {append(make3(nil), make3(nil)...), batch.ErrInvalid},
		"cut off":          {make3(nil)[:70], batch.ErrInvalid},
		"nothing":          {nil, batch.ErrShort},
		"marker":           {batch.EncodeMarker(batch.Marker{ProducerID: 1}), batch.ErrInvalid},
		"append time":      {make3(func(b *kmsg.RecordBatch) { b.Attributes = 8 }), batch.ErrInvalid},
		"unknown codec":    {make3(func(b *kmsg.RecordBatch) { b.Attributes = 5 }), batch.ErrCodec},
		"not that codec":   {make3(func(b *kmsg.RecordBatch) { b.Attributes = 1 }), batch.ErrInvalid},
		"no records":       {make3(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta, b.Records = 0, 0, nil }), batch.ErrInvalid},
		"fewer records":    {make3(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 4, 3 }), batch.ErrInvalid},
		"more records":     {make3(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 2, 1 }), batch.ErrInvalid},
		"gap":              {make3(func(b *kmsg.RecordBatch) { b.Records[3+7+1+7] = 99 }), batch.ErrInvalid},
		"no sequence":      {make3(func(b *kmsg.RecordBatch) { b.ProducerID = 5 }), batch.ErrInvalid},
		"nobody's":         {make3(func(b *kmsg.RecordBatch) { b.Attributes = 0x10 }), batch.ErrInvalid},
		"count of 2^31-1":  {make3(func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = math.MaxInt32, math.MaxInt32-1 }), batch.ErrInvalid},
		"snappy says much": {make3(func(b *kmsg.RecordBatch) { b.Attributes = 2; b.Records = binary.AppendUvarint(nil, 1<<31) }), batch.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := batch.Validate(c.raw, batch.Rules{}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

// xerial frames blocks of snappy as the Java client does.
func xerial(blocks ...[]byte) []byte {
	out := append([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}, 0, 0, 0, 1, 0, 0, 0, 1)
	for _, b := range blocks {
		s := snappy.Encode(nil, b)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	return out
}

func TestSnappyInBlocks(t *testing.T) {
	plain := make3(nil)[batch.HeaderBytes:]
	in := func(records []byte) []byte {
		return make3(func(b *kmsg.RecordBatch) { b.Attributes, b.Records = 2, records })
	}
	for name, c := range map[string]struct {
		records []byte
		err     error
	}{
		"one block":         {xerial(plain), nil},
		"split in a record": {xerial(plain[:5], plain[5:12], plain[12:]), nil},
		"cut in a length":   {append(xerial(plain), 0, 0), batch.ErrInvalid},
		"cut in a block":    {xerial(plain)[:20], batch.ErrInvalid},
		"header only":       {xerial(), batch.ErrInvalid},
		"cut in the header": {xerial()[:12], batch.ErrInvalid},
		"too much together": {xerial(make([]byte, 30_000), make([]byte, 30_000), make([]byte, 30_000)), batch.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			var err error
			for _, e := range batch.Records(in(c.records), 64<<10) {
				if err = e; e == nil {
					n++
				}
			}
			if !errors.Is(err, c.err) || err == nil && n != 3 {
				t.Errorf("%d records, %v; want %v", n, err, c.err)
			}
			if _, err := batch.Validate(in(c.records), batch.Rules{InflatedBytes: 64 << 10, Keys: true}); !errors.Is(err, c.err) {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}

func TestMarkers(t *testing.T) {
	for _, commit := range []bool{true, false} {
		want := batch.Marker{ProducerID: 42, ProducerEpoch: 3, CoordinatorEpoch: 9, Commit: commit, Time: time.UnixMilli(1_700_000_000_123)}
		raw := batch.EncodeMarker(want)
		batch.SetBase(raw, 77, 2)
		got, err := batch.ParseMarker(raw)
		if err != nil || got != want || batch.Check(raw) != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		h, _ := batch.Parse(raw)
		if !h.Control() || !h.Transactional() || h.Next() != 78 || h.LastSequence() != -1 || h.LeaderEpoch != 2 {
			t.Errorf("header %+v", h)
		}
		var key kmsg.ControlRecordKey
		var value kmsg.EndTxnMarker
		r := read(t, raw)[0]
		if err := errors.Join(key.ReadFrom(r.Key), value.ReadFrom(r.Value)); err != nil || (key.Type == 1) != commit || value.CoordinatorEpoch != 9 {
			t.Errorf("the client reads %+v, %+v: %v", key, value, err)
		}
	}
	if _, err := batch.ParseMarker(make3(nil)); !errors.Is(err, batch.ErrInvalid) {
		t.Errorf("records as a marker: %v", err)
	}
}

func TestSetAppendTimeIsTheTimeOfAllRecords(t *testing.T) {
	raw := make3(nil)
	batch.SetAppendTime(raw, 5000)
	h, err := batch.Parse(raw)
	if err != nil || !h.AppendTime() || h.MaxTimestamp != 5000 || batch.Check(raw) != nil {
		t.Fatalf("%+v, %v, %v", h, err, batch.Check(raw))
	}
	for _, r := range read(t, raw) {
		if r.Timestamp != 5000 {
			t.Errorf("record %d has timestamp %d", r.Offset, r.Timestamp)
		}
	}
	kept, err := batch.Keep(raw, 1<<20, func(r batch.Record) bool { return r.Offset == 1 })
	if h, _ := batch.Parse(kept); err != nil || h.MaxTimestamp != 5000 {
		t.Errorf("kept %+v, %v", h, err)
	}
}

func TestLastSequenceWraps(t *testing.T) {
	for _, c := range []struct{ base, delta, want int32 }{
		{0, 0, 0}, {5, 2, 7}, {-1, 2, -1}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 4, 2},
	} {
		if got := (batch.Header{BaseSequence: c.base, LastOffsetDelta: c.delta}).LastSequence(); got != c.want {
			t.Errorf("from %d, %d on: %d, want %d", c.base, c.delta, got, c.want)
		}
	}
}

func TestWalk(t *testing.T) {
	one := make3(nil)
	two := bytes.Join([][]byte{one, one}, nil)
	for name, c := range map[string]struct {
		b    []byte
		n    int
		stop int
		err  error
	}{
		"none":     {nil, 0, 9, nil},
		"two":      {two, 2, 9, nil},
		"stopped":  {two, 1, 1, nil},
		"cut":      {two[:len(two)-1], 1, 9, batch.ErrShort},
		"cut head": {two[:len(one)+9], 1, 9, batch.ErrShort},
		"garbage":  {append(bytes.Clone(one), make([]byte, 80)...), 1, 9, batch.ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			err := batch.Walk(c.b, func(h batch.Header, raw []byte) bool { n++; return n < c.stop })
			if n != c.n || !errors.Is(err, c.err) {
				t.Errorf("%d batches, %v", n, err)
			}
		})
	}
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	raw := make3(nil)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := batch.Parse(raw); err != nil || batch.Check(raw) != nil {
			t.Fatal("bad batch")
		}
		batch.SetBase(raw, 7, 1)
		if _, err := batch.Validate(raw, batch.Rules{Keys: true}); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
