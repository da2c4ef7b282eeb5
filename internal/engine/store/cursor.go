package store

import "bytes"

// cursor goes through items in the order of their keys. It sees its source as it was when the cursor was made. An item
// is valid until the next call; its bytes for ever.
type cursor interface {
	seek(key []byte) // before the first item whose key is not less
	next() *item     // nil at the end, or if the source can't be read: then close says why
	close() error
}

// merged is a cursor over several sources, of which an earlier one hides what a later one says about the same key.
// Deletions are not shown, but passed one by one: therefore it has an end, behind which it does not look for more.
type merged struct {
	sources []cursor
	heads   []*item // what each source shows next
	end     []byte
	current item
}

func newMerged(end []byte, sources ...cursor) *merged {
	return &merged{sources: sources, heads: make([]*item, len(sources)), end: end}
}

func (m *merged) seek(key []byte) {
	for i, s := range m.sources {
		s.seek(key)
		m.heads[i] = s.next()
	}
}

func (m *merged) next() *item {
	for {
		i := m.least()
		if i < 0 || bytes.Compare(m.heads[i].key, m.end) >= 0 {
			return nil
		}
		m.current = *m.heads[i]
		m.advance(m.current.key)
		if m.current.mark == present {
			return &m.current
		}
	}
}

// least returns the source with the smallest key at its head, the earliest of these; -1 at the end.
func (m *merged) least() int {
	least := -1
	for i, h := range m.heads {
		if h != nil && (least < 0 || bytes.Compare(h.key, m.heads[least].key) < 0) {
			least = i
		}
	}
	return least
}

// advance moves every source that shows a key past it.
func (m *merged) advance(key []byte) {
	for i, h := range m.heads {
		if h != nil && bytes.Equal(h.key, key) {
			m.heads[i] = m.sources[i].next()
		}
	}
}

func (m *merged) close() error {
	var first error
	for _, s := range m.sources {
		if err := s.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// layerCursor goes through a layer; what it says nothing about is left out.
type layerCursor struct {
	walk
	layer *layer
	open  bool // of the writer, over the layer it writes: pinned
}

func newLayerCursor(l *layer, open bool) *layerCursor {
	c := &layerCursor{layer: l, open: open}
	if open {
		c.root = l.pin()
	} else {
		c.root = l.tree().root
	}
	return c
}

func (c *layerCursor) next() *item {
	for {
		it := c.walk.next()
		if it == nil || it.mark != void {
			return it
		}
	}
}

func (c *layerCursor) close() error {
	if c.open {
		c.layer.unpin()
	}
	return nil
}
