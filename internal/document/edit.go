package document

import (
	"errors"
	"fmt"
)

// Op is what an edit does.
type Op uint8

// The operations.
const (
	// Put sets the value at Path. Missing objects on the way are made, null counts as missing, a new name goes to the
	// end of its object, and an index one past the end appends to its list. It fails if another kind of value is in
	// the way.
	Put Op = iota
	// Remove takes the value at Path away; nothing there is fine.
	Remove
	// Rename gives the value at Path the path To, and keeps its bytes; nothing there is fine. Within one object the
	// member keeps its place, else it is put at To as Put does. What was at To goes.
	Rename
)

// Edit is one change of a document.
type Edit struct {
	Op   Op
	Path Path
	To   Path // for Rename
}

// Edits is a list of changes, prepared once and applied to many documents, each as if one edit after another. It is
// read-only: safe for concurrent use.
type Edits struct {
	// root is the tree of all edits if no edit touches what another does; then one pass makes them all.
	root *node
	// steps is the edits one by one, if they depend on each other.
	steps []*Edits
	// carry is set for a single Rename whose paths depend on each other, such as a to a.b: then steps takes the value
	// away and puts what was at carry.
	carry Path
	puts  int
	moves []move
}

// move is a Rename into another object: the value found at from before anything changes is put at the slot.
type move struct {
	from Path
	slot int
}

// Prepare makes Edits of a list.
func Prepare(edits ...Edit) *Edits {
	e := &Edits{}
	for _, edit := range edits {
		if edit.Op == Put {
			e.puts++
		}
	}
	if !independent(edits) {
		e.split(edits)
		return e
	}
	e.root = &node{}
	put := 0
	for _, edit := range edits {
		switch edit.Op {
		case Put:
			e.root.at(edit.Path).put(put)
			put++
		case Remove:
			e.root.at(edit.Path).act = actRemove
		case Rename:
			e.rename(edit)
		}
	}
	return e
}

func (e *Edits) split(edits []Edit) {
	if len(edits) == 1 {
		from, to := edits[0].Path, edits[0].To
		e.carry, e.steps = from, []*Edits{Prepare(Edit{Op: Remove, Path: from}), Prepare(Edit{Op: Put, Path: to})}
		return
	}
	for _, edit := range edits {
		e.steps = append(e.steps, Prepare(edit))
	}
}

func (e *Edits) rename(edit Edit) {
	from := e.root.at(edit.Path)
	if sameParent(edit.Path, edit.To) {
		target := edit.To[len(edit.To)-1]
		from.act, from.newName = actRename, AppendText(nil, target.Name)
		to := e.root.at(edit.To)
		to.act, to.yieldsTo = actYield, from
		return
	}
	from.act = actRemove
	slot := e.puts + len(e.moves)
	e.moves = append(e.moves, move{edit.Path, slot})
	e.root.at(edit.To).put(slot)
}

func sameParent(a, b Path) bool {
	last := len(a) - 1
	return len(a) == len(b) && !a[last].InList && !b[last].InList && samePath(a[:last], b[:last])
}

func samePath(a, b Path) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// independent says whether the edits may be made in one pass: no path leads through another, and none part at a list
// index, where a removal would move the others.
func independent(edits []Edit) bool {
	var paths []Path
	for _, e := range edits {
		paths = append(paths, e.Path)
		if e.Op == Rename {
			paths = append(paths, e.To)
		}
	}
	for i, a := range paths {
		for _, b := range paths[:i] {
			if !apart(a, b) {
				return false
			}
		}
	}
	return true
}

func apart(a, b Path) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return !a[i].InList && !b[i].InList
		}
	}
	return false
}

// Apply appends the changed document to dst. There is one value for each Put, in order: one valid JSON value, or nil to
// leave that place as it is. The object and the values are not kept.
func (e *Edits) Apply(dst []byte, o *Object, values [][]byte) ([]byte, error) {
	if len(values) != e.puts {
		return dst, fmt.Errorf("edit document: %d values for %d places", len(values), e.puts)
	}
	if e.root == nil {
		return e.oneByOne(dst, o, values)
	}
	if len(e.moves) > 0 {
		all := make([][]byte, e.puts+len(e.moves))
		copy(all, values)
		for _, m := range e.moves {
			all[m.slot], _ = o.Lookup(m.from)
		}
		values = all
	}
	if dst == nil {
		dst = make([]byte, 0, len(o.raw)+room(values))
	}
	w := writer{src: o.raw, values: values, out: dst, hits: o.hits[:0], stack: o.stack[:0]}
	defer func() { o.hits, o.stack = w.hits, w.stack }()
	if err := w.container(e.root, skipSpace(o.raw, 0), o.members); err != nil {
		return dst, err
	}
	return append(w.out, w.src[w.pos:]...), nil
}

// room is how many bytes the values may add, with some for new names.
func room(values [][]byte) int {
	n := 0
	for _, v := range values {
		n += len(v) + 32
	}
	return n
}

func (e *Edits) oneByOne(dst []byte, o *Object, values [][]byte) ([]byte, error) {
	if e.carry != nil {
		raw, ok := o.Lookup(e.carry)
		if !ok {
			return append(dst, o.raw...), nil
		}
		values = [][]byte{raw}
	}
	current := *o
	used := 0
	for _, step := range e.steps {
		doc, err := step.Apply(nil, &current, values[used:used+step.puts])
		if err != nil {
			return dst, err
		}
		used += step.puts
		current = Object{}
		if err := current.Read(doc); err != nil {
			return dst, err
		}
	}
	return append(dst, current.raw...), nil
}

// Set returns the document with the value at path set to raw, as Put does.
func Set(doc []byte, path Path, raw []byte) ([]byte, error) {
	if raw == nil {
		return nil, errors.New("set: no value")
	}
	return one(doc, Edit{Op: Put, Path: path}, raw)
}

// Delete returns the document without the value at path; the same bytes if nothing is there.
func Delete(doc []byte, path Path) ([]byte, error) {
	return one(doc, Edit{Op: Remove, Path: path})
}

// Move returns the document with the value at from moved to to, as Rename does.
func Move(doc []byte, from, to Path) ([]byte, error) {
	return one(doc, Edit{Op: Rename, Path: from, To: to})
}

func one(doc []byte, edit Edit, values ...[]byte) ([]byte, error) {
	var o Object
	if err := o.Read(doc); err != nil {
		return nil, err
	}
	return Prepare(edit).Apply(nil, &o, values)
}
