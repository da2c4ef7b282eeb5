package store

import (
	"bytes"
	"fmt"
	"slices"
)

// expired returns the store key before which everything is gone: whole segments. Nil if nothing is.
func (t *table) expired(observed int64) []byte {
	horizon := t.horizonAt(observed)
	if horizon == unknown || t.spec.Kind != KindWindow && t.spec.Kind != KindSession {
		return nil
	}
	return appendTime(nil, t.cut.start(horizon))
}

// Load writes what was read from a store's changelog into the base, in the order of the log, with the offset to go on
// from in the same atomic batch. It is for restoring and for standbys: the open transaction has no part in it.
// What is past the retention by the observed time is left out. The bytes of the changes are not kept.
func (s *State) Load(store string, changes []Change, next int64) error {
	t := s.byName[store]
	if t == nil {
		return fmt.Errorf("load store %q: there is no such store", store)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	items, err := t.loadable(changes)
	if err != nil {
		return fmt.Errorf("load store %q: %w", store, err)
	}
	if err := t.base.write(nil, items); err != nil {
		s.fail("load", store, err)
		return s.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.base.publish()
	t.checkpoint = next
	return nil
}

// loadable turns changes into items, the last one per key, by key.
func (t *table) loadable(changes []Change) ([]*item, error) {
	all := make([]item, len(changes))
	items := make([]*item, 0, len(changes))
	horizon := t.horizonAt(t.state.observedBase)
	for i, c := range changes {
		it := &all[i]
		*it = item{key: c.Key, value: c.Value, at: millis(c.Time), mark: present}
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
		segment, p, err := readPlace(it.key)
		if err != nil {
			return false, err
		}
		if segment != t.cut.start(p.at) { // written when the retention was another
			it.key = t.cut.appendPlace(nil, p)
		}
		return p.at >= horizon, nil
	case KindVersioned:
		if it.mark == present {
			_, err = readItem(it)
		} else {
			_, _, err = readVersion(it.key)
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

// Reset empties a store: it must be restored from the beginning of its changelog.
func (s *State) Reset(store string) error {
	t := s.byName[store]
	if t == nil {
		return fmt.Errorf("reset store %q: there is no such store", store)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := t.base.clear(); err != nil {
		s.fail("reset", store, err)
		return s.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.base.publish()
	t.checkpoint, t.floor = -1, unknown
	t.sealed = nil
	t.fresh()
	return nil
}

// Snapshot writes a consistent copy of what is committed into a new directory, from which a State can be opened.
// Stores in memory are not part of it.
func (s *State) Snapshot(dir string) error {
	return fmt.Errorf("snapshot state to %q: it is kept in memory only", dir)
}
