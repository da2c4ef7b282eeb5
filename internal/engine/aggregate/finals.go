package aggregate

import (
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// finals gives out each window once, when it has closed, and keeps it in the main store from then on. Until then it is
// pending, which knows no retention: a gap in the stream must not lose what was never given out.
type finals struct {
	*Aggregate
	pending pending
	of      func(start time.Time, e store.Entry) window.Window // the window of a pending entry
	keep    func(key []byte, w window.Window, e store.Entry)   // puts a closed one into the main store
}

func newFinals(a *Aggregate, c processor.Context, of func(time.Time, store.Entry) window.Window, keep func([]byte, window.Window, store.Entry)) *finals {
	return &finals{Aggregate: a, pending: pending{kv: c.KeyValue(own(c, StoreOpen))}, of: of, keep: keep}
}

// close gives out all windows that have closed by now. R is the record that moved the time: results have its origin.
func (f *finals) close(r *record.Record) error {
	now := f.ctx.StreamTime()
	if !f.pending.isDue(now) {
		return nil
	}
	return f.pending.sweep(now, func(key []byte, start time.Time, e store.Entry) (time.Time, error) {
		w := f.of(start, e)
		if closes := f.o.Window.Closes(w); closes.After(now) {
			return closes, nil
		}
		e.Value = append([]byte{}, e.Value...)
		f.pending.remove(key, start, now)
		f.keep(key, w, e)
		return time.Time{}, f.giveWindow(&record.Record{Key: key, Origin: r.Origin}, w, e.Value, nil, e.Time)
	})
}
