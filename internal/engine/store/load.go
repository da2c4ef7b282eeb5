package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Load writes what was read from a store's changelog into the ground, in the order of the log, with the offset to go on
// from in the same atomic batch. It is for restoring and for standbys: the open transaction has no part in it.
// What is past the retention by the observed time is left out. The bytes of the changes are not kept.
func (s *State) Load(store string, changes []Change, next int64) error {
	t := s.byName[store]
	if t == nil {
		return fmt.Errorf("load store %q: there is no such store", store)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	observed, err := s.usable()
	if err != nil {
		return fmt.Errorf("load store %q: %w", store, err)
	}
	items, err := t.loadable(changes, t.horizonAt(observed))
	if err != nil {
		return fmt.Errorf("load store %q: %w", store, err)
	}
	u := &update{table: t, items: items, after: t.record}
	u.after.checkpoint = next
	if t.keep > 0 {
		u.after.observed = max(u.after.observed, observed)
	}
	u.expire(t.horizonAt(observed))
	return s.apply("load", []*update{u}, func() {})
}

// usable returns the stream time readers see, unless the State has failed or is closed.
func (s *State) usable() (observed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	return s.observedGround, s.Err()
}

// loadable turns changes into items, the last one per key, by key.
func (t *table) loadable(changes []Change, horizon int64) ([]*item, error) {
	var keys arena
	all := make([]item, len(changes))
	items := make([]*item, 0, len(changes))
	for i, c := range changes {
		it := &all[i]
		key := append(append(keys.take(numberLen+len(c.Key)), t.number...), c.Key...)
		*it = item{key: key, value: c.Value, at: millis(c.Time), mark: present}
		if c.Value == nil {
			it.mark = deleted
		}
		keep, err := t.normalise(it, horizon)
		if err != nil {
			return nil, fmt.Errorf("change %d of %d: %w", i, len(changes), err)
		}
		if keep {
			items = append(items, it)
		}
	}
	return lastPerKey(items), nil
}

// normalise brings a change from the log into the layout of today, and says whether it is to be kept.
func (t *table) normalise(it *item, horizon int64) (keep bool, err error) {
	switch t.spec.Kind {
	case KindWindow, KindSession:
		segment, p, err := readPlace(it.user())
		if err != nil {
			return false, err
		}
		if segment != t.cut.start(p.at) { // written when the retention was another
			it.key = t.cut.appendPlace(slices.Clone(t.number), p)
		}
		return p.at >= horizon, nil
	case KindVersioned:
		if it.mark == present {
			_, err = readItem(it)
		} else {
			_, _, err = readVersion(it.user())
		}
		return true, err
	default:
		if it.at < horizon {
			it.mark = deleted
		}
		return true, nil
	}
}

func lastPerKey(items []*item) []*item {
	slices.SortStableFunc(items, func(a, b *item) int { return bytes.Compare(a.key, b.key) })
	last := items[:0]
	for i, it := range items {
		if i+1 == len(items) || !bytes.Equal(it.key, items[i+1].key) {
			last = append(last, it)
		}
	}
	return last
}

// Reset empties a store: it must be restored from the beginning of its changelog. Its open and sealed writes are
// forgotten. It is the writer's.
func (s *State) Reset(store string) error {
	t := s.byName[store]
	if t == nil {
		return fmt.Errorf("reset store %q: there is no such store", store)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if _, err := s.usable(); err != nil {
		return fmt.Errorf("reset store %q: %w", store, err)
	}
	u := &update{table: t, clear: true, after: t.record}
	u.after.checkpoint, u.after.observed, u.after.current = -1, unknown, 0
	return s.apply("reset", []*update{u}, func() {
		t.floor, t.expired, t.sealed, t.sweptTo = unknown, unknown, nil, nil
		t.fresh()
		s.forgetMarks()
		if i := slices.Index(s.tables, t); s.sealed != nil {
			s.sealed.layers[i] = newLayer(0, false)
		}
	})
}

// Snapshot writes a consistent copy of what is committed into a new directory, from which a State can be opened, here or
// elsewhere. It costs little: tables are linked, not copied, if the directory is of the same file system. Stores in
// memory are not part of it.
func (s *State) Snapshot(dir string) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	_, err := s.usable()
	if err == nil && s.disk == nil {
		err = errors.New("it is kept in memory only")
	}
	if err == nil {
		err = s.disk.db.Checkpoint(dir, pebble.WithFlushedWAL())
	}
	if err != nil {
		return fmt.Errorf("snapshot state to %q: %w", dir, err)
	}
	return nil
}
