package batch_test

import (
	"bytes"
	"testing"

	"ravenswood.dev/internal/broker/batch"
)

const fuzzLimit = 1 << 20

func seed(f *testing.F) {
	for c := batch.None; c <= batch.Zstd; c++ {
		f.Add(produced(f, c, samples(20)))
	}
	f.Add(make3(nil))
	f.Add(batch.EncodeMarker(batch.Marker{ProducerID: 3, Commit: true}))
}

// mend gives bytes a length and a checksum that fit, so that the fuzzer gets past them.
func mend(b []byte) []byte {
	if len(b) < batch.HeaderBytes {
		return b
	}
	b = bytes.Clone(b)
	n := len(b) - 12
	b[8], b[9], b[10], b[11], b[16] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 2
	appendTime := b[22] & 8
	h, err := batch.Parse(b)
	if err == nil {
		batch.SetAppendTime(b, h.MaxTimestamp) // for its checksum
		if appendTime == 0 {
			b[22] &^= 8
		}
	}
	return b
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		err := batch.Walk(b, func(h batch.Header, raw []byte) bool {
			if len(raw) != h.Bytes || h.Next() <= h.BaseOffset {
				t.Fatalf("%+v of %d bytes", h, len(raw))
			}
			_ = batch.Check(raw)
			return true
		})
		_ = err
	})
}

func FuzzRecords(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := mend(b)
		bytes, last := 0, int64(-1)
		for r, err := range batch.Records(raw, fuzzLimit) {
			if err != nil {
				return
			}
			if r.Offset <= last {
				t.Fatalf("offset %d after %d", r.Offset, last)
			}
			last = r.Offset
			bytes += len(r.Key) + len(r.Value)
		}
		if bytes > fuzzLimit+len(raw) {
			t.Fatalf("%d bytes of records", bytes)
		}
		kept, err := batch.Keep(raw, fuzzLimit, func(r batch.Record) bool { return r.Offset%2 == 0 })
		if err != nil || batch.Check(kept) != nil && len(kept) != len(raw) {
			t.Fatalf("cannot keep what can be read: %v", err)
		}
	})
}

// What Validate accepts in full must be readable.
func FuzzValidate(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := mend(b)
		if h, err := batch.Validate(raw, batch.Rules{InflatedBytes: fuzzLimit, Keys: true}); err != nil || h.Codec() != batch.None {
			return
		}
		for _, err := range batch.Records(raw, fuzzLimit) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzMarker(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := mend(b)
		m, err := batch.ParseMarker(raw)
		if err != nil {
			return
		}
		again, err := batch.ParseMarker(batch.EncodeMarker(m))
		if err != nil || again != m {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
