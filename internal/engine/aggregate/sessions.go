package aggregate

import (
	"bytes"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// sessions is an aggregate over session windows: a record joins all open sessions of its key that are no further away than
// the gap, and makes one of them. A session that has closed stays as it is.
type sessions struct {
	*Aggregate
	spec  window.Spec
	main  store.Sessions
	found []session // scratch: what the record at work joins, by start
}

// session is a session as the store has it.
type session struct {
	window.Window
	value []byte
}

func newSessions(a *Aggregate, c processor.Context) *sessions {
	s := &sessions{Aggregate: a, spec: *a.o.Window, main: c.Sessions(own(c, StoreMain))}
	if a.o.Results == Final {
		s.final = newFinals(a, c, func(start time.Time, e store.Entry) window.Window { return window.Window{Start: start, End: e.Time} },
			func(key []byte, w window.Window, e store.Entry) { s.main.Put(key, w.Start, w.End, e) })
	}
	return s
}

func (s *sessions) process(input int, r *record.Record) error {
	if takeChange(r) {
		return errRemoveFromWindow
	}
	s.find(r.Key, r.Time)
	if len(s.found) == 0 && s.spec.Late(r.Time, s.ctx.StreamTime()) {
		s.giveLate(input, r)
		return nil
	}
	w, value, err := s.join(input, r)
	if err != nil {
		return err
	}
	defer clear(s.found)
	if s.final != nil {
		s.collect(r, w, value)
		return nil
	}
	return s.replace(r, w, value)
}

// find fills found with the open sessions that a record at t joins.
func (s *sessions) find(key []byte, t time.Time) {
	from, to := t.Add(-s.spec.Size), t.Add(s.spec.Size)
	s.found = s.found[:0]
	if s.final != nil {
		for start, e := range s.final.pending.upTo(key, t, to) {
			if !e.Time.Before(from) {
				s.see(window.Window{Start: start, End: e.Time}, e.Value)
			}
		}
		return
	}
	for k, e := range s.main.Overlapping(key, from, to) {
		s.see(window.Window{Start: k.Start, End: k.End}, e.Value)
	}
	slices.SortFunc(s.found, func(a, b session) int { return a.Start.Compare(b.Start) })
}

func (s *sessions) see(w window.Window, value []byte) {
	if !s.spec.Closed(w, s.ctx.StreamTime()) {
		s.found = append(s.found, session{w, bytes.Clone(value)})
	}
}

// join makes one session of what was found and the record.
func (s *sessions) join(input int, r *record.Record) (w window.Window, value []byte, err error) {
	w = window.Window{Start: r.Time, End: r.Time}
	for i, f := range s.found {
		if f.Start.Before(w.Start) {
			w.Start = f.Start
		}
		w.End = later(w.End, f.End)
		if i == 0 {
			value = f.value
		} else if value, err = s.o.Merge(r.Key, value, f.value); err != nil {
			return w, nil, err
		}
	}
	value, err = s.add(input, r, value)
	return w, value, err
}

// replace puts the new session in the place of those found and gives out what went and what came.
func (s *sessions) replace(r *record.Record, w window.Window, value []byte) error {
	var old []byte
	for _, f := range s.found {
		if f.Start.Equal(w.Start) && f.End.Equal(w.End) {
			old = f.value
			continue
		}
		s.main.Delete(r.Key, f.Start, f.End, w.End)
		if err := s.giveWindow(r.Clone(), f.Window, nil, f.value, f.End); err != nil {
			return err
		}
	}
	if value == nil {
		if old == nil {
			return nil
		}
		s.main.Delete(r.Key, w.Start, w.End, w.End)
	} else {
		s.main.Put(r.Key, w.Start, w.End, store.Entry{Value: value, Time: w.End})
	}
	return s.giveWindow(r, w, value, old, w.End)
}

// collect is replace where the result is given out later. A session is known by its start; that it is due later than it
// was is found when it is due.
func (s *sessions) collect(r *record.Record, w window.Window, value []byte) {
	p, has := &s.final.pending, false
	for _, f := range s.found {
		if f.Start.Equal(w.Start) && value != nil {
			has = true
		} else {
			p.remove(r.Key, f.Start, w.End)
		}
	}
	if value == nil {
		return
	}
	p.put(r.Key, w.Start, store.Entry{Value: value, Time: w.End})
	if !has {
		p.await(r.Key, w.Start, s.spec.Closes(w))
	}
}
