package server

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
)

// fetchBuffer is the size of a buffer that a fetch reads into; larger answers grow it.
const fetchBuffer = 1 << 20

// buffers are reused between fetches, and frames between produces: at full speed they are most of what is allocated.
type buffers struct {
	pool   sync.Pool
	frames frames
}

// frame is the memory for a request of some kind.
func (b *buffers) frame(key int16, n int) []byte {
	if key != int16(kmsg.Produce) {
		return make([]byte, n)
	}
	return b.frames.get(n)
}

// giveFrame takes the frame of a request back that was worked on to its end.
func (b *buffers) giveFrame(p pending) {
	if p.r.key == int16(kmsg.Produce) {
		b.frames.put(p.frame)
	}
}

// get returns an empty buffer for about n bytes. Small ones are not worth keeping.
func (b *buffers) get(n int) []byte {
	if n < 16<<10 {
		return make([]byte, 0, n)
	}
	if got, ok := b.pool.Get().(*[]byte); ok {
		return (*got)[:0]
	}
	return make([]byte, 0, fetchBuffer+64<<10)
}

// put gives a buffer back; nobody may look into it any more.
func (b *buffers) put(buf []byte) {
	if cap(buf) < fetchBuffer || cap(buf) > 4*fetchBuffer {
		return
	}
	buf = buf[:0]
	b.pool.Put(&buf)
}

// release gives back what an answer that was sent held.
func (s *Server) release(response kmsg.Response) {
	f, ok := response.(*kmsg.FetchResponse)
	if !ok {
		return
	}
	for i := range f.Topics {
		for j := range f.Topics[i].Partitions {
			s.buffers.put(f.Topics[i].Partitions[j].RecordBatches)
		}
	}
}

// endOf is the offset after the last batch in b.
func endOf(b []byte) (int64, error) {
	var end int64
	err := batch.Walk(b, func(h batch.Header, _ []byte) bool {
		end = h.Next()
		return true
	})
	return end, err
}
