package document

import (
	"cmp"
	"fmt"
	"slices"
)

type action uint8

const (
	actDescend action = iota // only what is below changes
	actPut
	actRemove
	actRename
	actYield // make room for a member that is renamed to this name
)

// node is one step of the tree of edits.
type node struct {
	step     Step
	name     []byte // the step's name as a JSON string, with the colon
	children []*node
	act      action
	path     Path   // from the top, for errors
	slot     int    // actPut: which value
	newName  []byte // actRename
	yieldsTo *node  // actYield
}

// at returns the node for a path, making what is missing.
func (n *node) at(path Path) *node {
	for i := range path {
		n = n.child(path[:i+1])
	}
	return n
}

func (n *node) child(path Path) *node {
	step := path[len(path)-1]
	for _, c := range n.children {
		if c.step == step {
			return c
		}
	}
	c := &node{step: step, path: path}
	if !step.InList {
		c.name = append(AppendText(nil, step.Name), ':')
	}
	n.children = append(n.children, c)
	return c
}

func (n *node) put(slot int) { n.act, n.slot = actPut, slot }

// inside is the kind of value a node's children live in. They are never mixed: Prepare takes edits that part at a list
// index one by one.
func (n *node) inside() Kind {
	if n.children[0].step.InList {
		return KindList
	}
	return KindObject
}

// firstPut returns a node below or at n that has a value to put, nil if none has.
func (n *node) firstPut(values [][]byte) *node {
	if n.act == actPut {
		if values[n.slot] == nil {
			return nil
		}
		return n
	}
	for _, c := range n.children {
		if p := c.firstPut(values); p != nil {
			return p
		}
	}
	return nil
}

// writer copies src to out and makes the edits on the way. pos is how far src has been copied or left out.
type writer struct {
	src    []byte
	pos    int
	out    []byte
	values [][]byte
	hits   []hit
	stack  []member // members of the containers being edited below the top
}

// hit is a member that an edit goes through. Of a name that occurs twice all but the last are superseded: dropped.
type hit struct {
	member     int
	node       *node
	superseded bool
}

func (w *writer) copyTo(i int) {
	if i > w.pos {
		w.out = append(w.out, w.src[w.pos:i]...)
		w.pos = i
	}
}

func (w *writer) leaveOutTo(i int) { w.pos = max(w.pos, i) }

// container makes the edits of n's children in the object or list that opens at src[open].
func (w *writer) container(n *node, open int, members []member) error {
	base := len(w.hits)
	defer func() { w.hits = w.hits[:base] }()
	missing := w.match(n, members)
	hits := w.hits[base:]
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.member, b.member) })

	kept, next := false, 0 // whether a member before next stays
	for _, h := range hits {
		kept = kept || h.member > next
		if w.goes(h, hits) {
			w.cut(members, h.member, kept)
		} else {
			if err := w.member(h.node, &members[h.member]); err != nil {
				return err
			}
			kept = true
		}
		next = h.member + 1
	}
	if missing == 0 {
		return nil
	}
	kept = kept || next < len(members)
	return w.appendMissing(n, hits, open, members, kept)
}

// match finds the members that n's children go through, and counts the children that have none.
func (w *writer) match(n *node, members []member) (missing int) {
	for _, c := range n.children {
		found := false
		for i := len(members) - 1; i >= 0; i-- {
			if c.matches(w.src, members, i) {
				w.hits = append(w.hits, hit{i, c, found})
				found = true
			}
		}
		if !found {
			missing++
		}
	}
	return missing
}

func (n *node) matches(src []byte, members []member, i int) bool {
	if m := &members[i]; m.start != m.value {
		return !n.step.InList && m.named(src, n.step.Name)
	}
	return n.step.InList && n.step.Index == i
}

func (w *writer) goes(h hit, hits []hit) bool {
	switch {
	case h.node.act == actPut && w.values[h.node.slot] == nil:
		return false
	case h.superseded, h.node.act == actRemove:
		return true
	case h.node.act == actYield:
		return slices.ContainsFunc(hits, func(o hit) bool { return o.node == h.node.yieldsTo })
	}
	return false
}

// cut leaves out a member and one comma: the one before it if a member before it stays, else the one after it.
func (w *writer) cut(members []member, i int, kept bool) {
	switch {
	case kept:
		w.copyTo(members[i-1].end)
		w.leaveOutTo(members[i].end)
	case i+1 < len(members):
		w.copyTo(members[i].start)
		w.leaveOutTo(members[i+1].start)
	default:
		w.copyTo(members[i].start)
		w.leaveOutTo(members[i].end)
	}
}

// member makes the edit of a member that stays.
func (w *writer) member(n *node, m *member) error {
	switch n.act {
	case actPut:
		if v := w.values[n.slot]; v != nil {
			w.copyTo(m.value)
			w.out = append(w.out, v...)
			w.leaveOutTo(m.end)
		}
		return nil
	case actRename:
		w.copyTo(m.start)
		w.out = append(w.out, n.newName...)
		w.leaveOutTo(m.keyEnd)
		return nil
	case actYield:
		return nil
	}
	return w.descend(n, m)
}

func (w *writer) descend(n *node, m *member) error {
	kind := KindOf(w.src[m.value:m.end])
	put := n.firstPut(w.values)
	switch {
	case kind == n.inside():
		return w.below(n, m)
	case put == nil:
		return nil // nothing there to remove or rename
	case kind == KindNull:
		w.copyTo(m.value)
		w.leaveOutTo(m.end)
		return w.build(n)
	}
	return fmt.Errorf("set %q: %q is %s, not %s", put.path, n.path, kind, n.inside())
}

func (w *writer) below(n *node, m *member) (err error) {
	base := len(w.stack)
	defer func() { w.stack = w.stack[:base] }()
	if w.src[m.value] == '{' {
		w.stack, err = appendMembers(w.stack, w.src, m.value)
	} else {
		w.stack, err = appendElements(w.stack, w.src, m.value)
	}
	if err != nil {
		return err
	}
	return w.container(n, m.value, w.stack[base:])
}

// appendMissing puts what has no member yet after the last one.
func (w *writer) appendMissing(n *node, hits []hit, open int, members []member, kept bool) error {
	end := open + 1
	if len(members) > 0 {
		end = members[len(members)-1].end
	}
	for _, c := range n.children {
		put := c.firstPut(w.values)
		if put == nil || slices.ContainsFunc(hits, func(h hit) bool { return h.node == c }) {
			continue
		}
		w.copyTo(end)
		if err := w.add(c, put, len(members), kept); err != nil {
			return err
		}
		kept = true
	}
	return nil
}

// add writes a new member or element, the latter only at the end of its list, which has count elements.
func (w *writer) add(c, put *node, count int, comma bool) error {
	if c.step.InList && c.step.Index != count {
		return fmt.Errorf("set %q: the list has %d elements", put.path, count)
	}
	if comma {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, c.name...)
	return w.build(c)
}

// build writes the value of a node that has nothing in the source.
func (w *writer) build(n *node) error {
	if n.act == actPut {
		w.out = append(w.out, w.values[n.slot]...)
		return nil
	}
	opening, closing := byte('{'), byte('}')
	if n.inside() == KindList {
		opening, closing = '[', ']'
	}
	w.out = append(w.out, opening)
	comma := false
	for _, c := range n.children {
		put := c.firstPut(w.values)
		if put == nil {
			continue
		}
		if err := w.add(c, put, 0, comma); err != nil {
			return err
		}
		comma = true
	}
	w.out = append(w.out, closing)
	return nil
}
