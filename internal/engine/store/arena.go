package store

// chunk is how much an arena asks for at once.
const chunk = 64 << 10

// arena hands out bytes that are never overwritten nor given back one by one: a chunk goes when nothing of it is in use.
// It saves one allocation per key and value. A nil arena allocates each piece for itself, for bytes that live long.
type arena struct {
	free []byte
	used int64
}

// copy returns a copy of b that nobody will change; never nil.
func (a *arena) copy(b []byte) []byte {
	return append(a.take(len(b)), b...)
}

// take returns an empty slice with room for n bytes.
func (a *arena) take(n int) []byte {
	if a == nil {
		return make([]byte, 0, n)
	}
	a.used += int64(n)
	if n > chunk/8 {
		return make([]byte, 0, n)
	}
	if n > len(a.free) {
		a.free = make([]byte, chunk)
	}
	b := a.free[:0:n]
	a.free = a.free[n:]
	return b
}
