package aggregate

import (
	"bytes"
	"errors"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// groups is an aggregate without windows: a table of one row for each key.
type groups struct {
	*Aggregate
	kv store.KeyValue
}

func (g *groups) process(input int, r *record.Record) error {
	e, has := g.kv.Get(r.Key)
	old := e.Value
	value, changed, err := g.change(input, r, old)
	if err != nil || !changed {
		return err
	}
	at := later(r.Time, e.Time)
	value, old = apart(value, old)
	switch {
	case value != nil:
		g.kv.Put(r.Key, store.Entry{Value: value, Time: at})
	case has:
		g.kv.Delete(r.Key, at)
	default:
		return nil // there was nothing and there is nothing
	}
	return g.give(r, value, old, at)
}

// change makes the new aggregate of a group; changed is false if the record has nothing to do with it.
func (g *groups) change(input int, r *record.Record, aggregate []byte) (_ []byte, changed bool, err error) {
	removal := takeChange(r)
	switch {
	case removal:
		if aggregate == nil {
			return nil, false, nil
		}
		aggregate, err = g.remove(input, r, r.Value, aggregate)
		return aggregate, true, err
	case g.o.Table && r.Old != nil && aggregate != nil:
		if aggregate, err = g.remove(input, r, r.Old, aggregate); err != nil {
			return nil, false, err
		}
		changed = true
	}
	if r.Value == nil {
		return aggregate, changed, nil
	}
	aggregate, err = g.add(input, r, aggregate)
	return aggregate, true, err
}

var errNoRemove = errors.New("a row of a table was removed from the group, but this aggregate cannot undo what it has added")

func (a *Aggregate) remove(input int, r *record.Record, value, aggregate []byte) ([]byte, error) {
	remove := a.o.Inputs[input].Remove
	if remove == nil {
		return nil, errNoRemove
	}
	a.removed = *r
	a.removed.Value, a.removed.Old = value, nil
	out, err := remove(&a.removed, aggregate)
	a.removed = record.Record{}
	return out, err
}

// apart makes a new value and the one before safe to be given on: bytes of a store are only good until the next write.
func apart(value, old []byte) (_, _ []byte) {
	if len(old) == 0 {
		return value, old
	}
	kept := bytes.Clone(old)
	if len(value) > 0 && &value[0] == &old[0] {
		if len(value) == len(old) {
			return kept, kept
		}
		return bytes.Clone(value), kept
	}
	return value, kept
}
