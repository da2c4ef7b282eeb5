package store

import (
	"bytes"
	"slices"
)

// A sweep looks at twice as many entries as the transaction wrote, and a few more: so the walk around a store is always
// faster than it grows, and what is gone takes at most about as much room as what is there.
const (
	sweepFactor = 2
	sweepLeast  = 64
)

// sweep removes some of the entries that are gone from stores that can't drop whole segments. The removals are writes of
// the open transaction, and logged: so the changelog loses them too. It is done once per transaction.
func (s *State) sweep() {
	if s.swept || s.Err() != nil {
		return
	}
	s.swept = true
	for _, t := range s.tables {
		if h := t.horizon(); h != unknown && (t.spec.Kind == KindKeyValue || t.spec.Kind == KindVersioned) {
			t.sweep(h, sweepFactor*len(t.open.byKey)+sweepLeast)
		}
	}
}

// sweep goes on from where the last one of the store ended.
func (t *table) sweep(horizon int64, visits int) {
	gone := t.goneAmong(horizon, visits)
	for _, key := range gone {
		t.delete(key, horizon)
	}
}

// goneAmong returns the keys among the next entries that are gone, and moves sweptTo behind them.
func (t *table) goneAmong(horizon int64, visits int) (gone [][]byte) {
	c, err := t.cursor(after(t.number))
	if err != nil {
		t.fail(err)
		return nil
	}
	from := t.sweptTo
	t.sweptTo = nil
	if from == nil {
		from = t.number
	}
	c.seek(from)
	j := judge{kind: t.spec.Kind, horizon: horizon}
	for it := c.next(); it != nil; it = c.next() {
		if visits--; visits < 0 && j.begins(it) {
			t.sweptTo = slices.Clone(it.key)
			break
		}
		if j.gone(it) {
			gone = append(gone, it.key)
		}
	}
	if err := c.close(); err != nil {
		t.fail(err)
	}
	return gone
}

// judge tells what is gone of the entries of a store, shown to it in order.
type judge struct {
	kind    Kind
	horizon int64
	key     []byte // versioned stores: what the versions of the key at hand begin with
	hidden  bool   // and a version at or before the horizon has been seen: all further ones are gone
}

// begins says whether the entry is the first of its key.
func (j *judge) begins(it *item) bool {
	return j.kind != KindVersioned || !bytes.Equal(j.key, versionsOf(it.key))
}

// versionsOf cuts the time off the key of a version.
func versionsOf(key []byte) []byte { return key[:max(len(key)-8, 0)] }

func (j *judge) gone(it *item) bool {
	if j.kind != KindVersioned {
		return it.at < j.horizon
	}
	if j.begins(it) {
		j.key, j.hidden = versionsOf(it.key), false
	}
	if it.at > j.horizon {
		return false
	}
	gone := j.hidden || len(it.value) == 1 && it.value[0] == versionDeleted
	j.hidden = true
	return gone
}
