package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// zstdWindow bounds what a zstd frame may ask a decoder to keep. Kafka's clients stay at 8 MiB and below but for their
// three slowest levels.
const zstdWindow = 32 << 20

// xerial is how the Java client frames snappy: 8 bytes of magic, two versions of 4 bytes, and blocks with their length
// before them.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

// A decoder inflates one batch after another; making one is what costs.
type decoder struct {
	src    bytes.Reader
	stream io.Reader
	reset  func(io.Reader) error
}

// decoders keeps idle decoders by codec. They hold no state between batches, so who uses them does not matter.
var decoders = [...]sync.Pool{
	Gzip: {New: func() any { r := new(gzip.Reader); return &decoder{stream: r, reset: r.Reset} }},
	LZ4: {New: func() any {
		r := lz4.NewReader(nil)
		return &decoder{stream: r, reset: func(src io.Reader) error { r.Reset(src); return nil }}
	}},
	Zstd: {New: func() any {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			panic(fmt.Sprintf("batch: options of the zstd decoder: %v", err)) // they are constants
		}
		return &decoder{stream: r, reset: r.Reset}
	}},
}

// streaming calls f with the inflated bytes of src as a stream.
func streaming(c Codec, src []byte, f func(io.Reader) error) error {
	d := decoders[c].Get().(*decoder)
	defer decoders[c].Put(d)
	d.src.Reset(src)
	if err := d.reset(&d.src); err != nil {
		return inflateError(c, err)
	}
	err := f(d.stream)
	d.src.Reset(nil) // an idle decoder does not hold on to a batch
	return err
}

// inflate returns the records of a batch, which are src itself if they are not compressed. It never makes more than
// limit bytes of them.
func inflate(c Codec, src []byte, limit int) ([]byte, error) {
	switch c {
	case None:
		return src, nil
	case Snappy:
		return inflateSnappy(src, limit)
	case Gzip, LZ4, Zstd:
		var out []byte
		err := streaming(c, src, func(r io.Reader) (err error) {
			out, err = readAll(r, c, min(4*len(src), limit), limit)
			return err
		})
		return out, err
	default:
		return nil, fmt.Errorf("%w %d", ErrCodec, c)
	}
}

// readAll reads r up to its end, which must come within limit bytes.
func readAll(r io.Reader, c Codec, guess, limit int) ([]byte, error) {
	out := make([]byte, 0, guess+1)
	for {
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, inflateError(c, err)
		case len(out) == cap(out):
			grown := make([]byte, len(out), min(2*cap(out), limit+1))
			copy(grown, out)
			out = grown
		}
	}
}

// inflateSnappy inflates blocks that each say how long they will be.
func inflateSnappy(src []byte, limit int) ([]byte, error) {
	total, err := snappyLength(src, limit)
	if err != nil {
		return nil, err
	}
	out := make([]byte, total)
	at := 0
	err = snappyBlocks(src, func(block []byte) error {
		done, err := snappy.DecodeStrict(out[at:], block)
		at += len(done)
		return err
	})
	if err != nil {
		return nil, inflateError(Snappy, err)
	}
	return out, nil
}

// snappyLength is what all blocks together say they will be.
func snappyLength(src []byte, limit int) (int, error) {
	total := 0
	err := snappyBlocks(src, func(block []byte) error {
		n, err := snappy.DecodedLen(block)
		if err != nil {
			return err
		}
		if n > limit-total {
			return tooLarge(limit)
		}
		total += n
		return nil
	})
	if err != nil && !errors.Is(err, ErrTooLarge) {
		err = inflateError(Snappy, err)
	}
	return total, err
}

// snappyBlocks calls f with each block: those of xerial's framing, or the one that src is.
func snappyBlocks(src []byte, f func([]byte) error) error {
	if !bytes.HasPrefix(src, xerial) {
		return f(src)
	}
	if len(src) < xerialHeader {
		return io.ErrUnexpectedEOF
	}
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(src)
		if src = src[4:]; uint64(n) > uint64(len(src)) {
			return io.ErrUnexpectedEOF
		}
		if err := f(src[:n]); err != nil {
			return err
		}
		src = src[n:]
	}
	return nil
}

func inflateError(c Codec, err error) error {
	return fmt.Errorf("%w: inflate %s: %w", ErrInvalid, c, err)
}

func tooLarge(limit int) error {
	return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
}
