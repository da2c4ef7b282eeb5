package commitlog

import (
	"errors"
	"fmt"
	"io"

	"ravenswood.dev/internal/broker/batch"
)

// windowBytes is how much is read at once to look at headers.
const windowBytes = 16 << 10

// scanBytes is how much is read at once to go through whole batches.
const scanBytes = 256 << 10

// A bad batch is one that cannot be the batch at its place. Errors of the disk are not bad batches.
type bad struct {
	at    int64
	cause error
}

func (b *bad) Error() string { return fmt.Sprintf("byte %d: %v", b.at, b.cause) }
func (b *bad) Unwrap() error { return b.cause }

// What makes a batch bad beyond what package batch finds.
var (
	errEnd   = errors.New("the batch goes on behind the end of the segment")
	errOrder = errors.New("the batch is not at the offset that follows")
)

// A scanner goes through the batches of a segment from a position to a limit, with one buffer that is as large as the
// largest batch.
type scanner struct {
	f     io.ReaderAt
	at    int64 // position of the next batch
	limit int64
	next  int64 // smallest offset that the next batch may have
	exact bool  // it must have exactly that one
	chunk int   // bytes to read at once

	buf  []byte // bytes of the file from from on
	from int64
	h    batch.Header
}

// more says whether there is another batch, whose header is then h. It is not checked against its checksum.
func (s *scanner) more() (bool, error) {
	if s.at == s.limit {
		return false, nil
	}
	b, err := s.window(min(batch.HeaderBytes, s.limit-s.at))
	if err != nil {
		return false, err
	}
	h, err := batch.Parse(b)
	switch {
	case err != nil:
		return false, &bad{s.at, err}
	case h.BaseOffset < s.next || s.exact && h.BaseOffset != s.next:
		return false, &bad{s.at, fmt.Errorf("%w: %d where %d was expected", errOrder, h.BaseOffset, s.next)}
	case int64(h.Bytes) > s.limit-s.at:
		return false, &bad{s.at, errEnd}
	}
	s.h = h
	return true, nil
}

// raw is the batch of h, checked. It is valid until the next call.
func (s *scanner) raw() ([]byte, error) {
	b, err := s.window(int64(s.h.Bytes))
	if err != nil {
		return nil, err
	}
	b = b[:s.h.Bytes]
	if err := batch.Check(b); err != nil {
		return nil, &bad{s.at, err}
	}
	return b, nil
}

// skip goes past the batch of h.
func (s *scanner) skip() {
	s.at += int64(s.h.Bytes)
	s.next = s.h.Next()
}

// window returns at least n bytes from at on, which the limit allows.
func (s *scanner) window(n int64) ([]byte, error) {
	if off := s.at - s.from; s.buf != nil && off >= 0 && off+n <= int64(len(s.buf)) {
		return s.buf[off:], nil
	}
	size := min(max(n, int64(s.chunk)), s.limit-s.at)
	if int64(cap(s.buf)) < size {
		s.buf = make([]byte, size)
	}
	s.buf, s.from = s.buf[:size], s.at
	got, err := s.f.ReadAt(s.buf, s.at)
	s.buf = s.buf[:got]
	if int64(got) >= n {
		return s.buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil, &bad{s.at, io.ErrUnexpectedEOF}
	}
	return nil, err
}

// through calls f with every batch up to the limit, each checked.
func (s *scanner) through(f func(h batch.Header, raw []byte)) error {
	for {
		more, err := s.more()
		if err != nil || !more {
			return err
		}
		raw, err := s.raw()
		if err != nil {
			return err
		}
		f(s.h, raw)
		s.skip()
	}
}
