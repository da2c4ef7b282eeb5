package aggregate

import (
	"errors"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// fixed is an aggregate over tumbling or hopping windows.
type fixed struct {
	*Aggregate
	spec window.Spec
	main store.Windows
	open []window.Window // scratch: of the record at work
}

var errRemoveFromWindow = errors.New("a row of a table was removed from the group, which windows cannot do: nobody knows when it was added")

func newFixed(a *Aggregate, c processor.Context) *fixed {
	f := &fixed{Aggregate: a, spec: *a.o.Window, main: c.Windows(own(c, StoreMain))}
	if a.o.Results == Final {
		f.final = newFinals(a, c, func(start time.Time, _ store.Entry) window.Window { return f.spec.From(start) },
			func(key []byte, w window.Window, e store.Entry) { f.main.Put(key, w.Start, 0, e) })
	}
	return f
}

func (f *fixed) process(input int, r *record.Record) error {
	if takeChange(r) {
		return errRemoveFromWindow
	}
	if f.find(r); len(f.open) == 0 {
		f.giveLate(input, r)
		return nil
	}
	for i, w := range f.open {
		one := r
		if i < len(f.open)-1 {
			one = r.Clone()
		}
		if err := f.update(input, one, w); err != nil {
			return err
		}
	}
	return nil
}

// find fills open with the windows of a record that still take it.
func (f *fixed) find(r *record.Record) {
	now := f.ctx.StreamTime()
	f.open = f.open[:0]
	if f.spec.Kind == window.Tumbling {
		if w := f.spec.Around(r.Time); !f.spec.Closed(w, now) {
			f.open = append(f.open, w)
		}
		return
	}
	for w := range f.spec.Of(r.Time) {
		if !f.spec.Closed(w, now) {
			f.open = append(f.open, w)
		}
	}
}

func (f *fixed) update(input int, r *record.Record, w window.Window) error {
	if f.final != nil {
		return f.collect(input, r, w)
	}
	e, has := f.main.Get(r.Key, w.Start, 0)
	value, err := f.add(input, r, e.Value)
	if err != nil {
		return err
	}
	at := later(r.Time, e.Time)
	value, old := apart(value, e.Value)
	switch {
	case value != nil:
		f.main.Put(r.Key, w.Start, 0, store.Entry{Value: value, Time: at})
	case has:
		f.main.Delete(r.Key, w.Start, 0, at)
	default:
		return nil
	}
	return f.giveWindow(r, w, value, old, at)
}

// collect is update where the result is given out later.
func (f *fixed) collect(input int, r *record.Record, w window.Window) error {
	p := &f.final.pending
	e, has := p.get(r.Key, w.Start)
	value, err := f.add(input, r, e.Value)
	switch {
	case err != nil:
		return err
	case value == nil:
		p.remove(r.Key, w.Start, r.Time)
		return nil
	case !has:
		p.await(r.Key, w.Start, f.spec.Closes(w))
	}
	p.put(r.Key, w.Start, store.Entry{Value: value, Time: later(r.Time, e.Time)})
	return nil
}
