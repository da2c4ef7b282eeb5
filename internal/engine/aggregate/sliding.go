package aggregate

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// sliding is an aggregate over sliding windows. Of each record time t of a key there are two: the left one [t-size, t],
// and the right one [t+1, t+1+size] if there are records in it. With these, any two records that are close enough share
// a window, and every window with other contents is one of them.
//
// A new window begins with the aggregate of one that is there, since single records are not kept: the left window of t
// with that of the last window that ends before t, the right one with that of the last window that begins at t or before,
// as it was without t. (The last record before the left window has a right window that begins in the gap between the two;
// if something follows beyond its end, that has left windows, which begin later still. The last of all these holds all
// records up to t and none from before the gap. Likewise on the right.)
//
// That needs all windows to be complete, those that have closed, too, since a record that is late for one may be in time
// for another that is made from it. Therefore a closed window goes on in a shadow: an entry with sequence 1, which is
// never given out.
type sliding struct {
	*Aggregate
	spec  window.Spec
	main  store.Windows
	views []view   // scratch: the windows around the record at work, by start
	edits []change // scratch
}

const (
	seqOpen   = 0 // the window as it was when it closed, or is
	seqShadow = 1 // with what came later
)

// view is a window as the store has it. Its entry holds the time of its last record.
type view struct {
	start    time.Time
	official bool // there is an entry that was or will be given out
	entry    store.Entry
	complete store.Entry // the shadow if there is one
}

// change is what a record does to a window.
type change struct {
	start  time.Time
	from   store.Entry // what the window is made from
	before []byte      // what it was, nil if it is new
	with   bool        // the record falls into it
}

func newSliding(a *Aggregate, c processor.Context) *sliding {
	s := &sliding{Aggregate: a, spec: *a.o.Window, main: c.Windows(own(c, StoreMain))}
	if a.o.Results == Final {
		s.final = newFinals(a, c, func(start time.Time, _ store.Entry) window.Window { return s.spec.From(start) },
			func(key []byte, w window.Window, e store.Entry) { s.main.Put(key, w.Start, seqOpen, e) })
	}
	return s
}

func (s *sliding) process(input int, r *record.Record) error {
	if takeChange(r) {
		return errRemoveFromWindow
	}
	if s.spec.Late(r.Time, s.ctx.StreamTime()) {
		s.giveLate(input, r)
		return nil
	}
	s.look(r.Key, r.Time)
	s.plan(r.Time)
	for i := range s.edits {
		if err := s.apply(input, r.Clone(), &s.edits[i]); err != nil {
			return err
		}
	}
	clear(s.views)
	clear(s.edits)
	return nil
}

// look fills views with the windows that hold t, begin right after it, or may hold what is before it.
func (s *sliding) look(key []byte, t time.Time) {
	from, to := t.Add(-2*s.spec.Size-time.Millisecond), t.Add(time.Millisecond)
	s.views = s.views[:0]
	for k, e := range s.main.Fetch(key, from, to) {
		e.Value = bytes.Clone(e.Value)
		s.see(k.Start, k.Seq, e)
	}
	if s.final == nil {
		return
	}
	for start, e := range s.final.pending.of(key, from, to) {
		e.Value = bytes.Clone(e.Value)
		s.see(start, seqOpen, e)
	}
	slices.SortFunc(s.views, func(a, b view) int { return a.start.Compare(b.start) })
}

func (s *sliding) see(start time.Time, seq uint64, e store.Entry) {
	if seq == seqOpen {
		s.views = append(s.views, view{start: start, official: true, entry: e, complete: e})
		return
	}
	if n := len(s.views); n > 0 && s.views[n-1].start.Equal(start) {
		s.views[n-1].complete = e
		return
	}
	s.views = append(s.views, view{start: start, complete: e})
}

// plan fills edits with what a record at t does, by the start of the windows.
func (s *sliding) plan(t time.Time) {
	s.edits = s.edits[:0]
	left, right := t.Add(-s.spec.Size), t.Add(time.Millisecond)
	var before, around *view // the last window that ends before t, and the last that begins at t or before and ends later
	var previous time.Time   // of the last record before t, as far as it matters
	var hasLeft, hasRight, known bool
	for i := range s.views {
		v := &s.views[i]
		switch {
		case v.start.Before(left):
			before = v
			if !known || v.complete.Time.After(previous) {
				previous, known = v.complete.Time, true
			}
			continue
		case v.start.Equal(right):
			hasRight = true
			continue
		case v.start.Equal(left):
			hasLeft = true
		}
		if v.complete.Time.After(t) {
			around = v
		} else {
			around = nil
		}
		s.edits = append(s.edits, s.extend(v))
	}
	if !hasLeft {
		s.edits = append(s.edits, change{start: left, from: source(before, left), with: true})
	}
	if after := previous.Add(time.Millisecond); known && after.After(left) && !s.seen(after) {
		s.edits = append(s.edits, change{start: after, with: true})
	}
	if !hasRight && around != nil {
		s.edits = append(s.edits, change{start: right, from: around.complete})
	}
	slices.SortFunc(s.edits, func(a, b change) int { return cmp.Compare(a.start.UnixMilli(), b.start.UnixMilli()) })
}

// source is what a left window begins with: the aggregate of the window before if it reaches into this one.
func source(before *view, left time.Time) store.Entry {
	if before == nil || before.complete.Time.Before(left) {
		return store.Entry{}
	}
	return before.complete
}

func (s *sliding) extend(v *view) change {
	c := change{start: v.start, from: v.complete, with: true}
	if v.official {
		c.before = v.entry.Value
	}
	return c
}

func (s *sliding) seen(start time.Time) bool {
	return slices.ContainsFunc(s.views, func(v view) bool { return v.start.Equal(start) })
}

// apply changes one window and gives out the result, if it has not closed.
func (s *sliding) apply(input int, r *record.Record, c *change) (err error) {
	value, at := c.from.Value, c.from.Time
	if c.with {
		if value, err = s.add(input, r, value); err != nil {
			return err
		}
		if c.from.Time.IsZero() || r.Time.After(at) {
			at = r.Time
		}
	}
	w, e := s.spec.From(c.start), store.Entry{Value: value, Time: at}
	switch {
	case s.spec.Closed(w, s.ctx.StreamTime()):
		s.main.Put(r.Key, c.start, seqShadow, e)
		return nil
	case s.final != nil:
		s.final.pending.put(r.Key, c.start, e)
		if c.before == nil {
			s.final.pending.await(r.Key, c.start, s.spec.Closes(w))
		}
		return nil
	}
	s.main.Put(r.Key, c.start, seqOpen, e)
	return s.giveWindow(r, w, value, c.before, at)
}
