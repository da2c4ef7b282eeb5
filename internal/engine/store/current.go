package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Current is a time at which a store had everything that its changelog held; zero if nobody has said so. The log keeps a
// deletion for a bounded time only: a store that has missed more than that may hold what is deleted.
func (s *State) Current(store string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byName[store]; t != nil && t.record.current != 0 {
		return time.UnixMilli(t.record.current)
	}
	return time.Time{}
}

// Confirm notes that a store had, at a time, everything that its changelog held. An earlier time than is noted changes
// nothing.
func (s *State) Confirm(store string, at time.Time) error {
	return s.note("confirm", store, func(r *record) { r.current = max(r.current, at.UnixMilli()) })
}

// Pass moves the checkpoint of a store over a stretch of its changelog that holds nothing for it. If the store does not
// stand at from any more, nothing happens.
func (s *State) Pass(store string, from, to int64) error {
	return s.note("pass", store, func(r *record) {
		if r.checkpoint == from {
			r.checkpoint = to
		}
	})
}

// note changes what is noted of a store.
func (s *State) note(verb, store string, change func(*record)) error {
	t := s.byName[store]
	if t == nil {
		return fmt.Errorf("%s store %q: there is no such store", verb, store)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if _, err := s.usable(); err != nil {
		return fmt.Errorf("%s store %q: %w", verb, store, err)
	}
	u := &update{table: t, after: t.record}
	change(&u.after)
	if u.after == t.record {
		return nil
	}
	return s.apply(verb, []*update{u}, func() {})
}

// metaCurrent is followed by the name of a store. It is apart from the record of the store: folders of before it have none.
var metaCurrent = []byte{0, 0, 'c'}

func currentKey(name string) []byte { return append(slices.Clip(metaCurrent), name...) }

// noteCurrent adds to the batch when a store was last known to have everything.
func (d *disk) noteCurrent(store string, current int64) error {
	if current == 0 {
		return d.batch.Delete(currentKey(store), nil)
	}
	return d.batch.Set(currentKey(store), binary.BigEndian.AppendUint64(nil, uint64(current)), nil)
}

// current reads what noteCurrent has written; 0 if it has not.
func (d *disk) current(store string) (int64, error) {
	v, closer, err := d.db.Get(currentKey(store))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("the time at which a store was current, %d bytes: %w", len(v), errLayout)
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}
