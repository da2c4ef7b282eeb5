package cleaner

import (
	"crypto/sha256"
	"encoding/binary"
)

// slotBytes is what one key costs.
const slotBytes = 24

// keys remembers the last offset of each key within a bounded memory: an open hash table of fixed size. Of a key it keeps half
// of its SHA-256. Two keys with the same half would be one key; nobody has the means to find two, by chance or on purpose.
type keys struct {
	slots []slot
	used  int
	most  int // keys that it takes
}

type slot struct {
	hash [16]byte
	next int64 // offset of the key plus one; 0: free
}

// newKeys makes a table of at most budget bytes, smaller if no more than expected keys can come.
func newKeys(budget, expected int64) *keys {
	const least = 16
	n := max(least, min(budget/slotBytes, expected+expected/4+1))
	return &keys{slots: make([]slot, n), most: int(n - n/8 - 1)}
}

func hashOf(key []byte) (h [16]byte) {
	sum := sha256.Sum256(key)
	copy(h[:], sum[:])
	return h
}

// put remembers an offset, which is larger than those before it. It is false, and nothing changes, when there is no more room.
func (k *keys) put(key []byte, offset int64) bool {
	h := hashOf(key)
	s := k.find(h)
	if s.next == 0 {
		if k.used == k.most {
			return false
		}
		k.used++
		s.hash = h
	}
	s.next = offset + 1
	return true
}

// latest is the last offset of a key, false if it is not known.
func (k *keys) latest(key []byte) (int64, bool) {
	s := k.find(hashOf(key))
	return s.next - 1, s.next != 0
}

// find is the slot of a key or the free one where it belongs. There is always a free one.
func (k *keys) find(h [16]byte) *slot {
	n := uint64(len(k.slots))
	for i := binary.BigEndian.Uint64(h[:]) % n; ; i = (i + 1) % n {
		if s := &k.slots[i]; s.next == 0 || s.hash == h {
			return s
		}
	}
}
