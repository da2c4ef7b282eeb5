package commitlog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"ravenswood.dev/internal/broker/batch"
)

// Read appends to dst whole batches as they were appended, from the one that holds from on, or the next one where
// compaction took it away: those that end at or below upTo, about max bytes, but one at least. There is none when from has
// reached upTo or the end. Their checksums are right.
//
// A *RangeError says that from is not in the log, a *DamageError that what is stored there is not what was written.
func (l *Log) Read(dst []byte, from int64, max int, upTo int64) ([]byte, error) {
	for {
		v, err := l.view(from, (*contents).seek, from)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil || v.h == nil {
			return dst, err
		}
		out, found, err := l.readFrom(v, dst, from, max, upTo)
		l.cache.release(v.h)
		if err != nil || found || v.active {
			return out, err
		}
		from = v.next // the rest of this segment was compacted away
	}
}

// A view is a segment as one reader sees it, with where to begin.
type view struct {
	h      *handle // to be released; nil: nothing to read
	begin  entry   // a batch at or before what is looked for
	limit  int64   // bytes that may be read
	next   int64   // the first offset after this segment
	active bool
}

// view finds the segment that holds an offset, and the place in it that seek gives for what. There is none at the end of
// the log.
func (l *Log) view(offset int64, seek func(c *contents, what int64) entry, what int64) (view, error) {
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return view{}, fmt.Errorf("read log %q: %w", l.dir, ErrClosed)
	}
	end := l.active.contents.next
	if offset < l.start || offset > end {
		err := &RangeError{Offset: offset, Start: l.start, End: end}
		l.mu.RUnlock()
		return view{}, err
	}
	if offset == end {
		l.mu.RUnlock()
		return view{}, nil
	}
	i := l.at(offset)
	if i == len(l.segments)-1 {
		v := l.viewActive()
		v.begin = seek(l.active.contents, what)
		l.mu.RUnlock()
		return v, nil
	}
	seg, next := l.segments[i], l.segments[i+1].base
	l.mu.RUnlock()
	h, err := l.acquire(seg)
	if err != nil {
		return view{}, err
	}
	return view{h: h, begin: seek(h.contents, what), limit: h.contents.bytes, next: next}, nil
}

// viewActive is the active segment as it is now. The caller has mu.
func (l *Log) viewActive() view {
	c := l.active.contents
	return view{h: l.cache.hold(l.active), limit: c.bytes, next: c.next, active: true}
}

// at is the index of the last segment that begins at or before an offset, or the first. The caller has mu.
func (l *Log) at(offset int64) int {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return max(i-1, 0)
}

// readFrom reads batches of one segment. It has found something also when that is not below upTo.
func (l *Log) readFrom(v view, dst []byte, from int64, max int, upTo int64) (out []byte, found bool, err error) {
	at, err := l.find(v, from)
	if err != nil || at.at == v.limit {
		return dst, false, err
	}
	out, err = l.readBatches(v, dst, at, max, upTo)
	return out, true, err
}

// find is the position of the first batch that ends after offset; the limit if there is none.
func (l *Log) find(v view, offset int64) (place, error) {
	if p := l.last.Load(); p != nil && p.seg == v.h.seg && p.offset == offset {
		return *p, nil
	}
	window := l.windows.Get().(*[]byte)
	defer l.windows.Put(window)
	s := scanner{f: v.h.file, at: v.begin.at, limit: v.limit, next: v.begin.offset, chunk: windowBytes, buf: (*window)[:0]}
	for {
		more, err := s.more()
		if err != nil {
			return place{}, l.found(v, s.next, err)
		}
		if !more || s.h.Next() > offset {
			return place{seg: v.h.seg, offset: s.next, at: s.at}, nil
		}
		s.skip()
	}
}

// readBatches reads from a batch on. What it appends to dst has been checked.
func (l *Log) readBatches(v view, dst []byte, from place, most int, upTo int64) ([]byte, error) {
	old := len(dst)
	size := min(int64(max(most, batch.HeaderBytes)), v.limit-from.at)
	dst, err := l.readAt(v, dst, from.at, size)
	if err != nil {
		return dst[:old], l.found(v, from.offset, err)
	}
	h, err := batch.Parse(dst[old:])
	if err == nil && int64(h.Bytes) > v.limit-from.at {
		err = errEnd
	}
	if err != nil {
		return dst[:old], l.found(v, from.offset, &bad{from.at, err})
	}
	if rest := h.Bytes - (len(dst) - old); rest > 0 && h.Next() <= upTo {
		if dst, err = l.readAt(v, dst, from.at+size, int64(rest)); err != nil {
			return dst[:old], l.found(v, from.offset, err)
		}
	}
	return l.trim(v, dst, old, from, upTo)
}

// trim cuts dst behind the last whole batch that ends at or below upTo, and checks those before.
func (l *Log) trim(v view, dst []byte, old int, from place, upTo int64) ([]byte, error) {
	keep, next := old, from.offset
	var wrong error
	err := batch.Walk(dst[old:], func(h batch.Header, raw []byte) bool {
		if h.Next() > upTo {
			return false
		}
		if h.BaseOffset < next {
			wrong = fmt.Errorf("%w: %d where %d was expected", errOrder, h.BaseOffset, next)
		} else {
			wrong = batch.Check(raw)
		}
		if wrong != nil {
			return false
		}
		keep += len(raw)
		next = h.Next()
		return true
	})
	if wrong == nil && !errors.Is(err, batch.ErrShort) {
		wrong = err
	}
	at := from.at + int64(keep-old)
	if wrong != nil && keep == old {
		return dst[:old], l.found(v, next, &bad{at, wrong})
	}
	if keep > old {
		l.last.Store(&place{seg: v.h.seg, offset: next, at: at})
	}
	return dst[:keep], nil // what is wrong behind that is for the next read to report
}

// readAt appends size bytes of the segment.
func (l *Log) readAt(v view, dst []byte, at, size int64) ([]byte, error) {
	old := len(dst)
	dst = slices.Grow(dst, int(size))[:old+int(size)]
	n, err := v.h.file.ReadAt(dst[old:], at)
	if int64(n) == size {
		return dst, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = &bad{at, io.ErrUnexpectedEOF}
	}
	return dst, err
}

// found makes an error of what a reader of a segment came across.
func (l *Log) found(v view, offset int64, err error) error {
	if b, ok := errors.AsType[*bad](err); ok {
		return l.damage(v.h.seg.base, b.at, offset, b.cause)
	}
	return fmt.Errorf("read %s: %w", l.file(v.h.seg.base, logEnd), err)
}
