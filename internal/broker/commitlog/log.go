package commitlog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"ravenswood.dev/internal/broker/disk"
)

// Defaults and bounds of Options.
const (
	segmentBytesDefault = 64 << 20
	segmentBytesMax     = 2 << 30 // a position has four bytes in a sidecar
	indexBytesDefault   = 16 << 10
)

// A Log is the batches of one partition. See the package comment for who may call what when.
//
// Order of its locks: names, rebuilding, mu, cache.mu. Only names and rebuilding are held over I/O, and Append takes neither.
type Log struct {
	fs  disk.FS
	dir string
	o   Options

	// names is held while files are opened by name (shared) and while names come to stand for other files or none.
	names      sync.RWMutex
	rebuilding sync.Mutex // one sidecar at a time is made anew
	cache      cache

	mu       sync.RWMutex
	segments []*segment // GUARDED_BY(mu); by base; the last is the active one; copied when changed
	active   *handle    // GUARDED_BY(mu); its contents grow under mu
	start    int64      // GUARDED_BY(mu)
	broken   error      // GUARDED_BY(mu); why nothing can be written any more
	closed   bool       // GUARDED_BY(mu)

	covered int64                 // bytes of the active segment that its sidecar on disk covers; -1: it has none; the writer's
	last    atomic.Pointer[place] // where the last read ended
	windows sync.Pool             // of *[]byte, for looking at headers
}

// A place is a batch in a segment.
type place struct {
	seg    *segment
	offset int64
	at     int64
}

// ErrBroken is the cause of every refused write after an error that leaves open what is in the files; only opening the log
// again can tell.
var ErrBroken = errors.New("closed for writing since an error")

// ErrClosed is what a log answers after Close or Remove, also to a Sync or a read that comes late.
var ErrClosed = errors.New("the log is closed")

func newLog(fs disk.FS, dir string, o Options) *Log {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = segmentBytesDefault
	}
	o.SegmentBytes = min(o.SegmentBytes, segmentBytesMax)
	if o.IndexBytes <= 0 {
		o.IndexBytes = indexBytesDefault
	}
	l := &Log{fs: fs, dir: dir, o: o, covered: -1}
	l.windows.New = func() any { b := make([]byte, windowBytes); return &b }
	return l
}

// Start is the offset of the first record that is still part of the log.
func (l *Log) Start() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.start
}

// End is the offset that the next record gets.
func (l *Log) End() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.active.contents.next
}

// Bytes is the size of all segments.
func (l *Log) Bytes() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bytes()
}

func (l *Log) bytes() int64 {
	sum := l.active.contents.bytes
	for _, s := range l.sealedSegments() {
		sum += s.bytes
	}
	return sum
}

// sealedSegments are all but the active one. The caller has mu.
func (l *Log) sealedSegments() []*segment { return l.segments[:len(l.segments)-1] }

// Segments lists the files of the log in order. The first call after Open may read the sidecars.
func (l *Log) Segments() []Segment {
	all := l.overview()
	out := make([]Segment, len(all))
	for i, s := range all {
		out[i] = s.Segment
	}
	return out
}

// unknownTime is the MaxTime of a segment that cannot be read.
const unknownTime = math.MaxInt64

// A summary is what is known of a segment without reading it.
type summary struct {
	Segment
	maxAt int64 // first offset of the first batch with MaxTime
}

// overview is Segments with more in it.
func (l *Log) overview() []summary {
	for {
		l.mu.RLock()
		segs := l.segments
		c := l.active.contents
		active := summary{Segment{Base: c.base, Next: c.next, Bytes: c.bytes, MaxTime: c.maxTime, Active: true}, c.maxAt}
		l.mu.RUnlock()
		if sealed, ok := l.summaries(segs); ok {
			return append(sealed, active)
		}
	}
}

// summaries are those of all but the last segment, unless one of them is gone.
func (l *Log) summaries(segs []*segment) ([]summary, bool) {
	var out []summary
	for i, s := range segs[:len(segs)-1] {
		b, err := l.look(s)
		if errors.Is(err, errGone) {
			return nil, false
		}
		if err != nil {
			b = &brief{next: segs[i+1].base, maxTime: unknownTime, maxAt: s.base}
		}
		out = append(out, summary{Segment{Base: s.base, Next: b.next, Bytes: s.bytes, MaxTime: b.maxTime}, b.maxAt})
	}
	return out, true
}

// Epochs are the leader epochs that the log has records of, in order, each with the first offset from Start on.
func (l *Log) Epochs() []EpochStart {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.epochs()
}

func (l *Log) epochs() []EpochStart {
	out := slices.Clone(l.active.contents.epochs)
	for len(out) > 1 && out[1].First <= l.start {
		out = out[1:]
	}
	if len(out) > 0 {
		out[0].First = max(out[0].First, l.start)
	}
	return out
}

// EpochEnd answers how far the records of a leader epoch go: found is the largest epoch up to the one asked for, end the
// offset after its last record. Both are -1 when the log has not come to the epoch yet.
func (l *Log) EpochEnd(epoch int32) (found int32, end int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	epochs := l.epochs()
	above := slices.IndexFunc(epochs, func(e EpochStart) bool { return e.Epoch > epoch })
	switch {
	case above == 0:
		return epoch, epochs[0].First
	case above > 0:
		return epochs[above-1].Epoch, epochs[above].First
	case len(epochs) > 0 && epochs[len(epochs)-1].Epoch == epoch:
		return epoch, l.active.contents.next
	}
	return -1, -1
}

// breakOn remembers an error after which nothing may be written any more, and returns it.
func (l *Log) breakOn(err error) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// writable is nil as long as the log can be written to.
func (l *Log) writable() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return fmt.Errorf("write log %q: %w", l.dir, ErrClosed)
	}
	if l.broken != nil {
		return fmt.Errorf("write log %q: %w: %w", l.dir, ErrBroken, l.broken)
	}
	return nil
}

// damage makes an error of this log.
func (l *Log) damage(base, at, offset int64, cause error) error {
	return &DamageError{File: l.file(base, logEnd), Position: at, Offset: offset, Cause: cause}
}
