package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

const (
	windowBytes = 1 << 20
	baseDigits  = 20
	crcFrom     = 21 // the checksum of a batch covers what follows
	crcAt       = 17
	magicAt     = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A segment is one file of batches.
type segment struct {
	name string // path
	base int64
	size int64
	next int64 // base of the segment after it; math.MaxInt64: it is the last one
	seal sidecar
}

func (s segment) last() bool { return s.next == math.MaxInt64 }

func (p partition) segments() []segment {
	var all []segment
	for _, f := range p.files { // sorted, and the names have leading zeros
		if base, ok := parseName(f.Name, ".log"); ok && !f.Dir {
			if n := len(all); n > 0 {
				all[n-1].next = base
			}
			all = append(all, segment{name: path.Join(p.dir, f.Name), base: base, size: f.Size, next: math.MaxInt64})
		}
	}
	return all
}

func parseName(name, end string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, end)
	if !ok || len(digits) != baseDigits {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 10, 63)
	return int64(base), err == nil
}

// A hole is bytes of a segment that are no batches.
type hole struct {
	from, to int64 // bytes
	expected int64 // offset of the first batch that is missing
	resumes  int64 // offset of the first batch behind it; -1: there is none
	cause    error
	partial  bool // it begins with a batch that the end of the file cuts off
}

// A reading is what a segment turned out to hold.
type reading struct {
	batches, records int64
	next             int64 // offset after the last batch
	holes            []hole
	at               map[int64]int64 // offset after the batch that ends at these positions, for those asked for; else -1
}

// scan reads a whole segment. marks are positions in the file for which the reading tells the offset that comes next.
func (e *examiner) scan(s segment, marks ...int64) (r reading, err error) {
	f, err := e.o.Files.Open(s.name, disk.Read)
	if err != nil {
		return r, fmt.Errorf("open %s: %w", s.name, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	r = reading{next: s.base, at: map[int64]int64{}}
	for _, m := range marks {
		r.at[m] = -1
	}
	for pos := int64(0); ; {
		if _, asked := r.at[pos]; asked {
			r.at[pos] = r.next
		}
		if pos >= s.size {
			return r, nil
		}
		h, bad, err := e.examine(f, s, pos, r.next)
		if err != nil {
			return r, err
		}
		if bad == nil {
			bad, err = e.misplaced(f, s, pos, r.next, h)
		}
		if err != nil {
			return r, err
		}
		if bad == nil {
			r.batches, r.records, r.next = r.batches+1, r.records+int64(h.Records), h.Next()
			pos += int64(h.Bytes)
			if err := e.read(s.name, int64(h.Bytes)); err != nil {
				return r, err
			}
			continue
		}
		gap, err := e.skip(f, s, pos, r.next, bad)
		if err != nil {
			return r, err
		}
		r.holes = append(r.holes, gap)
		pos = gap.to
		if gap.resumes >= 0 {
			r.next = gap.resumes
		}
	}
}

// errCut is a batch whose end is not in the file.
var errCut = errors.New("the file ends inside a batch")

// examine says what is wrong with the batch at a position, nil if nothing is. expected is the lowest offset that it may have.
func (e *examiner) examine(f disk.File, s segment, pos, expected int64) (h batch.Header, bad, err error) {
	var head [batch.HeaderBytes]byte
	n, err := f.ReadAt(head[:], pos)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	if n < len(head) {
		return h, errCut, nil
	}
	h, err = batch.Parse(head[:])
	switch {
	case err != nil:
		return h, err, nil //nolint:nilerr // it is what was looked for
	case h.BaseOffset < expected:
		return h, fmt.Errorf("its offset is %d, after offset %d", h.BaseOffset, expected-1), nil
	case h.Next() > s.limit(pos):
		return h, fmt.Errorf("its offsets reach %d, but what comes then begins at %d", h.Next()-1, s.limit(pos)), nil
	case pos+int64(h.Bytes) > s.size:
		return h, errCut, nil
	}
	bad, err = e.checksum(f, s, pos, h)
	return h, bad, err
}

// limit is the offset that a batch at a position cannot reach.
func (s segment) limit(pos int64) int64 {
	if s.last() && pos < s.seal.bytes {
		return s.seal.next
	}
	return s.next
}

// misplaced says how the offset of a batch that is good in itself contradicts its neighbours: the checksum does not cover it.
// The last segment was never compacted, so nothing is left out there.
func (e *examiner) misplaced(f disk.File, s segment, pos, expected int64, h batch.Header) (bad, err error) {
	if s.last() && h.BaseOffset != expected {
		return fmt.Errorf("its offset is %d, where %d comes next", h.BaseOffset, expected), nil
	}
	if h.BaseOffset == expected || pos+int64(h.Bytes) == s.size {
		return nil, nil
	}
	behind, bad, err := e.examine(f, s, pos+int64(h.Bytes), expected)
	if err != nil || bad != nil || behind.BaseOffset >= h.Next() {
		return nil, err
	}
	return fmt.Errorf("its offset is %d, but the batch behind it begins at %d", h.BaseOffset, behind.BaseOffset), nil
}

// checksum reads a batch in pieces.
func (e *examiner) checksum(f disk.File, s segment, pos int64, h batch.Header) (bad, err error) {
	sum := uint32(0)
	for at, end := pos+crcFrom, pos+int64(h.Bytes); at < end; {
		b := e.buffer[:min(int64(len(e.buffer)), end-at)]
		if n, err := f.ReadAt(b, at); n < len(b) {
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
		sum = crc32.Update(sum, castagnoli, b)
		at += int64(len(b))
	}
	if sum != h.CRC {
		return fmt.Errorf("the checksum is %08x, the bytes make %08x", h.CRC, sum), nil
	}
	return nil, nil
}

// skip finds where batches go on behind a bad place: the next position that has a whole batch with the right checksum and a
// possible offset, followed by another one or by the end. Records may hold bytes that look like a batch, but not ones that the
// rest of the file continues.
func (e *examiner) skip(f disk.File, s segment, pos, expected int64, cause error) (hole, error) {
	gap := hole{from: pos, to: s.size, expected: expected, resumes: -1, cause: cause, partial: errors.Is(cause, errCut)}
	if resumes, to, err := e.follows(f, s, pos, expected); err != nil || resumes >= 0 {
		gap.to, gap.resumes = to, resumes
		return gap, errors.Join(err, e.read(s.name, gap.to-pos))
	}
	window := make([]byte, windowBytes)
	for at := pos + 1; at+batch.HeaderBytes <= s.size; {
		n, err := f.ReadAt(window[:min(windowBytes, s.size-at)], at)
		if n < batch.HeaderBytes {
			return gap, fmt.Errorf("read %s: %w", s.name, err)
		}
		for i := range n - batch.HeaderBytes + 1 {
			if window[i+magicAt] != 2 || int64(binary.BigEndian.Uint64(window[i:])) < expected {
				continue
			}
			resumes, ok, err := e.continues(f, s, at+int64(i), expected)
			if err != nil {
				return gap, err
			}
			if ok {
				gap.to, gap.resumes = at+int64(i), resumes
				return gap, e.read(s.name, gap.to-pos)
			}
		}
		at += int64(n - batch.HeaderBytes + 1)
	}
	return gap, e.read(s.name, gap.to-pos)
}

// follows looks where the bad batch itself says that it ends: most often only its records have changed. resumes is -1 if there
// is no good batch.
func (e *examiner) follows(f disk.File, s segment, pos, expected int64) (resumes, to int64, err error) {
	var head [batch.HeaderBytes]byte
	if n, _ := f.ReadAt(head[:], pos); n < len(head) {
		return -1, 0, nil
	}
	h, err := batch.Parse(head[:])
	if err != nil || h.BaseOffset < expected || h.Next() > s.limit(pos) {
		return -1, 0, nil //nolint:nilerr // it is bad, that is why
	}
	next, bad, err := e.examine(f, s, pos+int64(h.Bytes), h.Next())
	if err != nil || bad != nil {
		return -1, 0, err
	}
	return next.BaseOffset, pos + int64(h.Bytes), nil
}

// continues says whether good batches begin at a position. The one behind the first may be bad in its turn, but must begin like
// one that follows.
func (e *examiner) continues(f disk.File, s segment, pos, expected int64) (first int64, ok bool, err error) {
	h, bad, err := e.examine(f, s, pos, expected)
	if err != nil || bad != nil {
		return 0, false, err
	}
	after := pos + int64(h.Bytes)
	if after == s.size {
		return h.BaseOffset, true, nil
	}
	var head [batch.HeaderBytes]byte
	if n, err := f.ReadAt(head[:], after); n < len(head) {
		if errors.Is(err, io.EOF) {
			return h.BaseOffset, true, nil // a torn end
		}
		return 0, false, err
	}
	following, err := batch.Parse(head[:])
	ok = err == nil && following.BaseOffset >= h.Next() && following.Next() <= s.limit(after)
	return h.BaseOffset, ok, nil
}
