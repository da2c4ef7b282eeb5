package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Keys that begin with the number 0 say what the database is. They are drawn in docs/internals/store.md.
var (
	metaIdentity = []byte{0, 0, 'i'}
	metaStore    = []byte{0, 0, 's'} // and the name of the store
)

// version is the first byte of the identity: how everything in the database is laid out.
const layoutVersion = 1

// record is what a database says about a store.
type record struct {
	number     uint16
	checkpoint int64
	observed   int64
	current    int64  // milliseconds, see State.Current; 0: not known. Not part of bytes
	layout     string // kind and segments; with another the bytes mean something else
	origin     string
}

func storeKey(name string) []byte { return append(slices.Clip(metaStore), name...) }

func (r record) bytes() []byte {
	b := binary.BigEndian.AppendUint16(nil, r.number)
	b = binary.BigEndian.AppendUint64(b, uint64(r.checkpoint))
	b = binary.BigEndian.AppendUint64(b, uint64(r.observed))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.layout)))
	return append(append(b, r.layout...), r.origin...)
}

func readRecord(b []byte) (record, error) {
	const fixed = 2 + 8 + 8 + 2
	if len(b) < fixed || len(b)-fixed < int(binary.BigEndian.Uint16(b[18:])) {
		return record{}, fmt.Errorf("the record of a store, %d bytes: %w", len(b), errLayout)
	}
	end := fixed + int(binary.BigEndian.Uint16(b[18:]))
	return record{
		number:     binary.BigEndian.Uint16(b),
		checkpoint: int64(binary.BigEndian.Uint64(b[2:])),
		observed:   int64(binary.BigEndian.Uint64(b[10:])),
		layout:     string(b[fixed:end]),
		origin:     string(b[end:]),
	}, nil
}

// layout names the meaning of a store's keys and values.
func (t *table) layout() string {
	switch t.spec.Kind {
	case KindWindow, KindSession:
		return fmt.Sprintf("%s segment=%dms", t.spec.Kind, t.cut.length)
	default:
		return t.spec.Kind.String()
	}
}

func numberBytes(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// identify compares a database with whose it should be; a new one is told.
func (d *disk) identify(dir, identity string) error {
	v, closer, err := d.db.Get(metaIdentity)
	if errors.Is(err, pebble.ErrNotFound) {
		return d.introduce(dir, identity)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	switch {
	case len(v) == 0 || v[0] != layoutVersion:
		return &ForeignError{Dir: dir, Reason: "it was written by another version of raven"}
	case string(v[1:]) != identity:
		return &ForeignError{Dir: dir, Reason: fmt.Sprintf("it is the state of %q, not of %q", v[1:], identity)}
	}
	return nil
}

// introduce writes the identity into an empty database.
func (d *disk) introduce(dir, identity string) error {
	it, err := d.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if foreign {
		return &ForeignError{Dir: dir, Reason: "it is a database of another program"}
	}
	return d.db.Set(metaIdentity, append([]byte{layoutVersion}, identity...), pebble.Sync)
}

// records reads what the database says about its stores, by name.
func (d *disk) records() (map[string]record, error) {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: metaStore, UpperBound: after(metaStore)})
	if err != nil {
		return nil, err
	}
	all := map[string]record{}
	for it.First(); it.Valid(); it.Next() {
		r, err := readRecord(it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all[string(it.Key()[len(metaStore):])] = r
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	for name, r := range all {
		if r.current, err = d.current(name); err != nil {
			return nil, err
		}
		all[name] = r
	}
	return all, nil
}

// adopt gives every store on disk its number and what is kept of it. A store that is no longer there, or is laid out or
// came about in another way, is emptied.
func (d *disk) adopt(tables []*table, origins map[string]string) (emptied []string, err error) {
	old, err := d.records()
	if err != nil {
		return nil, err
	}
	d.begin(0)
	used := map[uint16]bool{0: true}
	for name, r := range old {
		if t := named(tables, name); t != nil && t.layout() == r.layout && origins[name] == r.origin {
			t.become(r, d.table(r.number))
			used[r.number] = true
			continue
		}
		emptied = append(emptied, name)
		number := numberBytes(r.number)
		if err := errors.Join(d.batch.DeleteRange(number, after(number), nil), d.batch.Delete(storeKey(name), nil), d.noteCurrent(name, 0)); err != nil {
			return nil, err
		}
	}
	for _, t := range tables {
		if t.ground != nil {
			continue
		}
		n, err := unused(used)
		if err != nil {
			return nil, err
		}
		used[n] = true
		r := record{number: n, checkpoint: -1, observed: unknown, layout: t.layout(), origin: origins[t.spec.Name]}
		t.become(r, d.table(r.number))
		if err := d.note(t.spec.Name, t.record); err != nil {
			return nil, err
		}
	}
	return emptied, d.end()
}

// named finds a store on disk.
func named(tables []*table, name string) *table {
	for _, t := range tables {
		if t.spec.Name == name {
			return t
		}
	}
	return nil
}

func unused(used map[uint16]bool) (uint16, error) {
	for n := uint16(1); n < math.MaxUint16; n++ {
		if !used[n] {
			return n, nil
		}
	}
	return 0, errors.New("more stores than numbers")
}

// become makes t the store that a record describes.
func (t *table) become(r record, b ground) {
	t.record, t.number, t.floor, t.ground = r, numberBytes(r.number), r.observed, b
}

// table returns the ground of the store with a number.
func (d *disk) table(number uint16) *diskTable {
	return &diskTable{disk: d, number: numberBytes(number)}
}

// note adds the record of a store to the batch.
func (d *disk) note(store string, r record) error {
	return d.batch.Set(storeKey(store), r.bytes(), nil)
}
