package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// Open opens the log in a directory, or makes an empty one. It reads the newest sidecar and what that does not cover, and
// cuts off a tail that is torn. End is durable afterwards. Start is the first offset that is there; a later one, from
// DeleteRecords, comes from the caller by SetStart.
//
// A *DamageError means that bytes which had been complete before are not what was written; no record has been removed then.
func Open(fs disk.FS, dir string, o Options) (*Log, Recovery, error) {
	l := newLog(fs, dir, o)
	r := &recoverer{l: l}
	if err := r.run(); err != nil {
		if l.active != nil {
			l.cache.release(l.active)
		}
		return nil, r.out, fmt.Errorf("open log %q: %w", dir, err)
	}
	return l, r.out, nil
}

// A recoverer opens one log.
type recoverer struct {
	l    *Log
	out  Recovery
	segs []*segment
}

func (r *recoverer) run() error {
	entries, err := r.list()
	if err != nil {
		return err
	}
	if entries, err = r.finishCompaction(entries); err != nil {
		return err
	}
	if err := r.sweep(entries); err != nil {
		return err
	}
	if len(r.segs) == 0 {
		return r.begin()
	}
	return r.load()
}

// list returns the names in the directory, which it makes if need be.
func (r *recoverer) list() ([]disk.Entry, error) {
	entries, err := r.l.fs.List(r.l.dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return entries, err
	}
	return nil, r.l.fs.MkdirAll(r.l.dir)
}

// sweep notes the segments and removes what was left half-done.
func (r *recoverer) sweep(entries []disk.Entry) error {
	has := map[int64]bool{}
	for _, e := range entries {
		if base, ok := parseName(e.Name, logEnd); ok && !e.Dir {
			r.segs = append(r.segs, &segment{base: base, bytes: e.Size})
			has[base] = true
		}
	}
	slices.SortFunc(r.segs, func(a, b *segment) int { return int(min(max(a.base-b.base, -1), 1)) })
	for _, e := range entries {
		base, seal := parseName(e.Name, sealEnd)
		if !e.Dir && (seal && !has[base] || leftover(e.Name)) {
			if err := remove(r.l.fs, path.Join(r.l.dir, e.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftover says whether a file is one that was being written and is not part of the log.
func leftover(name string) bool {
	if name == swapName+tmpEnd {
		return true
	}
	for _, end := range []string{cleanEnd, cleanSealEnd, sealEnd + tmpEnd, cleanSealEnd + tmpEnd} {
		if _, ok := parseName(name, end); ok {
			return true
		}
	}
	return false
}

// begin makes the first segment of a new log. The names that lead to it come first: a directory without a segment may be
// one whose own name was never synced.
func (r *recoverer) begin() error {
	for dir := r.l.dir; dir != "." && dir != "/" && !r.l.o.NoSync; {
		dir = path.Dir(dir)
		if err := r.l.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	h, err := r.l.create(0, nil)
	if err != nil {
		return err
	}
	return r.use(h)
}

// load restores the state at the newest sidecar and reads what comes after it.
func (r *recoverer) load() error {
	i, c, err := r.newest()
	if err != nil {
		return err
	}
	for ; i < len(r.segs)-1; i++ {
		seg, next := r.segs[i], r.segs[i+1].base
		c, err = r.complete(seg, c)
		if err != nil && r.unfinished(i) && errors.As(err, new(*DamageError)) {
			return r.tail(seg, c)
		}
		if err != nil {
			return err
		}
		if c.next > next {
			return r.l.damage(next, 0, c.next, errOrder)
		}
		c = newContents(next, c.epochs)
	}
	return r.tail(r.segs[i], c)
}

// unfinished says whether all that comes after a segment is an empty one, made by a roll of which a loss of power left only
// that. With syncs of its own the log completes a segment before the next one exists. It removes the empty one.
func (r *recoverer) unfinished(i int) bool {
	if !r.l.o.NoSync || i != len(r.segs)-2 || r.segs[i+1].bytes > 0 {
		return false
	}
	empty := r.l.file(r.segs[i+1].base, logEnd)
	r.segs = r.segs[:i+1]
	return remove(r.l.fs, empty) == nil
}

// newest finds the last sidecar that tells the state, with the index of its segment, and restores the tracker. Without
// one it is the state before the first segment.
func (r *recoverer) newest() (int, *contents, error) {
	l := r.l
	for i := len(r.segs) - 1; i >= 0; i-- {
		seg := r.segs[i]
		c, err := readSeal(l.fs, l.file(seg.base, sealEnd), seg.base)
		missing := errors.Is(err, fs.ErrNotExist)
		switch {
		case err != nil && !missing && !errors.Is(err, errSeal):
			return 0, nil, err
		case err == nil && c.bytes > seg.bytes && !l.o.NoSync:
			return 0, nil, l.damage(seg.base, seg.bytes, c.next, errShorter)
		case err == nil && c.bytes <= seg.bytes && c.stated && l.restore(l.o.Tracker, c.state) == nil:
			if i == len(r.segs)-1 {
				l.covered = c.bytes
			}
			return i, c, nil
		}
	}
	return 0, newContents(r.segs[0].base, nil), l.restore(l.o.Tracker, nil)
}

func (l *Log) restore(t Tracker, state []byte) error {
	if t == nil {
		return nil
	}
	return t.Restore(state)
}

// complete reads what c does not cover of a segment that has a successor, and writes its sidecar if there was anything.
func (r *recoverer) complete(seg *segment, c *contents) (*contents, error) {
	if c.bytes == seg.bytes {
		return c, nil
	}
	f, err := r.l.fs.Open(r.l.file(seg.base, logEnd), disk.Read)
	if err != nil {
		return c, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	from := c.bytes
	c, err = r.l.readThrough(f, seg.bytes, c, r.l.o.Tracker, false)
	r.out.Scanned += c.bytes - from
	if err != nil {
		return c, r.l.found(view{h: &handle{seg: seg}}, c.next, err)
	}
	name := r.l.file(seg.base, sealEnd)
	r.out.Rebuilt = append(r.out.Rebuilt, name)
	return c, r.l.writeSeal(c, r.l.o.Tracker)
}

// tail reads what c does not cover of the last segment, cuts off what is torn, and makes it the active one.
func (r *recoverer) tail(seg *segment, c *contents) error {
	l := r.l
	f, err := l.fs.Open(l.file(seg.base, logEnd), disk.Write)
	if err != nil {
		return err
	}
	h := &handle{seg: seg, file: f, refs: 1}
	l.active = h // for Open to close
	covered := c.bytes
	size, err := f.Size()
	if err != nil {
		return err
	}
	h.contents, err = l.readThrough(f, size, c, l.o.Tracker, true)
	var torn *bad
	if err != nil && !errors.As(err, &torn) {
		return err
	}
	r.out.Scanned = r.out.Scanned + h.contents.bytes - covered
	if r.out.Torn = size - h.contents.bytes; r.out.Torn > 0 {
		r.out.TornFile = l.file(seg.base, logEnd)
		if err := f.Truncate(h.contents.bytes); err != nil {
			return fmt.Errorf("cut off a torn tail: %w", err)
		}
	}
	if size != covered {
		// What a killed process wrote may not be on the disk yet, and readers are shown all of it.
		if err := l.syncFile(f); err != nil {
			return err
		}
	}
	return r.use(h)
}

// use makes h the active segment after those before it.
func (r *recoverer) use(h *handle) error {
	l := r.l
	if n := len(r.segs); n > 0 {
		r.segs = r.segs[:n-1]
	}
	l.active = h
	l.segments = append(r.segs, h.seg)
	l.start = l.segments[0].base
	return l.syncDir()
}

// readThrough takes in the batches of a file from where c ends up to a size. With an error c is what came before.
func (l *Log) readThrough(f disk.File, size int64, c *contents, t Tracker, exact bool) (*contents, error) {
	c = &contents{
		base: c.base, bytes: c.bytes, next: c.next, maxTime: c.maxTime, maxAt: c.maxAt,
		index: slices.Clip(c.index), aborted: slices.Clip(c.aborted), epochs: slices.Clip(c.epochs),
	}
	s := scanner{f: f, at: c.bytes, limit: size, next: c.next, exact: exact, chunk: scanBytes}
	err := s.through(func(h batch.Header, raw []byte) {
		var aborted *Aborted
		if t != nil {
			aborted = t.Observe(h, raw)
		}
		c.add(h, aborted, int64(l.o.IndexBytes))
	})
	return c, err
}

// writeSeal writes the sidecar of a complete segment that a tracker has just come to the end of.
func (l *Log) writeSeal(c *contents, t Tracker) error {
	full := *c
	full.stated = true
	if t != nil {
		full.state = t.Snapshot()
	}
	return l.writeFile(l.file(c.base, sealEnd), encodeSeal(&full))
}
