package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"ravenswood.dev/internal/broker/disk"
)

// handlesKept is how many sealed segments of a log stay open with their index. Readers at the end use the active one,
// which is open anyway.
const handlesKept = 4

// errGone: the segment is no longer part of the log; look again.
var errGone = errors.New("segment was replaced")

// A segment is one file of the log.
type segment struct {
	base  int64
	bytes int64                 // of a sealed one
	brief atomic.Pointer[brief] // nil: not looked at yet
	gone  bool                  // GUARDED_BY(Log.names); removed or replaced
}

// A handle is an open segment. Its contents never change, but for the active segment's, which Log.mu guards.
type handle struct {
	seg      *segment
	file     disk.File
	contents *contents
	refs     int // GUARDED_BY(cache.mu)
}

// A cache holds the open sealed segments. The cache counts as one reference to each; a handle is closed when the last
// reference is given back, so a read goes on when its segment is removed meanwhile.
type cache struct {
	mu     sync.Mutex
	open   []*handle // GUARDED_BY(mu); the last used comes last
	closed bool      // GUARDED_BY(mu); nothing is kept any more
}

// take returns the handle of a segment if it is open.
func (c *cache) take(seg *segment) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open, func(h *handle) bool { return h.seg == seg })
	if i < 0 {
		return nil
	}
	h := c.open[i]
	c.open = append(slices.Delete(c.open, i, i+1), h)
	h.refs++
	return h
}

// put keeps a handle, which has one reference that becomes the cache's, and closes those that are too many.
func (c *cache) put(h *handle) {
	c.mu.Lock()
	c.open = append(c.open, h)
	var old *handle
	if len(c.open) > handlesKept || c.closed {
		old = c.open[0]
		c.open = slices.Delete(c.open, 0, 1)
	}
	c.mu.Unlock()
	if old != nil {
		c.release(old)
	}
}

// drop forgets the handles of segments.
func (c *cache) drop(which func(*segment) bool) {
	c.mu.Lock()
	var out []*handle
	c.open = slices.DeleteFunc(c.open, func(h *handle) bool {
		if which(h.seg) {
			out = append(out, h)
			return true
		}
		return false
	})
	c.mu.Unlock()
	for _, h := range out {
		c.release(h)
	}
}

// close forgets all handles, and those that readers under way still open.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.drop(func(*segment) bool { return true })
}

// hold takes one more reference.
func (c *cache) hold(h *handle) *handle {
	c.mu.Lock()
	h.refs++
	c.mu.Unlock()
	return h
}

// release gives a reference back.
func (c *cache) release(h *handle) {
	c.mu.Lock()
	h.refs--
	last := h.refs == 0
	c.mu.Unlock()
	if last {
		h.file.Close() //nolint:errcheck // what had to last was synced before
	}
}

// acquire returns an open sealed segment, to be released. errGone means that the list of segments has changed.
func (l *Log) acquire(seg *segment) (*handle, error) {
	if h := l.cache.take(seg); h != nil {
		return h, nil
	}
	l.names.RLock()
	defer l.names.RUnlock()
	h, err := l.openSealed(seg)
	if err != nil {
		return nil, err
	}
	h.refs = 2
	l.cache.put(h)
	return h, nil
}

// openSealed opens a segment and its sidecar, which it makes anew if need be. The caller has names.
func (l *Log) openSealed(seg *segment) (*handle, error) {
	if seg.gone {
		return nil, errGone
	}
	f, err := l.fs.Open(l.file(seg.base, logEnd), disk.Read)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	c, err := l.sealed(seg)
	if err != nil {
		f.Close() //nolint:errcheck // it was only opened
		return nil, err
	}
	slim := *c
	slim.state = nil // large, and of no use to a reader
	seg.brief.Store(c.brief())
	return &handle{seg: seg, file: f, contents: &slim}, nil
}

// sealed reads the sidecar of a complete segment. The caller has names.
func (l *Log) sealed(seg *segment) (*contents, error) {
	c, err := l.readSealed(seg)
	if !errors.Is(err, errSeal) {
		return c, err
	}
	l.rebuilding.Lock()
	defer l.rebuilding.Unlock()
	if c, err := l.readSealed(seg); !errors.Is(err, errSeal) {
		return c, err // somebody else was quicker
	}
	return l.rebuild(seg)
}

// readSealed is readSeal for a complete segment: a sidecar that is not there or does not cover all is unusable.
func (l *Log) readSealed(seg *segment) (*contents, error) {
	c, err := readSeal(l.fs, l.file(seg.base, sealEnd), seg.base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errSeal, err)
	case err != nil:
		return nil, err
	case c.bytes > seg.bytes && !l.o.NoSync:
		return nil, l.damage(seg.base, seg.bytes, c.next, errShorter)
	case c.bytes != seg.bytes:
		return nil, fmt.Errorf("%w: it covers %d bytes of %d", errSeal, c.bytes, seg.bytes)
	}
	return c, nil
}

// errShorter: bytes that were synced before the sidecar was written are not there.
var errShorter = errors.New("the segment is shorter than its sidecar says")

// look returns the brief of a sealed segment.
func (l *Log) look(seg *segment) (*brief, error) {
	if b := seg.brief.Load(); b != nil {
		return b, nil
	}
	l.names.RLock()
	defer l.names.RUnlock()
	if seg.gone {
		return nil, errGone
	}
	c, err := l.sealed(seg)
	if err != nil {
		return nil, err
	}
	seg.brief.Store(c.brief())
	return seg.brief.Load(), nil
}
