package engine

import (
	"math/bits"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/engine/stage"
)

// boltStats counts one bolt's work in this process.
type boltStats struct {
	name    string
	records atomic.Int64
	errors  atomic.Int64
	retries atomic.Int64
	latency histogram // of attempts of blocking bolts
	late    stage.Counts
}

// histogram counts durations in log-linear buckets: eight per power of two of microseconds, so a quantile is at most
// one eighth off. It needs no lock and no setting.
type histogram struct {
	buckets [bucketCount]atomic.Int64
	sum     atomic.Int64 // nanoseconds
}

const (
	bucketCount = 8 * 32
	subBits     = 3
)

func (h *histogram) observe(d time.Duration) {
	h.buckets[bucketOf(d)].Add(1)
	h.sum.Add(int64(d))
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<subBits {
		return int(us)
	}
	exp := bits.Len64(us) - subBits - 1
	return min((exp+1)<<subBits+int(us>>exp)&(1<<subBits-1), bucketCount-1)
}

// upper is the upper bound of a bucket.
func upper(bucket int) time.Duration {
	if bucket < 1<<subBits {
		return time.Duration(bucket+1) * time.Microsecond
	}
	exp := bucket>>subBits - 1
	return time.Duration((1<<subBits+bucket&(1<<subBits-1)+1)<<exp) * time.Microsecond
}

// quantile returns the upper bound of the bucket that holds the quantile, 0 if nothing was observed.
func (h *histogram) quantile(q float64) time.Duration {
	var counts [bucketCount]int64
	var total int64
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
		total += counts[i]
	}
	rank := int64(float64(total) * q)
	for i, n := range counts {
		if rank -= n; n > 0 && rank < 0 {
			return upper(i)
		}
	}
	return 0
}

// counters are a topology's totals in this process.
type counters struct {
	in     atomic.Int64 // read and committed
	out    atomic.Int64 // written to topic sinks and committed
	dead   atomic.Int64
	parked atomic.Int64 // park records written
	lost   atomic.Int64 // records the log no longer had when they were to be read
}
