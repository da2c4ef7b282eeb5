package disk

import (
	"io/fs"
	"maps"
	"strings"
	"syscall"
)

// A node is a file or a directory, known by the directories that name it and by open files. The lock of its Memory guards it.
type node struct {
	// Of a file:
	data   []byte // what the operating system has
	synced []byte // what the last sync made durable
	writes []edit // since then, in order

	// Of a directory, nil for a file:
	names       map[string]*node // what the operating system has
	syncedNames map[string]*node // what the last sync of the directory made durable
	renames     []rename         // since then, in order
}

// An edit is an unsynced change of a file.
type edit struct {
	at       int64
	bytes    []byte
	truncate bool // to length at
}

// A rename is an unsynced change of a directory: node goes from one name to another. Without `from` it is new, without
// `to` it is removed.
type rename struct {
	from, to string
	node     *node
}

func newDirectory() *node {
	return &node{names: map[string]*node{}, syncedNames: map[string]*node{}}
}

// walk finds a name below a directory.
func (n *node) walk(name string) (*node, error) {
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n.names == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (n *node) rename(from, to string) error {
	moved, replaced := n.names[from], n.names[to]
	switch {
	case moved == nil:
		return fs.ErrNotExist
	case moved == replaced:
		return nil
	case replaced == nil:
	case replaced.names != nil:
		return fs.ErrExist
	case moved.names != nil:
		return syscall.ENOTDIR
	}
	n.change(rename{from: from, to: to, node: moved})
	return nil
}

func (n *node) remove(name string) error {
	gone := n.names[name]
	switch {
	case gone == nil:
		return fs.ErrNotExist
	case len(gone.names) > 0:
		return syscall.ENOTEMPTY
	}
	n.change(rename{from: name, node: gone})
	return nil
}

// change does it for the operating system and notes that the disk does not have it yet.
func (n *node) change(r rename) {
	r.apply(n.names)
	n.renames = append(n.renames, r)
}

func (n *node) syncNames() {
	n.syncedNames, n.renames = maps.Clone(n.names), nil
}

// apply does the change to names that may lack earlier ones: a node never has two names.
func (r rename) apply(names map[string]*node) {
	if r.from != "" {
		delete(names, r.from)
	}
	if r.to == "" {
		return
	}
	maps.DeleteFunc(names, func(_ string, n *node) bool { return n == r.node })
	names[r.to] = r.node
}

// edit does it for the operating system and notes that the disk does not have it yet. It keeps e.bytes.
func (n *node) edit(e edit) {
	n.data = e.apply(n.data)
	n.writes = append(n.writes, e)
}

func (n *node) sync() {
	for _, e := range n.writes {
		n.synced = e.apply(n.synced)
	}
	n.writes = nil
}

// apply does the change in data, and returns it as it is then.
func (e edit) apply(data []byte) []byte {
	if e.truncate {
		return resize(data, e.at)
	}
	if end := e.at + int64(len(e.bytes)); end > int64(len(data)) {
		data = resize(data, end)
	}
	copy(data[e.at:], e.bytes)
	return data
}

// resize cuts data or extends it with zeros.
func resize(data []byte, size int64) []byte {
	have := int64(len(data))
	if size <= have {
		return data[:size]
	}
	return append(data, make([]byte, size-have)...)
}
