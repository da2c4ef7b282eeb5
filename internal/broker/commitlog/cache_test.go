package commitlog

import (
	"errors"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// A countingFS counts the files that are open.
type countingFS struct {
	disk.FS
	open int
}

type countedFile struct {
	disk.File
	fs *countingFS
}

func (c *countingFS) Open(name string, mode disk.Mode) (disk.File, error) {
	f, err := c.FS.Open(name, mode)
	if err == nil {
		c.open++
		f = countedFile{f, c}
	}
	return f, err
}

func (f countedFile) Close() error { f.fs.open--; return f.File.Close() }

// markers opens a log of n segments with one marker each and an empty one.
func markers(t *testing.T, n int) (*countingFS, *Log) {
	t.Helper()
	fs := &countingFS{FS: disk.NewMemory()}
	l, _, err := Open(fs, "p", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		raw := batch.EncodeMarker(batch.Marker{Time: time.UnixMilli(int64(i))})
		batch.SetBase(raw, int64(i), 0)
		h, err := batch.Parse(raw)
		if err := errors.Join(err, l.Append(h, raw), l.Roll()); err != nil {
			t.Fatal(err)
		}
	}
	return fs, l
}

func TestFewSegmentsAreOpen(t *testing.T) {
	fs, l := markers(t, 20)
	held, err := l.acquire(l.segments[3])
	if err != nil {
		t.Fatal(err)
	}
	for at := range int64(20) {
		if got, err := l.Read(nil, at, 1, 20); err != nil || len(got) == 0 {
			t.Fatal(at, err)
		}
	}
	if want := handlesKept + 2; fs.open != want { // the active one and the one that is held
		t.Errorf("%d files are open, want %d", fs.open, want)
	}
	if _, err := held.file.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("a segment that is held was closed: %v", err)
	}
	l.cache.release(held)
	if err := l.Close(); err != nil || fs.open != 0 {
		t.Errorf("%d files are open after Close, %v", fs.open, err)
	}
}

// Whoever found a segment before it was removed does not take what is there now for it.
func TestARemovedSegmentIsNotOpenedAgain(t *testing.T) {
	fs, l := markers(t, 6)
	replaced, removed, kept := l.segments[2], l.segments[1], l.segments[3]
	held, err := l.acquire(replaced)
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.NewSegment(replaced.base)
	if err := errors.Join(err, b.Finish(), l.Replace([]int64{replaced.base}, []*Builder{b}), l.SetStart(removed.base+1)); err != nil {
		t.Fatal(err)
	}
	for _, seg := range []*segment{replaced, removed} {
		seg.brief.Store(nil)
		_, err := l.acquire(seg)
		_, look := l.look(seg)
		if !errors.Is(err, errGone) || !errors.Is(look, errGone) {
			t.Errorf("segment %d: %v, %v", seg.base, err, look)
		}
	}
	h, err := l.acquire(kept)
	if err != nil {
		t.Fatal(err)
	}
	l.cache.release(h)
	if _, err := held.file.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("a segment that is held was closed: %v", err)
	}
	l.cache.release(held)
	if err := l.Close(); err != nil || fs.open != 0 {
		t.Errorf("%d files are open after Close, %v", fs.open, err)
	}
}
