package store

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"time"
)

// spans is what windows and sessions share: entries that stand in segments of time.
type spans struct {
	view
	cut segments
}

func (v *spans) place(p place) []byte { return v.done(v.cut.appendPlace(v.lead(), p)) }

func (v *spans) get(p place) (Entry, bool) {
	if p.at < v.r.horizon() {
		return Entry{}, false
	}
	c, ok := v.r.get(v.place(p))
	if !ok {
		return Entry{}, false
	}
	return c.entry(), true
}

// put drops what would be gone at once.
func (v *spans) put(p place, e Entry) {
	if w := v.write(); p.at >= v.r.horizon() {
		w.put(v.place(p), e.Value, millis(e.Time))
	}
}

func (v *spans) delete(p place, at time.Time) {
	if w := v.write(); p.at >= v.r.horizon() {
		w.delete(v.place(p), millis(at))
	}
}

// fetch visits the entries of a key with from <= at <= to, segment by segment. Segments without the key cost one seek,
// stretches of time without any segment another.
func (v *spans) fetch(key []byte, from, to int64, visit func(place, *item) bool) {
	from = max(from, v.r.horizon())
	c, err := v.r.cursor(after(v.number))
	if err != nil {
		v.r.fail(err)
		return
	}
	defer v.close(c)
	for segment := v.cut.start(from); segment <= to; {
		lead := appendKey(appendTime(bytes.Clone(v.number), segment), key)
		more, next := v.fetchIn(c, lead, from, to, visit)
		if !more || next == nil {
			return
		}
		reached := readTime(next.user())
		if reached <= segment {
			if segment > math.MaxInt64-v.cut.length {
				return
			}
			reached = segment + v.cut.length
		}
		segment = reached
	}
}

// fetchIn visits the entries that begin with lead, which is a segment and a key. It returns the first item behind
// them.
func (v *spans) fetchIn(c cursor, lead []byte, from, to int64, visit func(place, *item) bool) (more bool, next *item) {
	c.seek(binary.BigEndian.AppendUint64(bytes.Clone(lead), sortable(from)))
	for it := c.next(); ; it = c.next() {
		if it == nil || !bytes.HasPrefix(it.key, lead) {
			return true, it
		}
		_, p, err := readPlace(it.user())
		if err != nil {
			v.r.fail(err)
			return false, nil
		}
		if p.at > to {
			return true, it
		}
		if !visit(p, it) {
			return false, nil
		}
	}
}

// all visits the entries of all keys with from <= at <= to.
func (v *spans) all(from, to int64, visit func(place, *item) bool) {
	from = max(from, v.r.horizon())
	if from > to {
		return
	}
	v.scan(appendTime(nil, v.cut.start(from)), after(appendTime(nil, v.cut.start(to))), func(it *item) bool {
		_, p, err := readPlace(it.user())
		if err != nil {
			v.r.fail(err)
			return false
		}
		return p.at < from || p.at > to || visit(p, it)
	})
}

type windows struct{ spans }

var _ Windows = (*windows)(nil)

func windowPlace(key []byte, start time.Time, seq uint64) place {
	at := millis(start)
	return place{key: key, at: at, first: sortable(at), second: seq}
}

func (p place) window() WindowKey {
	return WindowKey{Key: p.key, Start: timeOf(p.at), Seq: p.second}
}

func (v *windows) Get(key []byte, start time.Time, seq uint64) (Entry, bool) {
	return v.get(windowPlace(key, start, seq))
}

func (v *windows) Put(key []byte, start time.Time, seq uint64, e Entry) {
	v.put(windowPlace(key, start, seq), e)
}

func (v *windows) Delete(key []byte, start time.Time, seq uint64, at time.Time) {
	v.delete(windowPlace(key, start, seq), at)
}

func (v *windows) Fetch(key []byte, from, to time.Time) iter.Seq2[WindowKey, Entry] {
	return func(yield func(WindowKey, Entry) bool) {
		v.fetch(key, millis(from), millis(to), func(p place, it *item) bool {
			return yield(p.window(), it.entry())
		})
	}
}

func (v *windows) All(from, to time.Time) iter.Seq2[WindowKey, Entry] {
	return func(yield func(WindowKey, Entry) bool) {
		v.all(millis(from), millis(to), func(p place, it *item) bool {
			return yield(p.window(), it.entry())
		})
	}
}

type sessions struct{ spans }

var _ Sessions = (*sessions)(nil)

func sessionPlace(key []byte, start, end time.Time) place {
	at := millis(end)
	return place{key: key, at: at, first: sortable(at), second: sortable(millis(start))}
}

func (p place) session() SessionKey {
	return SessionKey{Key: p.key, Start: timeOf(unsortable(p.second)), End: timeOf(p.at)}
}

func (v *sessions) Get(key []byte, start, end time.Time) (Entry, bool) {
	return v.get(sessionPlace(key, start, end))
}

func (v *sessions) Put(key []byte, start, end time.Time, e Entry) {
	v.put(sessionPlace(key, start, end), e)
}

func (v *sessions) Delete(key []byte, start, end, at time.Time) {
	v.delete(sessionPlace(key, start, end), at)
}

func (v *sessions) Overlapping(key []byte, from, to time.Time) iter.Seq2[SessionKey, Entry] {
	return func(yield func(SessionKey, Entry) bool) {
		last := sortable(millis(to))
		v.fetch(key, millis(from), math.MaxInt64, func(p place, it *item) bool {
			return p.second > last || yield(p.session(), it.entry())
		})
	}
}

// All visits the sessions whose stretch of time touches the one from from to to.
func (v *sessions) All(from, to time.Time) iter.Seq2[SessionKey, Entry] {
	return func(yield func(SessionKey, Entry) bool) {
		last := sortable(millis(to))
		v.all(millis(from), math.MaxInt64, func(p place, it *item) bool {
			return p.second > last || yield(p.session(), it.entry())
		})
	}
}
