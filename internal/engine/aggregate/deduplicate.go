package aggregate

import (
	"encoding/binary"
	"fmt"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// DeduplicateOptions says which records are equal.
type DeduplicateOptions struct {
	// ID names what a record is about, within its key; ok is false if it has no name, then it is never a duplicate.
	ID func(r *record.Record) (id []byte, ok bool, err error)
	// Within is how far apart, in event time, two records of one id may be to count as one.
	Within time.Duration
	// Grace is how far behind stream time a record may be; later ones go to PortLate, since what is known of their time is
	// gone.
	Grace time.Duration

	Memory   bool // the store is kept in memory only
	Unlogged bool // and has no changelog
}

// Check says what is wrong with the options.
func (o DeduplicateOptions) Check() error {
	switch {
	case o.ID == nil:
		return fmt.Errorf("check deduplicate: it has no function for the id")
	case o.Within < time.Millisecond:
		return fmt.Errorf("check deduplicate: within is %s, want at least 1ms", o.Within)
	case o.Grace < 0:
		return fmt.Errorf("check deduplicate: the grace %s is negative", o.Grace)
	}
	return nil
}

// Stores are the stores a Deduplicate needs, named within its bolt.
func (o DeduplicateOptions) Stores() []store.Spec {
	return []store.Spec{{Name: StoreMain, Kind: store.KindWindow, Retention: o.Within + o.Grace + time.Millisecond, Memory: o.Memory, Unlogged: o.Unlogged}}
}

// Deduplicate lets the first of the records of one key and id through, and no other whose event time is within the given
// time of one that was let through, before or after. First is who comes first in the task. Records without a key are
// compared among those of their partition. Make it with NewDeduplicate.
type Deduplicate struct {
	Counters
	o    DeduplicateOptions
	ctx  processor.Context
	seen store.Windows
	tell func(reason string)
	buf  []byte
}

// reasonDuplicate is why a record is dropped, as it is counted.
const reasonDuplicate = "duplicate"

var _ processor.Processor = (*Deduplicate)(nil)

// NewDeduplicate makes the processor. The options have been checked.
func NewDeduplicate(o DeduplicateOptions) *Deduplicate { return &Deduplicate{o: o} }

// Open implements processor.Processor.
func (d *Deduplicate) Open(c processor.Context) error {
	if err := d.o.Check(); err != nil {
		return err
	}
	d.ctx, d.seen, d.tell = c, c.Windows(own(c, StoreMain)), func(string) {}
	if counter, ok := c.(interface{ Dropped(reason string) }); ok { // an optional power
		d.tell = counter.Dropped
	}
	return nil
}

// Process implements processor.Processor.
func (d *Deduplicate) Process(_ int, r *record.Record) error {
	id, ok, err := d.o.ID(r)
	switch {
	case err != nil:
		return err
	case !ok:
		d.ctx.Emit(0, r)
		return nil
	case r.Time.Before(d.ctx.StreamTime().Add(-d.o.Grace)):
		d.late.Add(1)
		d.ctx.Emit(PortLate, r)
		return nil
	}
	key := d.key(r.Key, id)
	for range d.seen.Fetch(key, r.Time.Add(-d.o.Within), r.Time.Add(d.o.Within)) {
		d.dropped.Add(1)
		d.tell(reasonDuplicate)
		return nil
	}
	d.seen.Put(key, r.Time, 0, store.Entry{Value: []byte{1}, Time: r.Time})
	d.ctx.Emit(0, r)
	return nil
}

// key joins key and id so that no two pairs are written alike.
func (d *Deduplicate) key(key, id []byte) []byte {
	d.buf = binary.AppendUvarint(d.buf[:0], uint64(len(key)))
	d.buf = append(append(d.buf, key...), id...)
	return d.buf
}
