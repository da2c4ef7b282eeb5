package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is how Pebble writes its files. It is named so that a newer Pebble does not change it by itself: an older raven
// could not read the folder then.
const format = pebble.FormatWALSyncChunks

// disk is the database of a State. What is written is collected in batch, by whoever holds State.applying.
//
// Batches are not synced one by one. Pebble's own log is cut at the first piece that is missing, and a new log is begun
// only when the one before is synced: so what is left after any crash is what some earlier moment had, with the
// checkpoints of that moment.
type disk struct {
	db    *pebble.DB
	files *freezing
	batch *pebble.Batch
	dead  error // why the database must not be touched any more
}

// openDisk calls damaged, in any goroutine, when Pebble finds a file that it can't read.
func openDisk(dir string, fsys vfs.FS, caches *Caches, log *slog.Logger, damaged func(error)) (*disk, error) {
	files := newFreezing(fsys, dir)
	opt := &pebble.Options{
		FS: files, Cache: caches.cache, FileCache: caches.files, FormatMajorVersion: format,
		MemTableSize: uint64(caches.memtable), MemTableStopWritesThreshold: 2,
		Logger: logger{log.With("dir", dir)},
		// Without this a damaged table would end the process.
		EventListener: &pebble.EventListener{
			DataCorruption: func(info pebble.DataCorruptionInfo) { damaged(info.Details) },
		},
	}
	Tune(opt)
	db, err := pebble.Open(dir, opt)
	if first := files.err(); first != nil {
		if err == nil {
			_ = db.Close() // what it has to say is in memory
		}
		return nil, first
	}
	if err != nil {
		return nil, err
	}
	return &disk{db: db, files: files}, nil
}

// Tune sets how the tables of a store are laid out for reads of single keys. It is exported for benchmarks, whose reference
// must not be slower than it could be.
func Tune(opt *pebble.Options) {
	opt.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	opt.Levels[0].IndexBlockSize = 256 << 10 // one index per table: a point read costs one block less
	for i := 1; i < len(opt.Levels); i++ {
		opt.Levels[i].FilterPolicy = opt.Levels[0].FilterPolicy
	}
}

// begin opens the batch to which stores write.
func (d *disk) begin(size int) { d.batch = d.db.NewBatchWithSize(size) }

// end writes the batch, all of it or nothing.
func (d *disk) end() (err error) {
	defer recoverFatal(&err, &d.dead)
	b := d.batch
	d.batch = nil
	return errors.Join(b.Commit(pebble.NoSync), b.Close(), d.files.err())
}

// close leaves a dead database as it is: its locks are held by what died.
func (d *disk) close() (err error) {
	if d.dead != nil {
		return d.dead
	}
	defer recoverFatal(&err, &d.dead)
	return d.db.Close()
}

// diskTable is the ground of a store on disk.
type diskTable struct {
	*disk
	number []byte
}

var _ ground = (*diskTable)(nil)

func (d *diskTable) get(key []byte, a *arena) ([]byte, int64, bool, error) {
	v, closer, err := d.db.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = nil
		}
		return nil, 0, false, err
	}
	at, value, err := readValue(v)
	value = a.copy(value)
	return value, at, true, errors.Join(err, closer.Close())
}

// timeLen is how many bytes of a value on disk are its event time.
const timeLen = 8

func readValue(v []byte) (at int64, value []byte, err error) {
	if len(v) < timeLen {
		return 0, nil, fmt.Errorf("a value of %d bytes: %w", len(v), errLayout)
	}
	return int64(binary.BigEndian.Uint64(v)), v[timeLen:], nil
}

func (d *diskTable) write(below []byte, items []*item) error {
	if below != nil {
		if err := d.batch.DeleteRange(d.number, below, nil); err != nil {
			return err
		}
	}
	for _, it := range items {
		if err := d.writeItem(it); err != nil {
			return err
		}
	}
	return nil
}

func (d *diskTable) writeItem(it *item) error {
	if it.mark == deleted {
		return d.batch.Delete(it.key, nil)
	}
	op := d.batch.SetDeferred(len(it.key), timeLen+len(it.value))
	copy(op.Key, it.key)
	binary.BigEndian.PutUint64(op.Value, uint64(it.at))
	copy(op.Value[timeLen:], it.value)
	return op.Finish()
}

func (d *diskTable) clear() error { return d.batch.DeleteRange(d.number, after(d.number), nil) }

func (d *diskTable) publish() {}

func (d *diskTable) size() (entries, bytes int64) {
	used, err := d.db.EstimateDiskUsage(d.number, after(d.number))
	if err != nil {
		return -1, -1
	}
	return -1, int64(used)
}

func (d *diskTable) cursor(a *arena, end []byte) (cursor, error) {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: d.number, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &diskCursor{iter: it, arena: a}, nil
}

// diskCursor copies what it shows: the bytes of a Pebble iterator don't outlive its next step.
type diskCursor struct {
	iter    *pebble.Iterator
	arena   *arena
	current item
	behind  bool // the iterator still stands on what was shown
	err     error
}

func (c *diskCursor) seek(key []byte) {
	c.iter.SeekGE(key)
	c.behind = false
}

func (c *diskCursor) next() *item {
	if c.behind {
		c.iter.Next()
	}
	c.behind = true
	if c.err != nil || !c.iter.Valid() {
		return nil
	}
	v, err := c.iter.ValueAndErr()
	if err == nil {
		c.current.at, v, err = readValue(v)
	}
	if err != nil {
		c.err = err
		return nil
	}
	c.current.key, c.current.value, c.current.mark = c.arena.copy(c.iter.Key()), c.arena.copy(v), present
	return &c.current
}

func (c *diskCursor) close() error { return errors.Join(c.err, c.iter.Close()) }
