package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// ErrUnknown says that there is no such partition.
var ErrUnknown = errors.New("there is no such partition")

// A Repaired is one segment that was taken apart.
type Repaired struct {
	File  string   `json:"file"`  // the segment
	Aside []string `json:"aside"` // files that have the damaged bytes
	Now   []string `json:"now"`   // segments with what is left, in order
	Lost  []Range  `json:"lost"`  // offsets
}

// Repair makes one partition readable: bytes that are no batches go into files "<segment>.damaged-<position>", and the batches
// before, between and behind them become segments of their own, each beginning at its first offset. It does nothing to a
// partition that is not damaged. It may be killed at any moment: then either nothing has changed, or the broker's next start
// finishes it.
func Repair(ctx context.Context, o Options, topic string, index int32) (done []Repaired, err error) {
	release, err := o.lock()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	partitions, err := find(o.Files)
	if err != nil {
		return nil, err
	}
	e := examiner{ctx: ctx, o: o, report: &Report{}, buffer: make([]byte, windowBytes)}
	known := false
	for _, p := range partitions {
		if p.topic != topic || p.index != index {
			continue
		}
		known = true
		some, err := e.repair(p)
		done = append(done, some...)
		if err != nil {
			return done, fmt.Errorf("repair %s/%d: %w", topic, index, err)
		}
	}
	if !known {
		return nil, fmt.Errorf("repair %s/%d: %w", topic, index, ErrUnknown)
	}
	return done, nil
}

func (e *examiner) repair(p partition) ([]Repaired, error) {
	if p.pending() {
		return nil, fmt.Errorf("%s: a change of segments is half done; start the broker once, it finishes it", path.Join(p.dir, swapName))
	}
	var done []Repaired
	for _, s := range p.segments() {
		seal, _, err := e.sidecar(s)
		if err != nil {
			return done, err
		}
		s.seal = seal
		r, err := e.scan(s)
		if err != nil {
			return done, err
		}
		if !damaged(p, s, r) {
			continue
		}
		one, err := e.takeApart(p, s, r)
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// damaged says whether a segment has more than a torn end, which the broker cuts off itself.
func damaged(p partition, s segment, r reading) bool {
	for _, h := range r.holes {
		if p.hole(s, h).Severity == Damage {
			return true
		}
	}
	return false
}

// A piece is batches of a segment that are left, which become a segment.
type piece struct {
	base     int64
	from, to int64  // bytes of the old segment
	instead  []byte // a batch in their place
}

// pieces are what lies around the holes.
func pieces(s segment, r reading) []piece {
	var all []piece
	next := piece{base: s.base}
	for _, h := range r.holes {
		if next.to = h.from; next.to > next.from {
			all = append(all, next)
		}
		next = piece{base: h.resumes, from: h.to}
	}
	if next.to = s.size; next.to > next.from {
		return append(all, next)
	}
	// The log must not come to give out offsets again that somebody has seen.
	if s.last() && s.seal.bytes > 0 && s.seal.next > r.next {
		all = append(all, piece{base: s.seal.next - 1, instead: emptyBatch(s.seal.next - 1)})
	} else if s.last() && len(all) == 0 {
		all = append(all, piece{base: s.base, instead: emptyBatch(s.base)})
	}
	return all
}

// emptyBatch is a batch without records that stands for one offset.
func emptyBatch(offset int64) []byte {
	b := make([]byte, batch.HeaderBytes)
	binary.BigEndian.PutUint64(b, uint64(offset))           //nolint:gosec // an offset is not negative
	binary.BigEndian.PutUint32(b[8:], batch.HeaderBytes-12) // length of what follows
	binary.BigEndian.PutUint32(b[12:], math.MaxUint32)      // leader epoch: -1
	b[magicAt] = 2                                          // format
	for _, at := range []int{27, 35, 43} {                  // both timestamps and the producer: -1
		binary.BigEndian.PutUint64(b[at:], math.MaxUint64)
	}
	binary.BigEndian.PutUint16(b[51:], math.MaxUint16) // producer epoch: -1
	binary.BigEndian.PutUint32(b[53:], math.MaxUint32) // sequence: -1
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[crcFrom:], castagnoli))
	return b
}

const swapName = "swap"

// takeApart writes the damaged bytes aside and the pieces beside the segment, says so in "swap", and puts them in its place.
func (e *examiner) takeApart(p partition, s segment, r reading) (Repaired, error) {
	done := Repaired{File: s.name}
	f, err := e.o.Files.Open(s.name, disk.Read)
	if err != nil {
		return done, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	for _, h := range r.holes {
		name := fmt.Sprintf("%s.damaged-%d", s.name, h.from)
		if err := e.durably(name, func(to disk.File) error { return e.copy(to, f, h.from, h.to) }); err != nil {
			return done, err
		}
		done.Aside = append(done.Aside, name)
		if lost := h.lost(s); lost != nil {
			if s.last() && lost.To < 0 && s.seal.bytes > h.from && s.seal.next > lost.From {
				lost.To = s.seal.next - 1
			}
			done.Lost = append(done.Lost, *lost)
		}
	}
	left := pieces(s, r)
	swap := "- " + baseName(s.base) + "\n"
	for _, c := range left {
		if err := e.writePiece(p, f, c); err != nil {
			return done, err
		}
		swap += "+ " + baseName(c.base) + "\n"
		done.Now = append(done.Now, path.Join(p.dir, baseName(c.base)+".log"))
	}
	if err := e.o.Files.SyncDir(p.dir); err != nil {
		return done, err
	}
	swap += fmt.Sprintf("= %08x\n", crc32.Checksum([]byte(swap), castagnoli))
	if err := e.durably(path.Join(p.dir, swapName), func(to disk.File) error { return writeAll(to, []byte(swap)) }); err != nil {
		return done, err
	}
	return done, e.finish(p, s, left)
}

func baseName(base int64) string { return fmt.Sprintf("%0*d", baseDigits, base) }

// writePiece writes a file that means nothing before "swap" names it.
func (e *examiner) writePiece(p partition, f disk.File, c piece) error {
	name := path.Join(p.dir, baseName(c.base)+".clean")
	// An empty sidecar is one that the broker makes anew. Without it the old one would stay, and be wrong.
	if err := e.fill(name+".seal", func(disk.File) error { return nil }); err != nil {
		return err
	}
	if c.instead != nil {
		return e.fill(name, func(to disk.File) error { return writeAll(to, c.instead) })
	}
	return e.fill(name, func(to disk.File) error { return e.copy(to, f, c.from, c.to) })
}

// finish does what "swap" says, as the broker's start would.
func (e *examiner) finish(p partition, s segment, left []piece) error {
	files := e.o.Files
	if !slices.ContainsFunc(left, func(c piece) bool { return c.base == s.base }) {
		if err := removeAll(files, s.name, strings.TrimSuffix(s.name, ".log")+".seal"); err != nil {
			return err
		}
	}
	for _, c := range left {
		name := path.Join(p.dir, baseName(c.base))
		if err := files.Rename(name+".clean", name+".log"); err != nil {
			return err
		}
		if err := files.Rename(name+".clean.seal", name+".seal"); err != nil {
			return err
		}
	}
	if err := files.SyncDir(p.dir); err != nil {
		return err
	}
	if err := files.Remove(path.Join(p.dir, swapName)); err != nil {
		return err
	}
	return files.SyncDir(p.dir)
}

func removeAll(files disk.FS, names ...string) error {
	for _, name := range names {
		if err := files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// durably puts a file under a name at once.
func (e *examiner) durably(name string, write func(disk.File) error) error {
	const tmp = ".tmp"
	if err := e.fill(name+tmp, write); err != nil {
		return err
	}
	if err := e.o.Files.Rename(name+tmp, name); err != nil {
		return err
	}
	return e.o.Files.SyncDir(path.Dir(name))
}

// fill makes a file and syncs it.
func (e *examiner) fill(name string, write func(disk.File) error) error {
	f, err := e.o.Files.Open(name, disk.Create)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = f.Truncate(0)
	if err == nil {
		err = write(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func writeAll(f disk.File, raw []byte) error {
	_, err := f.WriteAt(raw, 0)
	return err
}

func (e *examiner) copy(to, from disk.File, at, end int64) error {
	for pos := int64(0); at < end; {
		if e.ctx.Err() != nil {
			return context.Cause(e.ctx)
		}
		b := e.buffer[:min(int64(len(e.buffer)), end-at)]
		if n, err := from.ReadAt(b, at); n < len(b) {
			return err
		}
		if _, err := to.WriteAt(b, pos); err != nil {
			return err
		}
		at, pos = at+int64(len(b)), pos+int64(len(b))
	}
	return nil
}
