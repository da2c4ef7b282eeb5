package disk

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Kill returns what a kill -9 of the process leaves: all that the operating system has, synced or not. What was not
// synced can still be lost by a later PowerLoss of the copy. The copy has no hook and shares nothing with m.
func (m *Memory) Kill() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{root: killer{}.copy(m.root)}
}

// killer copies nodes, each once.
type killer map[*node]*node

func (k killer) copy(n *node) *node {
	if c := k[n]; c != nil {
		return c
	}
	c := &node{data: bytes.Clone(n.data), synced: bytes.Clone(n.synced), writes: slices.Clone(n.writes)}
	k[n] = c
	if n.names == nil {
		return c
	}
	c.names, c.syncedNames = k.all(n.names), k.all(n.syncedNames)
	for _, r := range n.renames {
		c.renames = append(c.renames, rename{from: r.from, to: r.to, node: k.copy(r.node)})
	}
	return c
}

func (k killer) all(names map[string]*node) map[string]*node {
	c := make(map[string]*node, len(names))
	for name, n := range names {
		c[name] = k.copy(n)
	}
	return c
}

// PowerLoss returns one of the states that a loss of power can leave, as a file system without a journal might. What was
// synced is there. Of what was not, by chance:
//
//   - each sector of a file has any of the contents it had since the last sync, whatever other sectors have;
//   - the length of a file is any of those it had since the last sync, and bytes that nobody wrote at this length are zero
//     or garbage;
//   - of the changes of names any are there, later ones without earlier ones too, but a rename as a whole or not at all.
//
// The copy has no hook and shares nothing with m; all that it has counts as synced.
func (m *Memory) PowerLoss(rng *rand.Rand) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := loss{rng: rng, seen: map[*node]*node{}}
	return &Memory{root: l.node(m.root)}
}

// loss draws a state after a power loss. It asks rng in an order that depends on the file system alone.
type loss struct {
	rng  *rand.Rand
	seen map[*node]*node
}

func (l *loss) node(n *node) *node {
	if c := l.seen[n]; c != nil {
		return c
	}
	c := &node{}
	l.seen[n] = c
	if n.names == nil {
		c.data = l.content(n)
		c.synced = bytes.Clone(c.data)
		return c
	}
	kept := l.names(n)
	c.names = make(map[string]*node, len(kept))
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		c.names[name] = l.node(kept[name])
	}
	c.syncedNames = maps.Clone(c.names)
	return c
}

// names draws which changes of a directory are kept.
func (l *loss) names(n *node) map[string]*node {
	kept := maps.Clone(n.syncedNames)
	keep := l.chooser(len(n.renames))
	for i, r := range n.renames {
		if keep(i) {
			r.apply(kept)
		}
	}
	return kept
}

// chooser draws how changes are kept: none, all, the first so many, or each for itself.
func (l *loss) chooser(changes int) func(i int) bool {
	switch l.rng.IntN(4) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		first := l.rng.IntN(changes + 1)
		return func(i int) bool { return i < first }
	default:
		return func(int) bool { return l.rng.IntN(2) == 0 }
	}
}

// content draws what is left of a file.
func (l *loss) content(n *node) []byte {
	changes := len(n.writes)
	if changes == 0 {
		return bytes.Clone(n.synced)
	}
	switch l.rng.IntN(4) {
	case 0:
		return bytes.Clone(n.synced)
	case 1:
		return bytes.Clone(n.data)
	case 2:
		return n.after(l.rng.IntN(changes + 1))
	default:
		return l.sectors(n)
	}
}

// after is the content of a file after so many of its unsynced changes.
func (n *node) after(changes int) []byte {
	data := bytes.Clone(n.synced)
	for _, e := range n.writes[:changes] {
		data = e.apply(data)
	}
	return data
}

// sectors draws the length, and the content of each sector, from all that there were since the last sync.
func (l *loss) sectors(n *node) []byte {
	sector := [...]int{512, 4096}[l.rng.IntN(2)]
	changes := len(n.writes)
	result := make([]byte, len(n.after(l.rng.IntN(changes+1))))
	chosen := make([][]int, changes+1) // by the number of changes that a sector has seen
	for s := range (len(result) + sector - 1) / sector {
		seen := l.version(changes)
		chosen[seen] = append(chosen[seen], s*sector)
	}
	data := bytes.Clone(n.synced)
	for seen, starts := range chosen {
		if seen > 0 {
			data = n.writes[seen-1].apply(data)
		}
		for _, at := range starts {
			l.sector(result[at:min(at+sector, len(result))], data[min(at, len(data)):])
		}
	}
	return result
}

// version draws how many changes a sector has seen, none and all as often as those between together.
func (l *loss) version(changes int) int {
	return [...]int{0, changes, l.rng.IntN(changes + 1)}[l.rng.IntN(3)]
}

// sector fills one with what it had, and beyond that with zeros or garbage.
func (l *loss) sector(dst, had []byte) {
	rest := dst[copy(dst, had):]
	if len(rest) == 0 || l.rng.IntN(2) == 0 {
		return
	}
	for i := range rest {
		rest[i] = byte(l.rng.Uint32())
	}
}
