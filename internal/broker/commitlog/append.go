package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// Append adds one batch at the end. Its base offset must be End, and h must be what Parse says of raw, which is not kept.
// After an error the log and its tracker are as before.
func (l *Log) Append(h batch.Header, raw []byte) error {
	if err := l.writable(); err != nil {
		return err
	}
	c := l.active.contents // only the writer, who we are, changes it
	if h.BaseOffset != c.next || h.Bytes != len(raw) {
		return fmt.Errorf("append to log %q: a batch of %d bytes at offset %d, where %d is expected, has %d bytes", l.dir, h.Bytes, h.BaseOffset, c.next, len(raw))
	}
	if c.bytes > 0 && c.bytes+int64(len(raw)) > l.o.SegmentBytes {
		if err := l.Roll(); err != nil {
			return err
		}
		c = l.active.contents
	}
	if _, err := l.active.file.WriteAt(raw, c.bytes); err != nil {
		return l.takeBack(c.bytes, err)
	}
	aborted := l.observe(h, raw)
	l.mu.Lock()
	c.add(h, aborted, int64(l.o.IndexBytes))
	l.mu.Unlock()
	return nil
}

func (l *Log) observe(h batch.Header, raw []byte) *Aborted {
	if l.o.Tracker == nil {
		return nil
	}
	return l.o.Tracker.Observe(h, raw)
}

// takeBack removes what a failed write may have left. If that fails too the next write could not be told from the rest
// of this one, so there is no next write.
func (l *Log) takeBack(size int64, err error) error {
	err = fmt.Errorf("append to log %q: %w", l.dir, err)
	if undo := l.active.file.Truncate(size); undo != nil {
		return l.breakOn(errors.Join(err, fmt.Errorf("cut off what was written: %w", undo)))
	}
	return err
}

// Roll completes the active segment and begins the next one. An empty one stays.
func (l *Log) Roll() error {
	if err := l.writable(); err != nil {
		return err
	}
	c := l.active.contents
	if c.bytes == 0 {
		return nil
	}
	if err := l.seal(); err != nil {
		return fmt.Errorf("roll log %q: %w", l.dir, err)
	}
	next, err := l.create(c.next, c.epochs)
	if err != nil {
		return fmt.Errorf("roll log %q: %w", l.dir, err)
	}
	old := l.active
	old.seg.bytes = c.bytes
	old.seg.brief.Store(c.brief())
	l.mu.Lock()
	l.active = next
	l.segments = append(slices.Clip(l.segments), next.seg)
	l.mu.Unlock()
	l.covered = -1
	l.cache.put(old)
	return nil
}

// create makes the file of a new active segment.
func (l *Log) create(base int64, epochs []EpochStart) (*handle, error) {
	name := l.file(base, logEnd)
	f, err := l.fs.Open(name, disk.Create)
	if err != nil {
		return nil, err
	}
	// A roll that failed half-way may have left the file, but never with anything in it.
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := l.syncDir(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &handle{seg: &segment{base: base}, file: f, contents: newContents(base, epochs), refs: 1}, nil
}

// seal syncs the active segment and writes its sidecar, unless the one that is there covers it.
func (l *Log) seal() error {
	c := l.active.contents
	if l.covered == c.bytes {
		return nil
	}
	if err := l.syncFile(l.active.file); err != nil {
		return err
	}
	full := *c
	full.stated = true
	if l.o.Tracker != nil {
		full.state = l.o.Tracker.Snapshot()
	}
	if err := l.writeFile(l.file(c.base, sealEnd), encodeSeal(&full)); err != nil {
		return err
	}
	l.covered = c.bytes
	return nil
}

// Sync makes what was appended survive a loss of power, and says up to which offset. It may run while Append does. After an
// error nothing is known of what was written since the last success, so the log takes no more.
func (l *Log) Sync() (upTo int64, err error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	l.mu.RLock()
	h := l.cache.hold(l.active)
	upTo = h.contents.next
	l.mu.RUnlock()
	defer l.cache.release(h)
	if err := h.file.Sync(); err != nil {
		return 0, l.breakOn(fmt.Errorf("sync log %q: %w", l.dir, err))
	}
	return upTo, nil
}

// Checkpoint syncs the log and writes a sidecar for the active segment, so that Open has nothing to read but that.
func (l *Log) Checkpoint() error {
	if err := l.writable(); err != nil {
		return err
	}
	if err := l.seal(); err != nil {
		return fmt.Errorf("checkpoint log %q: %w", l.dir, err)
	}
	return nil
}

// Close is Checkpoint, and gives the files back. Reads that are under way finish.
func (l *Log) Close() error {
	err := l.Checkpoint()
	l.shut()
	return err
}

// shut closes the files. A second call does nothing.
func (l *Log) shut() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return
	}
	l.cache.close()
	l.cache.release(l.active)
}
