package commitlog

import (
	"errors"
	"fmt"

	"ravenswood.dev/internal/broker/disk"
)

// rebuild makes the sidecar of a complete segment anew by reading it, from the state in the newest sidecar before it, so
// possibly after segments before it. The caller has names and rebuilding.
func (l *Log) rebuild(seg *segment) (*contents, error) {
	t, err := l.scratch()
	if err != nil {
		return nil, fmt.Errorf("rebuild sidecar %q: %w", l.file(seg.base, sealEnd), err)
	}
	l.mu.RLock()
	segs := l.sealedSegments()
	segs = segs[:l.at(seg.base)+1]
	l.mu.RUnlock()
	c, from, err := l.stateBefore(segs, t)
	if err != nil {
		return nil, err
	}
	for _, s := range segs[from:] {
		if c, err = l.rebuildOne(s, newContents(s.base, c.epochs), t); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// scratch is a tracker to replay with.
func (l *Log) scratch() (Tracker, error) {
	switch {
	case l.o.Tracker == nil:
		return nil, nil
	case l.o.NewTracker == nil:
		return nil, errors.New("the log was opened without a way to make a tracker")
	}
	return l.o.NewTracker(), nil
}

// stateBefore restores the state at the end of one of the segments before the last, and returns the index after it.
func (l *Log) stateBefore(segs []*segment, t Tracker) (*contents, int, error) {
	for i := len(segs) - 2; i >= 0; i-- {
		c, err := l.readSealed(segs[i])
		if err == nil && c.stated && l.restore(t, c.state) == nil {
			return c, i + 1, nil
		}
		if err != nil && !errors.Is(err, errSeal) {
			return nil, 0, err
		}
	}
	return newContents(segs[0].base, nil), 0, l.restore(t, nil)
}

func (l *Log) rebuildOne(s *segment, c *contents, t Tracker) (*contents, error) {
	f, err := l.fs.Open(l.file(s.base, logEnd), disk.Read)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if c, err = l.readThrough(f, s.bytes, c, t, false); err != nil {
		return nil, l.found(view{h: &handle{seg: s}}, c.next, err)
	}
	return c, l.writeSeal(c, t)
}
