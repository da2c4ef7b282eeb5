package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// SetStart takes the records below an offset out of the log and removes the segments that have only such. An offset at or
// below Start changes nothing. The caller has noted the offset durably before: after a loss of power any of the removed
// files may be back, and only the same call leaves them out again.
func (l *Log) SetStart(offset int64) error {
	if err := l.writable(); err != nil {
		return err
	}
	start, end := l.Start(), l.End()
	if offset > end {
		return &RangeError{Offset: offset, Start: start, End: end}
	}
	if offset <= start {
		return nil
	}
	n := 0 // segments to remove
	for n < len(l.segments)-1 && l.segments[n+1].base <= offset {
		n++
	}
	if n > 0 && n == len(l.segments)-1 {
		if err := l.standAlone(); err != nil {
			return fmt.Errorf("set start of log %q: %w", l.dir, err)
		}
	}
	l.names.Lock()
	defer l.names.Unlock()
	out := l.segments[:n]
	l.install(l.segments[n:], out, offset)
	for _, s := range out {
		if err := l.unlink(s.base); err != nil {
			return fmt.Errorf("set start of log %q: %w", l.dir, l.breakOn(err))
		}
	}
	if n == 0 {
		return nil
	}
	return l.syncDir()
}

// standAlone sees to it that the active segment has a sidecar: it is all that tells the state of the tracker when the
// segment before it goes.
func (l *Log) standAlone() error {
	if l.covered >= 0 {
		return nil
	}
	return l.seal()
}

// install puts other segments in the place of some. The caller has names.
func (l *Log) install(segs, out []*segment, start int64) {
	for _, s := range out {
		s.gone = true
	}
	l.mu.Lock()
	l.segments = segs
	l.start = max(l.start, start)
	l.mu.Unlock()
	l.cache.drop(func(s *segment) bool { return s.gone })
}

// unlink removes a segment and then its sidecar, so that there is never a segment without one.
func (l *Log) unlink(base int64) error {
	if err := remove(l.fs, l.file(base, logEnd)); err != nil {
		return err
	}
	return remove(l.fs, l.file(base, sealEnd))
}

// Remove closes the log and deletes its directory.
func (l *Log) Remove() error {
	l.names.Lock()
	defer l.names.Unlock()
	l.shut()
	entries, err := l.fs.List(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := remove(l.fs, path.Join(l.dir, e.Name)); err != nil {
			return fmt.Errorf("remove log %q: %w", l.dir, err)
		}
	}
	if err := remove(l.fs, l.dir); err != nil || l.o.NoSync {
		return err
	}
	return l.fs.SyncDir(path.Dir(l.dir))
}
