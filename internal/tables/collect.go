package tables

import (
	"bytes"
	"container/heap"
	"slices"

	"ravenswood.dev/stream/tables"
)

// pageBytesMax bounds the keys and values of a page. A single entry may be greater.
const pageBytesMax = 8 << 20

// collector keeps the first entries in the order of a form, as many as a page holds, of any number of sources in any
// order. Its memory is that of a page.
type collector struct {
	form  form
	limit int
	kept  []tables.Entry // a heap, the last in order on top
	bytes int
	wall  *tables.Entry // the first in order that was left out, as far as known; nothing at or behind it is kept
}

func newCollector(f form, limit int) *collector { return &collector{form: f, limit: max(limit, 1)} }

// add offers an entry. It returns false if it was left out: of a source in order, so will be everything that follows.
func (c *collector) add(e tables.Entry) bool {
	if c.wall != nil && c.form.order(&e, c.wall) >= 0 {
		return false
	}
	heap.Push((*byOrder)(c), e)
	c.bytes += weight(&e)
	kept := true
	for len(c.kept) > 1 && (len(c.kept) > c.limit || c.bytes > pageBytesMax) {
		out := heap.Pop((*byOrder)(c)).(tables.Entry)
		c.bytes -= weight(&out)
		c.wall = &out
		kept = kept && c.form.order(&out, &e) != 0
	}
	return kept
}

// stopBehind leaves out everything behind an entry: nobody knows all that is there.
func (c *collector) stopBehind(e *tables.Entry) {
	for len(c.kept) > 0 && c.form.order(&c.kept[0], e) > 0 {
		out := heap.Pop((*byOrder)(c)).(tables.Entry)
		c.bytes -= weight(&out)
	}
}

// page returns what was kept, in order, with bytes of its own, and whether something was left out.
func (c *collector) page() (entries []tables.Entry, more bool) {
	slices.SortFunc(c.kept, func(a, b tables.Entry) int { return c.form.order(&a, &b) })
	for i := range c.kept {
		c.kept[i].Key, c.kept[i].Value = bytes.Clone(c.kept[i].Key), bytes.Clone(c.kept[i].Value)
	}
	return c.kept, c.wall != nil
}

func weight(e *tables.Entry) int { return len(e.Key) + len(e.Value) + 64 }

// byOrder makes a heap of a collector.
type byOrder collector

func (h *byOrder) Len() int           { return len(h.kept) }
func (h *byOrder) Less(i, j int) bool { return h.form.order(&h.kept[i], &h.kept[j]) > 0 }
func (h *byOrder) Swap(i, j int)      { h.kept[i], h.kept[j] = h.kept[j], h.kept[i] }

// Push is part of heap.Interface.
func (h *byOrder) Push(x any) { h.kept = append(h.kept, x.(tables.Entry)) }

// Pop is part of heap.Interface.
func (h *byOrder) Pop() any {
	last := len(h.kept) - 1
	e := h.kept[last]
	h.kept = h.kept[:last]
	return e
}
