package file

import (
	"bytes"
	"fmt"
	"io"
)

// unitMax is the longest line or row that is ever held in memory.
const unitMax = 16 << 20

// window is a stretch of a stream held in memory: what has been read but not been taken. It grows with the longest
// line, up to unitMax, and keeps a line that is not finished for when the rest is there.
type window struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] has been read, not taken
}

// errTooLong says that a line or row does not fit into unitMax.
var errTooLong = fmt.Errorf("longer than %d MB", unitMax>>20)

// seen is what is in memory and not taken.
func (w *window) seen() []byte { return w.buf[w.r:w.w] }

// more reads on. It returns io.EOF if the stream has nothing more for now.
func (w *window) more() error {
	if w.w == len(w.buf) {
		if err := w.room(); err != nil {
			return err
		}
	}
	for range 100 {
		n, err := w.src.Read(w.buf[w.w:])
		w.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes room at the end, by moving what is there to the front or by growing.
func (w *window) room() error {
	if w.r > 0 {
		w.w = copy(w.buf, w.seen())
		w.r = 0
		if w.w < len(w.buf)/2 {
			return nil
		}
	}
	if w.w > unitMax {
		return errTooLong
	}
	grown := make([]byte, max(64<<10, 2*len(w.buf)))
	copy(grown, w.seen())
	w.buf = grown
	return nil
}

// take removes the first n bytes.
func (w *window) take(n int) { w.r += n }

// A splitter finds the end of the first unit of data. It returns 0 if the unit does not end in data; its second call
// for the same unit gets the same data with more behind it.
type splitter interface {
	end(data []byte) int
	// reset forgets what it knows of a unit.
	reset()
}

// next returns the length of the next unit, reading on as needed. With io.EOF the length is that of the unfinished
// unit at the end, which may be 0; errTooLong says that limit bytes hold no end.
func (w *window) next(s splitter, limit int) (int, error) {
	s.reset()
	for {
		n := s.end(w.seen())
		if n > 0 && n <= unitMax {
			return n, nil
		}
		if n > 0 || len(w.seen()) > limit {
			return 0, errTooLong
		}
		if err := w.more(); err != nil {
			return len(w.seen()), err
		}
	}
}

// lines splits after each newline.
type lines struct{ scanned int }

func (l *lines) reset() { l.scanned = 0 }

func (l *lines) end(data []byte) int {
	if i := bytes.IndexByte(data[l.scanned:], '\n'); i >= 0 {
		return l.scanned + i + 1
	}
	l.scanned = len(data)
	return 0
}

// trimEnd removes a newline, and a carriage return before it.
func trimEnd(line []byte) []byte {
	line, found := bytes.CutSuffix(line, []byte{'\n'})
	if found {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return line
}
