package store

import "math"

// table is one store of a State: its layers, and the view the writer has of it.
type table struct {
	state  *State
	spec   Spec
	number []byte // what all keys begin with
	cut    segments
	keep   int64 // the retention in milliseconds; 0 for ever
	limit  int   // of an entry, see Limit; 0 for none

	// The writer's.
	open    *layer
	sealed  *layer // nil, or fixed: it is being decided on or committed
	sweptTo []byte // where the next sweep goes on; nil: at the beginning

	ground  ground
	expired int64 // GUARDED_BY(state.applying): segments before this one were removed

	floor     int64  // stream time as it was when the store was last closed
	record    record // GUARDED_BY(state.mu), and changed only under state.applying: what is noted of the ground
	published *layer // GUARDED_BY(state.view): committed, but perhaps not yet in the ground
}

// unknown is the observed time of a State that was told of none.
const unknown = math.MinInt64

// horizon is the time before which entries are gone, given the observed time.
func (t *table) horizonAt(observed int64) int64 {
	observed = max(observed, t.floor)
	if t.keep == 0 || observed < math.MinInt64+t.keep {
		return math.MinInt64
	}
	return observed - t.keep
}

// cell is what a key holds.
type cell struct {
	value []byte
	at    int64
}

func (c cell) entry() Entry { return Entry{Value: c.value, Time: timeOf(c.at)} }

// reading is a way to look at a store.
type reading interface {
	get(key []byte) (cell, bool)
	// cursor shows what comes before end, a store key.
	cursor(end []byte) (cursor, error)
	horizon() int64
	fail(error)
}

var _ reading = (*table)(nil)

func (t *table) get(key []byte) (cell, bool) {
	if it := t.open.get(key); it != nil {
		return cell{it.value, it.at}, it.mark == present
	}
	if it := t.sealed.get(key); it != nil {
		return cell{it.value, it.at}, it.mark == present
	}
	value, at, ok, err := t.ground.get(key, &t.state.reads)
	if err != nil {
		t.fail(err)
	}
	return cell{value, at}, ok
}

func (t *table) cursor(end []byte) (cursor, error) {
	ground, err := t.ground.cursor(&t.state.reads, end)
	if err != nil {
		return nil, err
	}
	if t.sealed == nil {
		return newMerged(end, newLayerCursor(t.open, true), ground), nil
	}
	return newMerged(end, newLayerCursor(t.open, true), newLayerCursor(t.sealed, false), ground), nil
}

func (t *table) horizon() int64 { return t.horizonAt(t.state.observed) }

func (t *table) fail(err error) { _ = t.state.fail("read", t.spec.Name, err) }

func (t *table) put(key, value []byte, at int64) { t.write(key, value, at, present) }

func (t *table) delete(key []byte, at int64) { t.write(key, nil, at, deleted) }

func (t *table) write(key, value []byte, at int64, m mark) {
	before := t.open.put(key, value, at, m)
	if t.state.marked {
		t.state.undo = append(t.state.undo, undo{t.open, before})
		t.state.large = t.state.large || t.limit > 0 && len(key)+len(value) > t.limit
	}
}

// fresh begins the layer of a transaction. It expects it to be like the one before.
func (t *table) fresh() {
	hint, ordered := 0, false
	if t.open != nil {
		hint, ordered = len(t.open.byKey), t.open.ordered != nil
	}
	t.open = newLayer(hint, ordered)
}

// free lets go of what a closed store has in memory.
func (t *table) free() {
	if m, ok := t.ground.(*memory); ok {
		_ = m.clear() // never fails
		m.publish()
	}
	t.sealed = nil
	t.open = newLayer(0, false)
}
