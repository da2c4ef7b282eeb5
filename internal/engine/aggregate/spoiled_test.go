package aggregate

import (
	"bytes"
	"iter"
	"time"

	"ravenswood.dev/internal/engine/store"
)

// spoiler makes the bytes that stores have handed out useless at the next write, as they may be.
type spoiler struct{ handed [][]byte }

func (s *spoiler) hand(b []byte) []byte {
	if b == nil {
		return nil
	}
	b = bytes.Clone(b)
	s.handed = append(s.handed, b)
	return b
}

func (s *spoiler) entry(e store.Entry) store.Entry {
	return store.Entry{Value: s.hand(e.Value), Time: e.Time}
}

func (s *spoiler) spoil() {
	for _, b := range s.handed {
		for i := range b {
			b[i] = '#'
		}
	}
	s.handed = s.handed[:0]
}

type spoiledKeyValue struct {
	store.KeyValue
	*spoiler
}

func (s spoiledKeyValue) Get(key []byte) (store.Entry, bool) {
	e, ok := s.KeyValue.Get(key)
	return s.entry(e), ok
}

func (s spoiledKeyValue) Put(key []byte, e store.Entry) {
	s.KeyValue.Put(key, e)
	s.spoil()
}

func (s spoiledKeyValue) Delete(key []byte, at time.Time) {
	s.KeyValue.Delete(key, at)
	s.spoil()
}

func (s spoiledKeyValue) Range(from, to []byte) iter.Seq2[[]byte, store.Entry] {
	return func(yield func([]byte, store.Entry) bool) {
		for k, e := range s.KeyValue.Range(from, to) {
			if !yield(s.hand(k), s.entry(e)) {
				return
			}
		}
	}
}

type spoiledWindows struct {
	store.Windows
	*spoiler
}

func (s spoiledWindows) Get(key []byte, start time.Time, seq uint64) (store.Entry, bool) {
	e, ok := s.Windows.Get(key, start, seq)
	return s.entry(e), ok
}

func (s spoiledWindows) Put(key []byte, start time.Time, seq uint64, e store.Entry) {
	s.Windows.Put(key, start, seq, e)
	s.spoil()
}

func (s spoiledWindows) Delete(key []byte, start time.Time, seq uint64, at time.Time) {
	s.Windows.Delete(key, start, seq, at)
	s.spoil()
}

func (s spoiledWindows) Fetch(key []byte, from, to time.Time) iter.Seq2[store.WindowKey, store.Entry] {
	return func(yield func(store.WindowKey, store.Entry) bool) {
		for k, e := range s.Windows.Fetch(key, from, to) {
			if k.Key = s.hand(k.Key); !yield(k, s.entry(e)) {
				return
			}
		}
	}
}

type spoiledSessions struct {
	store.Sessions
	*spoiler
}

func (s spoiledSessions) Put(key []byte, start, end time.Time, e store.Entry) {
	s.Sessions.Put(key, start, end, e)
	s.spoil()
}

func (s spoiledSessions) Delete(key []byte, start, end, at time.Time) {
	s.Sessions.Delete(key, start, end, at)
	s.spoil()
}

func (s spoiledSessions) Overlapping(key []byte, from, to time.Time) iter.Seq2[store.SessionKey, store.Entry] {
	return func(yield func(store.SessionKey, store.Entry) bool) {
		for k, e := range s.Sessions.Overlapping(key, from, to) {
			if k.Key = s.hand(k.Key); !yield(k, s.entry(e)) {
				return
			}
		}
	}
}
