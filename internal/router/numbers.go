package router

import (
	"math/bits"
	"sync"
	"time"
)

// recent counts the calls of one version over the last minute, in slots of ten seconds. Time comes in from outside.
type recent struct {
	mu     sync.Mutex
	slots  [6]slot
	calls  int64 // since the start
	errors int64
}

const slotLength = 10 * time.Second

// slot counts the calls of ten seconds; epoch says which.
type slot struct {
	epoch   int64
	calls   int64
	errors  int64
	latency [128]uint32
}

func (r *recent) add(now time.Time, took time.Duration, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slot(now)
	s.calls++
	r.calls++
	if failed {
		s.errors++
		r.errors++
	}
	s.latency[bucketOf(took)]++
}

func (r *recent) slot(now time.Time) *slot {
	epoch := now.UnixNano() / int64(slotLength)
	s := &r.slots[uint64(epoch)%uint64(len(r.slots))]
	if s.epoch != epoch {
		*s = slot{epoch: epoch}
	}
	return s
}

// sum is the counts of the last minute and of all time.
type sum struct {
	calls, errors       int64
	callsMin, errorsMin int64
	latency             [128]uint32
}

func (r *recent) sum(now time.Time) sum {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := sum{calls: r.calls, errors: r.errors}
	oldest := now.UnixNano()/int64(slotLength) - int64(len(r.slots))
	for i := range r.slots {
		if s := &r.slots[i]; s.epoch > oldest {
			out.callsMin += s.calls
			out.errorsMin += s.errors
			for j, n := range s.latency {
				out.latency[j] += n
			}
		}
	}
	return out
}

// quantile is the latency that share q of the last minute's calls stayed below, exact to a quarter of a power of two.
func (s *sum) quantile(q float64) time.Duration {
	if s.callsMin == 0 {
		return 0
	}
	rank, seen := int64(q*float64(s.callsMin-1))+1, int64(0)
	for i, n := range s.latency {
		if seen += int64(n); seen >= rank {
			return (bucketFloor(i) + bucketFloor(i+1)) / 2
		}
	}
	return bucketFloor(len(s.latency))
}

// bucketOf sorts a latency into four buckets per power of two microseconds.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 4 {
		return int(us)
	}
	n := bits.Len64(us)
	return min((n-2)*4+int(us>>(n-3)&3), 127)
}

func bucketFloor(i int) time.Duration {
	if i < 4 {
		return time.Duration(i) * time.Microsecond
	}
	return time.Duration((4+i%4)<<(i/4-1)) * time.Microsecond
}
