package batch

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Keep makes the batch that is left of raw, one whole batch, when only the records stay for which keep says true.
// Offsets, timestamps, headers, compression, the range of offsets and the producer's fields are as before, so that
// sequences and transactions can still be followed. If every record stays the answer is raw itself; if none does it is
// a batch without records.
func Keep(raw []byte, limit int, keep func(Record) bool) ([]byte, error) {
	h, body, err := open(raw, limit)
	if err != nil {
		return nil, err
	}
	left := h
	left.Records = 0
	var latest int64
	kept := make([]byte, 0, len(body))
	err = h.eachRecord(body, func(c cut, b []byte) (bool, error) {
		r, err := h.record(c)
		if err != nil || !keep(r) {
			return true, err
		}
		if left.Records == 0 || r.Timestamp > latest {
			latest = r.Timestamp
		}
		left.Records++
		kept = append(kept, b...)
		return true, nil
	})
	if err != nil || left.Records == h.Records {
		return raw, err
	}
	if left.Records > 0 {
		left.MaxTimestamp = latest
	}
	return left.encode(kept)
}

// encode makes a batch of a header and its records.
func (h Header) encode(records []byte) ([]byte, error) {
	if h.Records == 0 {
		h.Attributes &^= codecBits // nothing to compress, and some clients inflate before they count
	}
	var b bytes.Buffer
	b.Grow(HeaderBytes + len(records)/2)
	b.Write(make([]byte, HeaderBytes))
	if err := deflate(&b, h.Codec(), records); err != nil {
		return nil, err
	}
	raw := b.Bytes()
	h.put(raw)
	return raw, nil
}

// deflate appends records to b, compressed.
func deflate(b *bytes.Buffer, c Codec, records []byte) error {
	switch c {
	case None:
		b.Write(records)
		return nil
	case Snappy:
		b.Write(snappy.Encode(nil, records))
		return nil
	case Gzip:
		return through(gzip.NewWriter(b), records)
	case LZ4:
		return through(lz4.NewWriter(b), records)
	case Zstd:
		w, err := zstd.NewWriter(b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			return err
		}
		return through(w, records)
	default:
		return fmt.Errorf("%w %d", ErrCodec, c)
	}
}

func through(w io.WriteCloser, records []byte) error {
	if _, err := w.Write(records); err != nil {
		return err
	}
	return w.Close()
}
