package join

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// View is a table made of another one, entry by entry: it returns the value of a key in the view for its value in the
// table, nil if the view has no such key. It is never called without a value. A nil View is the table itself.
type View func(key, value []byte) ([]byte, error)

// FilterView shows the entries for which keep is true.
func FilterView(keep func(key, value []byte) (bool, error)) View {
	return func(key, value []byte) ([]byte, error) {
		if ok, err := keep(key, value); !ok || err != nil {
			return nil, err
		}
		return value, nil
	}
}

// Chain shows what the views show one after the other.
func Chain(views ...View) View {
	return func(key, value []byte) (_ []byte, err error) {
		for _, v := range views {
			if value, err = v.of(key, value); value == nil || err != nil {
				return nil, err
			}
		}
		return value, nil
	}
}

// of is the view of a value; what is not there is not there.
func (v View) of(key, value []byte) ([]byte, error) {
	if v == nil || value == nil {
		return value, nil
	}
	return v(key, value)
}

// ViewConfig is a table operation that keeps nothing: a filter or a map. What is read through it later needs the same
// View in its Source.
type ViewConfig struct {
	View   View
	Format record.Format // of the values it shows
}

// NewView makes the processor of a view: it passes changes through, the value before as well as the value after, so that
// an entry that leaves the view becomes a tombstone. A change that the view does not show is not passed on.
func NewView(c ViewConfig) processor.Processor { return &view{cfg: c} }

type view struct {
	cfg ViewConfig
	c   processor.Context
}

// Open implements processor.Processor.
func (v *view) Open(c processor.Context) error {
	v.c = c
	return nil
}

// Process implements processor.Processor.
func (v *view) Process(_ int, r *record.Record) (err error) {
	if r.Value, err = v.cfg.View.of(r.Key, r.Value); err != nil {
		return err
	}
	if r.Old, err = v.cfg.View.of(r.Key, r.Old); err != nil {
		return err
	}
	if r.Value == nil && r.Old == nil {
		return nil
	}
	r.Format = v.cfg.Format
	v.c.Emit(0, r)
	return nil
}

// NewToStream makes the processor that turns the changes of a table into plain records: what follows sees each new value,
// or tombstone, as an event.
func NewToStream() processor.Processor { return &toStream{} }

type toStream struct{ c processor.Context }

// Open implements processor.Processor.
func (t *toStream) Open(c processor.Context) error {
	t.c = c
	return nil
}

// Process implements processor.Processor.
func (t *toStream) Process(_ int, r *record.Record) error {
	r.Old = nil
	t.c.Emit(0, r)
	return nil
}
