package store

import (
	"bytes"
	"sync/atomic"
)

// ground is what is committed of one store, on disk or in memory. get and cursor may be called by any goroutine; the other
// methods by one at a time (State.applying).
type ground interface {
	// get returns what a key holds, in bytes of the arena.
	get(key []byte, a *arena) (value []byte, at int64, ok bool, err error)
	// cursor need not end at end, but what it passes behind it may cost.
	cursor(a *arena, end []byte) (cursor, error)
	// write takes up changes, in the order of keys, after removing all keys less than below (nil: none). They are
	// seen after publish.
	write(below []byte, items []*item) error
	// clear removes everything; to be published too.
	clear() error
	publish()
	// size says how large it is; -1 entries if that is not known.
	size() (entries, bytes int64)
}

// memory is a ground that is gone with the process.
type memory struct {
	tree  tree // of items nobody changes
	root  atomic.Pointer[node]
	count atomic.Int64
	bytes atomic.Int64
	next  int64 // bytes as they will be published
}

var _ ground = (*memory)(nil)

func (m *memory) get(key []byte, _ *arena) ([]byte, int64, bool, error) {
	t := tree{root: m.root.Load()}
	if it := t.get(key); it != nil {
		return it.value, it.at, true, nil
	}
	return nil, 0, false, nil
}

func (m *memory) cursor(*arena, []byte) (cursor, error) { return &walk{root: m.root.Load()}, nil }

func (m *memory) write(below []byte, items []*item) error {
	m.cut(below)
	for _, it := range items {
		if old := m.tree.get(it.key); old != nil {
			m.next -= old.size()
		}
		if it.mark == deleted {
			m.tree.delete(it.key)
			continue
		}
		kept := keep(it)
		m.next += kept.size()
		m.tree.set(kept)
	}
	return nil
}

// keep copies an item out of its layer, in one piece: one entry that stays must not hold the whole layer's memory.
func keep(it *item) *item {
	b := make([]byte, 0, len(it.key)+len(it.value))
	b = append(append(b, it.key...), it.value...)
	n := len(it.key)
	return &item{key: b[:n:n], value: b[n:], at: it.at, mark: present}
}

func (it *item) size() int64 { return int64(len(it.key) + len(it.value) + itemSize) }

// cut removes all keys less than below.
func (m *memory) cut(below []byte) {
	for below != nil {
		w := walk{root: m.tree.root}
		w.seek(nil)
		it := w.next()
		if it == nil || bytes.Compare(it.key, below) >= 0 {
			return
		}
		m.next -= it.size()
		m.tree.delete(it.key)
	}
}

func (m *memory) clear() error {
	m.tree, m.next = tree{}, 0
	return nil
}

func (m *memory) publish() {
	m.count.Store(int64(m.tree.count))
	m.bytes.Store(m.next)
	m.root.Store(m.tree.snapshot())
}

func (m *memory) size() (entries, bytes int64) { return m.count.Load(), m.bytes.Load() }
