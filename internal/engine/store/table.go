package store

import "math"

// table is one store of a State: its layers, and the view the writer has of it.
type table struct {
	state  *State
	spec   Spec
	number uint16 // the first two bytes of its keys on disk; 0 for stores in memory
	cut    segments
	keep   int64 // the retention in milliseconds; 0 for ever

	// The writer's.
	open    *layer
	sealed  *layer // nil, or fixed: it is being decided on or committed
	sweptTo []byte // where the next sweep goes on
	buf     []byte // for the store key at work

	base base

	floor      int64  // stream time as the base knew it when opened
	published  *layer // GUARDED_BY(state.mu): committed but perhaps not yet in the base
	checkpoint int64  // GUARDED_BY(state.mu)
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
	cursor() cursor
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
	value, at, ok, err := t.base.get(key, &t.state.reads)
	if err != nil {
		t.fail(err)
	}
	return cell{value, at}, ok
}

func (t *table) cursor() cursor {
	sources := []cursor{newLayerCursor(t.open, true)}
	if t.sealed != nil {
		sources = append(sources, newLayerCursor(t.sealed, false))
	}
	return withBase(t, sources, &t.state.reads)
}

// withBase adds the base, the last source of every merge.
func withBase(t *table, sources []cursor, a *arena) cursor {
	c, err := t.base.cursor(a)
	if err != nil {
		t.fail(err)
		return newMerged(sources...)
	}
	return newMerged(append(sources, c)...)
}

func (t *table) horizon() int64 { return t.horizonAt(t.state.observed) }

func (t *table) fail(err error) { t.state.fail("read", t.spec.Name, err) }

func (t *table) put(key, value []byte, at int64) { t.write(key, value, at, present) }

func (t *table) delete(key []byte, at int64) { t.write(key, nil, at, deleted) }

func (t *table) write(key, value []byte, at int64, m mark) {
	before := t.open.put(key, value, at, m)
	if t.state.marked {
		t.state.undo = append(t.state.undo, undo{t.open, before})
	}
}

// reset forgets all layers.
func (t *table) fresh() {
	hint, ordered := 0, false
	if t.open != nil {
		hint, ordered = len(t.open.byKey), t.open.ordered != nil
	}
	t.open = newLayer(hint, ordered)
}
