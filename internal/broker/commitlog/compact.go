package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// A Builder writes a segment that is to take the place of others, for one goroutine. It is no part of the log until
// Replace.
type Builder struct {
	l        *Log
	file     disk.File
	contents *contents
	markers  []int64 // offsets of the batches that are markers
	closed   bool
	finished bool
	err      error // why nothing can be appended any more
}

// NewSegment begins a segment that will take the place of some from base on. It ends with Finish and Replace, or Discard.
func (l *Log) NewSegment(base int64) (*Builder, error) {
	f, err := l.fs.Open(l.file(base, cleanEnd), disk.Create)
	if err != nil {
		return nil, fmt.Errorf("new segment of log %q: %w", l.dir, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Builder{l: l, file: f, contents: newContents(base, nil)}, nil
}

// Append adds a batch; offsets grow, and may leave gaps.
func (b *Builder) Append(h batch.Header, raw []byte) error {
	c := b.contents
	if h.BaseOffset < c.next || h.Bytes != len(raw) {
		return fmt.Errorf("append to segment %d: a batch of %d bytes at offset %d after %d", c.base, len(raw), h.BaseOffset, c.next)
	}
	if b.err != nil {
		return b.err
	}
	if _, err := b.file.WriteAt(raw, c.bytes); err != nil {
		b.err = fmt.Errorf("append to segment %d: %w", c.base, err)
		return b.err
	}
	c.add(h, nil, int64(b.l.o.IndexBytes))
	if h.Control() && h.Records > 0 {
		b.markers = append(b.markers, h.BaseOffset)
	}
	return nil
}

// Bytes is the size of the segment so far.
func (b *Builder) Bytes() int64 { return b.contents.bytes }

// Finish completes the segment. Nothing can be appended any more.
func (b *Builder) Finish() error {
	if b.err != nil {
		return b.err
	}
	var err error
	if !b.l.o.NoSync {
		err = b.file.Sync()
	}
	b.err = errors.New("the segment is finished")
	b.closed = true
	if err = errors.Join(err, b.file.Close()); err != nil {
		return fmt.Errorf("finish segment %d: %w", b.contents.base, err)
	}
	b.finished = true
	return nil
}

// Discard removes the segment.
func (b *Builder) Discard() error {
	if !b.closed {
		b.file.Close() //nolint:errcheck // it is removed
	}
	b.err, b.closed, b.finished = errors.New("the segment was discarded"), true, false
	return errors.Join(remove(b.l.fs, b.l.file(b.contents.base, cleanEnd)), remove(b.l.fs, b.l.file(b.contents.base, cleanSealEnd)))
}

// Replace puts finished segments in the place of complete ones that lie side by side, all of it or nothing whenever the
// process or the power ends. The first may be empty, so that the log goes on beginning where it does; other empty ones are left
// out. Reads that are under way finish on what they began with. After an
// error the segments of add are discarded unless the swap was decided already, in which case the next Open finishes it.
func (l *Log) Replace(remove []int64, add []*Builder) error {
	if err := l.writable(); err != nil {
		return err
	}
	s, err := l.plan(remove, add)
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		for _, b := range add {
			err = errors.Join(err, b.Discard())
		}
		return fmt.Errorf("replace segments of log %q: %w", l.dir, err)
	}
	if err := s.perform(); err != nil {
		return fmt.Errorf("replace segments of log %q: %w", l.dir, l.breakOn(err))
	}
	return nil
}

// A swap puts new segments in the place of old ones.
type swap struct {
	l        *Log
	from, to int // the old ones in Log.segments
	old      []*segment
	add      []*Builder
}

// plan checks that the new segments fit where the old ones are.
func (l *Log) plan(remove []int64, add []*Builder) (*swap, error) {
	sealed := l.sealedSegments()
	if len(remove) == 0 {
		return nil, errors.New("no segments to replace")
	}
	from := slices.IndexFunc(sealed, func(s *segment) bool { return s.base == remove[0] })
	to := from + len(remove)
	if from < 0 || to > len(sealed) {
		return nil, fmt.Errorf("%d is not the first of %d complete segments", remove[0], len(remove))
	}
	for i, s := range sealed[from:to] {
		if s.base != remove[i] {
			return nil, fmt.Errorf("segment %d does not follow the one before it; %d does", remove[i], s.base)
		}
	}
	s := &swap{l: l, from: from, to: to, old: sealed[from:to]}
	next := remove[0]
	for _, b := range add {
		if !b.finished || b.contents.base < next {
			return nil, fmt.Errorf("segment %d is not finished, or begins before %d", b.contents.base, next)
		}
		next = b.contents.next
		if b.contents.bytes > 0 || len(s.add) == 0 {
			s.add = append(s.add, b)
			continue
		}
		if err := b.Discard(); err != nil {
			return nil, err
		}
	}
	if next > l.segments[to].base {
		return nil, fmt.Errorf("the new segments end at %d, where the next one begins at %d", next, l.segments[to].base)
	}
	return s, nil
}

// prepare writes the sidecars of the new segments, and the swap.
func (s *swap) prepare() error {
	l := s.l
	if len(s.add) == 0 && s.to == len(l.segments)-1 {
		if err := l.standAlone(); err != nil {
			return err
		}
	}
	old, err := s.sidecars()
	if err != nil {
		return err
	}
	for i, b := range s.add {
		b.complete(old, i == len(s.add)-1)
		if err := l.writeFile(l.file(b.contents.base, cleanSealEnd), encodeSeal(b.contents)); err != nil {
			return err
		}
	}
	return l.writeTemporary(l.named(swapName+tmpEnd), s.list().encode())
}

func (s *swap) list() swapList {
	var list swapList
	for _, o := range s.old {
		list.remove = append(list.remove, o.base)
	}
	for _, b := range s.add {
		list.add = append(list.add, b.contents.base)
	}
	return list
}

// sidecars reads those of the old segments.
func (s *swap) sidecars() ([]*contents, error) {
	s.l.names.RLock()
	defer s.l.names.RUnlock()
	var out []*contents
	for _, seg := range s.old {
		c, err := s.l.sealed(seg)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// complete gives the new segment what only the old ones know. The state of the tracker is known at their end only.
func (b *Builder) complete(old []*contents, last bool) {
	c := b.contents
	end := old[len(old)-1]
	c.epochs = nil
	for _, e := range end.epochs {
		if e.First < c.next || last {
			c.epochs = append(c.epochs, e)
		}
	}
	c.aborted = nil
	for _, o := range old {
		for _, a := range o.aborted {
			// Without its marker a reader would take the rest of the log for aborted.
			if _, kept := slices.BinarySearch(b.markers, a.Last); kept {
				c.aborted = append(c.aborted, a)
			}
		}
	}
	if c.stated = last && end.stated; c.stated {
		c.state = end.state
	}
}

// perform decides and does it.
func (s *swap) perform() error {
	l := s.l
	l.names.Lock()
	defer l.names.Unlock()
	if err := l.fs.Rename(l.named(swapName+tmpEnd), l.named(swapName)); err != nil {
		return err
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	if err := l.finish(s.list()); err != nil {
		return err
	}
	segs := slices.Clone(l.segments[:s.from])
	for _, b := range s.add {
		seg := &segment{base: b.contents.base, bytes: b.contents.bytes}
		seg.brief.Store(b.contents.brief())
		segs = append(segs, seg)
	}
	l.install(append(segs, l.segments[s.to:]...), s.old, 0)
	return nil
}
