package batch

// glance is cutRecord and fits for ordinary records: it returns the size of the record at the head of b if that is whole,
// at delta, and has a key where keys are asked for. Zero says that the long way must look: something is wrong, or rare.
// Every record of every uncompressed batch is looked at, which made this a sixth of what writing cost.
func glance(b []byte, delta int32, keys bool) int {
	size, at := brief(b, 0)
	end := at + size
	if size <= 0 || end > len(b) {
		return 0
	}
	b = b[:end]
	at = skipTime(b, at+1) // behind the attributes
	offset, at := brief(b, at)
	key, at := brief(b, at)
	if offset != int(delta) || key < 0 && keys {
		return 0
	}
	value, at := brief(b, pass(at, key))
	count, at := brief(b, pass(at, value))
	if key < -1 || value < -1 || count < 0 {
		return 0
	}
	for ; count > 0 && at <= end; count-- {
		var name, text int
		name, at = brief(b, at)
		text, at = brief(b, pass(at, name))
		if name < -1 || text < -1 {
			return 0
		}
		at = pass(at, text)
	}
	if at != end {
		return 0
	}
	return end
}

// beyond is a position behind every batch: what was asked for there is not there, and neither is what follows.
const beyond = 1 << 30

// brief reads a zigzag varint of one to three bytes at a position, and returns the position behind it.
func brief(b []byte, at int) (v, next int) {
	if at >= len(b) {
		return 0, beyond
	}
	u := uint(b[at])
	if u < 0x80 {
		return int(u>>1) ^ -int(u&1), at + 1
	}
	return longer(b, at)
}

func longer(b []byte, at int) (v, next int) {
	if at+1 >= len(b) {
		return 0, beyond
	}
	u := uint(b[at])&0x7f | uint(b[at+1]&0x7f)<<7
	if b[at+1] < 0x80 {
		return int(u>>1) ^ -int(u&1), at + 2
	}
	if at+2 >= len(b) || b[at+2] >= 0x80 {
		return 0, beyond
	}
	u |= uint(b[at+2]) << 14
	return int(u>>1) ^ -int(u&1), at + 3
}

// skipTime passes over a difference of times, if it has at most eight bytes.
func skipTime(b []byte, at int) int {
	for i := at; i < min(at+8, len(b)); i++ {
		if b[i] < 0x80 {
			return i + 1
		}
	}
	return beyond
}

// pass goes over so many bytes; -1 is null, which has none.
func pass(at, n int) int { return at + max(n, 0) }
