package store

import (
	"bytes"
	"slices"
	"sync"
	"unsafe"
)

// layer holds the writes of one transaction to one store: the last one per key. Its point reads and writes go through a
// map. The first scan builds a tree beside it, which is kept up to date from then on; a store that was scanned in one
// transaction starts the next with a tree.
//
// One goroutine writes a layer. When it is sealed it does not change any more, and any goroutine may read it.
type layer struct {
	byKey map[string]*item
	bytes arena
	slab  []item // room for the next items

	pins   int  // cursors at work on the open layer; they must see it as it was
	shared bool // the nodes of ordered are those a cursor began with

	order []*item // what sorted returned, as long as nothing was written since

	mu      sync.Mutex // guards the building of ordered once the layer is sealed
	ordered *tree      // of the same items; nil until somebody scans
}

// itemSize is about what an entry costs beside its bytes.
const itemSize = 120

func newLayer(sizeHint int, ordered bool) *layer {
	l := &layer{byKey: make(map[string]*item, sizeHint)}
	if ordered {
		l.ordered = new(tree)
	}
	return l
}

// get returns what the layer says of a key, nil if nothing.
func (l *layer) get(key []byte) *item {
	if l == nil {
		return nil
	}
	if it := l.byKey[string(key)]; it != nil && it.mark != void {
		return it
	}
	return nil
}

// put notes a write and returns what the layer held for the key before. The bytes are copied.
func (l *layer) put(key, value []byte, at int64, m mark) (before item) {
	it := l.byKey[string(key)]
	if it == nil {
		it = l.add(l.bytes.copy(key))
	}
	before = *it
	if m == present {
		value = l.bytes.copy(value)
	} else {
		value = nil
	}
	l.set(it, value, at, m)
	return before
}

// restore puts an item back as it was.
func (l *layer) restore(before item) {
	l.set(l.byKey[string(before.key)], before.value, before.at, before.mark)
}

// set changes an item; in a copy if a cursor might be looking at it.
func (l *layer) set(it *item, value []byte, at int64, m mark) {
	l.order = nil
	if l.pins > 0 {
		it = l.replace(it)
	}
	it.value, it.at, it.mark = value, at, m
}

func (l *layer) add(key []byte) *item {
	it := l.room()
	it.key = key
	l.enter(it)
	return it
}

func (l *layer) replace(old *item) *item {
	it := l.room()
	*it = *old
	l.enter(it)
	return it
}

func (l *layer) enter(it *item) {
	l.byKey[keyString(it.key)] = it
	if l.ordered == nil {
		return
	}
	if l.shared && l.pins > 0 {
		l.ordered.snapshot()
	}
	l.shared = false
	l.ordered.set(it)
}

func (l *layer) room() *item {
	if len(l.slab) == 0 {
		l.slab = make([]item, 128)
	}
	it := &l.slab[0]
	l.slab = l.slab[1:]
	return it
}

// keyString gives a map the bytes of an arena as its key without a second copy: they never change.
func keyString(key []byte) string { return unsafe.String(unsafe.SliceData(key), len(key)) }

// tree returns the ordered items, building the tree if there is none.
func (l *layer) tree() *tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ordered == nil {
		t := new(tree)
		for _, it := range l.byKey {
			t.set(it)
		}
		l.ordered = t
	}
	return l.ordered
}

// sort is for the writer: it sorts for Changes and, if nothing is written in between, for Commit.
func (l *layer) sort() []*item {
	l.order = l.sorted()
	return l.order
}

// sorted returns the items of the layer by key, without those that say nothing.
func (l *layer) sorted() []*item {
	if l.order != nil {
		return l.order
	}
	items := make([]*item, 0, len(l.byKey))
	for _, it := range l.byKey {
		if it.mark != void {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b *item) int { return bytes.Compare(a.key, b.key) })
	return items
}

func (l *layer) size() (entries int, bytes int64) {
	return len(l.byKey), l.bytes.used + int64(len(l.byKey))*itemSize
}

// pin returns the layer as it is now to a cursor of the writer; unpin must follow.
func (l *layer) pin() *node {
	l.pins++
	l.shared = true
	return l.tree().root
}

func (l *layer) unpin() { l.pins-- }
