package aggregate

import (
	"errors"
	"fmt"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// SuppressOptions says how long a Suppress holds back; exactly one of Window and Limit.
type SuppressOptions struct {
	// Window is the windows whose results come in: the last one of each goes on when the window closes.
	Window *window.Spec
	// Limit is how long the changes of a key (and window) are held back, in stream time, from the first on: then the last
	// one goes on.
	Limit time.Duration

	Memory   bool // the store is kept in memory only
	Unlogged bool // and has no changelog
}

// Check says what is wrong with the options.
func (o SuppressOptions) Check() error {
	switch {
	case o.Window == nil && o.Limit < time.Millisecond:
		return fmt.Errorf("check suppress: it has no window, and the limit %s is less than 1ms", o.Limit)
	case o.Window == nil:
		return nil
	case o.Limit != 0:
		return errors.New("check suppress: it has both a window and a limit")
	}
	return o.Window.Check()
}

// Stores are the stores a Suppress needs, named within its bolt.
func (o SuppressOptions) Stores() []store.Spec {
	s := openStore(o.Memory, o.Unlogged)
	s.Name = StoreMain
	return []store.Spec{s}
}

// Suppress holds the results of an aggregate back until nothing changes them any more, or for a while, so that the many
// changes of a key become one. Until windows close: exactly one result for each window, a result that comes after that goes
// to PortLate, sessions that were merged away leave nothing. Make it with NewSuppress.
type Suppress struct {
	Counters
	o       SuppressOptions
	ctx     processor.Context
	pending pending
}

var _ processor.Processor = (*Suppress)(nil)

// NewSuppress makes the processor. The options have been checked.
func NewSuppress(o SuppressOptions) *Suppress { return &Suppress{o: o} }

// Open implements processor.Processor.
func (s *Suppress) Open(c processor.Context) error {
	if err := s.o.Check(); err != nil {
		return err
	}
	s.ctx, s.pending = c, pending{kv: c.KeyValue(own(c, StoreMain))}
	return nil
}

// Process implements processor.Processor.
func (s *Suppress) Process(_ int, r *record.Record) error {
	if err := s.release(); err != nil {
		return err
	}
	if r.Key == nil {
		s.dropped.Add(1)
		return nil
	}
	w, ok := window.Of(r)
	if s.o.Window == nil {
		if !ok {
			w.Start = time.UnixMilli(0)
		}
		s.hold(r, w)
		return nil
	}
	if !ok {
		return errors.New("hold back until the window closes: the record is not the result of a window")
	}
	s.holdWindow(r, w)
	return nil
}

// holdWindow keeps the last result of a window. The window's end is kept with it, since that of a session moves.
func (s *Suppress) holdWindow(r *record.Record, w window.Window) {
	key, closes := r.Key, s.o.Window.Closes(w)
	switch {
	case !s.ctx.StreamTime().Before(closes):
		s.late.Add(1)
		s.ctx.Emit(PortLate, r)
		return
	case r.Value == nil:
		s.pending.remove(key, w.Start, r.Time)
		return
	}
	r.Old = nil
	s.pending.put(key, w.Start, store.Entry{Value: holdRecord(r), Time: r.Time})
	s.pending.await(key, w.Start, closes)
}

// hold keeps the last change of a key, and the value before the first.
func (s *Suppress) hold(r *record.Record, w window.Window) {
	e, held := s.pending.get(r.Key, w.Start)
	if held {
		if first, err := readHeld(e.Value); err == nil {
			r.Old = first.Old
		}
	}
	key := r.Key
	s.pending.put(key, w.Start, store.Entry{Value: holdRecord(r), Time: r.Time})
	if !held {
		s.pending.await(key, w.Start, s.ctx.StreamTime().Add(s.o.Limit))
	}
}

// release gives out what is due.
func (s *Suppress) release() error {
	now := s.ctx.StreamTime()
	if !s.pending.isDue(now) {
		return nil
	}
	return s.pending.sweep(now, func(key []byte, start time.Time, e store.Entry) (time.Time, error) {
		r, err := readHeld(append([]byte(nil), e.Value...))
		if err != nil {
			return time.Time{}, fmt.Errorf("read what was held back for key %q: %w", key, err)
		}
		if s.o.Window != nil {
			if w, ok := window.Of(r); ok && s.o.Window.Closes(w).After(now) {
				return s.o.Window.Closes(w), nil
			}
		}
		s.pending.remove(key, start, now)
		r.Key = key
		s.ctx.Emit(0, r)
		return time.Time{}, nil
	})
}
