package server

import (
	"math/bits"
	"sync"
)

// frames are the memory of produce requests, used again: what they carry is in the log when they are answered, and nobody
// keeps any of it. At full speed they are most of what is allocated. Other requests are small, and their handlers keep
// parts of them.
type frames struct {
	pools [frameClasses]sync.Pool
}

// Sizes of kept frames go up in steps of an eighth to a quarter, so that little more is taken than was asked for.
const (
	smallFrame   = 64 << 10 // below, the allocator is as good
	largeFrame   = 32 << 20 // above, keeping costs too much
	frameClasses = 4 * 10
)

// frameClass is the class of frames for so many bytes, and their size.
func frameClass(n int) (class, size int) {
	step := bits.Len(uint(n-1)) - 3 // a step is a quarter of the power of two below
	size = (n-1)>>step<<step + 1<<step
	return 4*(step-14) + (size>>step - 5), size
}

// get returns a frame of n bytes with anything in it.
func (f *frames) get(n int) []byte {
	if n <= smallFrame || n > largeFrame {
		return make([]byte, n)
	}
	class, size := frameClass(n)
	if got, ok := f.pools[class].Get().(*[]byte); ok {
		return (*got)[:n]
	}
	return make([]byte, n, size)
}

// put gives a frame back; nobody may look into it any more.
func (f *frames) put(frame []byte) {
	n := cap(frame)
	if n <= smallFrame || n > largeFrame {
		return
	}
	if class, size := frameClass(n); size == n {
		f.pools[class].Put(&frame)
	}
}
