package store

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"time"
)

type versions struct{ view }

var _ Versions = (*versions)(nil)

// version is one entry of a key's history.
type version struct {
	key   []byte // the user's
	at    int64
	value []byte // nil: deleted
}

func (s version) entry() Entry { return Entry{Value: s.value, Time: timeOf(s.at)} }

func readItem(it *item) (version, error) {
	key, at, err := readVersion(it.user())
	if err != nil {
		return version{}, err
	}
	value, err := readVersionValue(it.value)
	return version{key, at, value}, err
}

func (v *versions) point(key []byte, at int64) []byte {
	return v.done(appendVersion(v.lead(), key, at))
}

// Put drops what would be gone at once. What is older than the retention is rare, so only then the history is read.
func (v *versions) Put(key []byte, e Entry) {
	w, at := v.write(), millis(e.Time)
	if at <= v.r.horizon() && !v.makeRoom(w, key, at) {
		return
	}
	w.put(v.point(key, at), writeVersionValue(e.Value), at)
}

// makeRoom says whether a version as old as the horizon would be seen. If only a deletion stands before it, that is
// forgotten first, with what it hides: whether a sweep has been there makes no difference then.
func (v *versions) makeRoom(w writing, key []byte, at int64) bool {
	horizon := v.r.horizon()
	oldest, found := v.upTo(key, horizon)
	if !found || oldest.at <= at {
		return true
	}
	if oldest.value != nil {
		return false
	}
	var gone []int64
	v.descending(key, horizon, func(s version) bool {
		gone = append(gone, s.at)
		return true
	})
	for _, g := range gone {
		w.delete(v.point(key, g), at)
	}
	return true
}

// descending visits the versions of a key that are not after a time, from the latest on.
func (v *versions) descending(key []byte, at int64, visit func(version) bool) {
	lead := appendKey(nil, key)
	v.scan(appendDescending(bytes.Clone(lead), at), after(lead), func(it *item) bool {
		s, err := readItem(it)
		if err != nil {
			v.r.fail(err)
			return false
		}
		return visit(s)
	})
}

// upTo returns the latest version that is not after a time.
func (v *versions) upTo(key []byte, at int64) (found version, ok bool) {
	v.descending(key, at, func(s version) bool {
		found, ok = s, true
		return false
	})
	return found, ok
}

func (v *versions) AsOf(key []byte, at time.Time) (Entry, bool) {
	asked := millis(at)
	s, ok := v.upTo(key, max(asked, v.r.horizon()))
	if !ok || s.value == nil || s.at > asked {
		return Entry{}, false
	}
	return s.entry(), true
}

func (v *versions) Latest(key []byte) (Entry, bool) {
	s, ok := v.upTo(key, math.MaxInt64)
	if !ok || s.value == nil {
		return Entry{}, false
	}
	return s.entry(), true
}

func (v *versions) History(key []byte, from, to time.Time) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		first, last, horizon := millis(from), millis(to), v.r.horizon()
		var history []Entry
		v.descending(key, max(last, horizon), func(s version) bool {
			seen := s.at > horizon || s.value != nil
			if seen && s.at >= first && s.at <= last {
				history = append(history, s.entry())
			}
			return s.at > horizon && s.at >= first
		})
		for _, e := range slices.Backward(history) {
			if !yield(e) {
				return
			}
		}
	}
}

func (v *versions) Range(from, to []byte) iter.Seq2[[]byte, Entry] {
	return func(yield func([]byte, Entry) bool) {
		var end, last []byte
		if to != nil {
			end = appendKey(nil, to)
		}
		v.scan(appendKey(nil, from), end, func(it *item) bool {
			s, err := readItem(it)
			if err != nil {
				v.r.fail(err)
				return false
			}
			if last != nil && bytes.Equal(s.key, last) {
				return true
			}
			last = s.key
			return s.value == nil || yield(s.key, s.entry())
		})
	}
}
