package store

import (
	"bytes"
	"slices"
)

// item is one entry of a layer or of memory: what a store key holds, or that it was deleted.
type item struct {
	key   []byte
	value []byte
	at    int64 // event time, in milliseconds
	mark  mark
}

// mark is what an item says about its key.
type mark uint8

const (
	void    mark = iota // nothing: look further down. A rolled back write leaves it
	present             // the key has this value
	deleted             // the key has none, whatever is further down
)

// fanout is how many items a leaf and how many children a node has at most.
const fanout = 64

// tree is a B+ tree of items in the order of their keys. A snapshot of it costs nothing; the nodes it shares with the
// tree are copied when they are changed. The tree itself is for one goroutine; a snapshot never changes, so any number
// may read it.
type tree struct {
	root  *node
	owner *owner // whose nodes may be changed in place
	count int
}

// owner tells the nodes of a tree from those a snapshot shares. It must not be of size zero: pointers to such are equal.
type owner struct{ _ byte }

// node is a leaf if it has no kids. The kid i holds keys below keys[i]; the last kid the rest.
type node struct {
	owner *owner
	items []*item
	keys  [][]byte
	kids  []*node
}

// snapshot returns the tree as it is now.
func (t *tree) snapshot() *node {
	t.owner = nil
	return t.root
}

func (t *tree) get(key []byte) *item {
	n := t.root
	if n == nil {
		return nil
	}
	for n.kids != nil {
		n = n.kids[n.kid(key)]
	}
	if i, found := n.find(key); found {
		return n.items[i]
	}
	return nil
}

func (n *node) kid(key []byte) int {
	lo, hi := 0, len(n.keys)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(n.keys[mid], key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (n *node) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(n.items, key, func(it *item, key []byte) int { return bytes.Compare(it.key, key) })
}

// set puts an item in the place of the one with its key, or adds it.
func (t *tree) set(it *item) {
	if t.owner == nil {
		t.owner = new(owner)
	}
	if t.root == nil {
		t.root = &node{owner: t.owner}
	}
	t.root = t.own(t.root)
	if key, right := t.insert(t.root, it); right != nil {
		t.root = &node{owner: t.owner, keys: [][]byte{key}, kids: []*node{t.root, right}}
	}
}

// insert works on a node the tree owns. If the node had to be split it returns the right half and its lowest key.
func (t *tree) insert(n *node, it *item) ([]byte, *node) {
	if n.kids == nil {
		i, found := n.find(it.key)
		if found {
			n.items[i] = it
			return nil, nil
		}
		n.items = slices.Insert(n.items, i, it)
		t.count++
		return t.split(n, i)
	}
	i := n.kid(it.key)
	n.kids[i] = t.own(n.kids[i])
	key, right := t.insert(n.kids[i], it)
	if right == nil {
		return nil, nil
	}
	n.keys = slices.Insert(n.keys, i, key)
	n.kids = slices.Insert(n.kids, i+1, right)
	return t.split(n, i)
}

// split halves a full node. Where the last insert was at the end it leaves the left half full: keys often come in order.
func (t *tree) split(n *node, at int) ([]byte, *node) {
	if len(n.items) <= fanout && len(n.kids) <= fanout {
		return nil, nil
	}
	mid := fanout / 2
	if at >= fanout-1 {
		mid = fanout - 1
	}
	right := &node{owner: t.owner}
	if n.kids == nil {
		right.items = append(make([]*item, 0, fanout+1), n.items[mid:]...)
		clear(n.items[mid:])
		n.items = n.items[:mid]
		return right.items[0].key, right
	}
	key := n.keys[mid-1]
	right.keys = append(make([][]byte, 0, fanout), n.keys[mid:]...)
	right.kids = append(make([]*node, 0, fanout+1), n.kids[mid:]...)
	clear(n.kids[mid:])
	n.keys, n.kids = n.keys[:mid-1], n.kids[:mid]
	return key, right
}

// own returns the node itself if the tree may change it, else a copy.
func (t *tree) own(n *node) *node {
	if n.owner == t.owner {
		return n
	}
	c := &node{owner: t.owner}
	if n.kids == nil {
		c.items = append(make([]*item, 0, fanout+1), n.items...)
		return c
	}
	c.keys = append(make([][]byte, 0, fanout), n.keys...)
	c.kids = append(make([]*node, 0, fanout+1), n.kids...)
	return c
}

// delete removes a key. Nodes are joined only where two fit easily into one.
func (t *tree) delete(key []byte) {
	if t.get(key) == nil {
		return
	}
	if t.owner == nil {
		t.owner = new(owner)
	}
	t.root = t.own(t.root)
	t.remove(t.root, key)
	t.count--
	for len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	if t.root.kids == nil && len(t.root.items) == 0 {
		t.root = nil
	}
}

// remove takes a key that is there out of a node the tree owns.
func (t *tree) remove(n *node, key []byte) {
	if n.kids == nil {
		i, _ := n.find(key)
		n.items = slices.Delete(n.items, i, i+1)
		return
	}
	i := n.kid(key)
	n.kids[i] = t.own(n.kids[i])
	t.remove(n.kids[i], key)
	if i > 0 {
		i--
	}
	if i+1 < len(n.kids) && n.kids[i].size()+n.kids[i+1].size() <= fanout/2 {
		t.join(n, i)
	}
}

func (n *node) size() int { return len(n.items) + len(n.kids) }

// join moves all of the kid i+1 into the kid i.
func (t *tree) join(n *node, i int) {
	left, right := t.own(n.kids[i]), n.kids[i+1]
	left.items = append(left.items, right.items...)
	if left.kids != nil {
		left.keys = append(append(left.keys, n.keys[i]), right.keys...)
		left.kids = append(left.kids, right.kids...)
	}
	n.kids[i] = left
	n.keys = slices.Delete(n.keys, i, i+1)
	n.kids = slices.Delete(n.kids, i+1, i+2)
}

// walk is a cursor over a snapshot.
type walk struct {
	root  *node
	steps []step
}

// step is a node on the way down and what of it comes next.
type step struct {
	node *node
	next int
}

func (w *walk) seek(key []byte) {
	w.steps = w.steps[:0]
	for n := w.root; n != nil; {
		if n.kids == nil {
			i, _ := n.find(key)
			w.steps = append(w.steps, step{n, i})
			return
		}
		i := n.kid(key)
		w.steps = append(w.steps, step{n, i + 1})
		n = n.kids[i]
	}
}

// next returns the item at the cursor and moves on; nil at the end.
func (w *walk) next() *item {
	for len(w.steps) > 0 {
		s := &w.steps[len(w.steps)-1]
		switch {
		case s.next >= s.node.size():
			w.steps = w.steps[:len(w.steps)-1]
		case s.node.kids == nil:
			s.next++
			return s.node.items[s.next-1]
		default:
			s.next++
			w.steps = append(w.steps, step{node: s.node.kids[s.next-1]})
		}
	}
	return nil
}

func (w *walk) close() error { return nil }
