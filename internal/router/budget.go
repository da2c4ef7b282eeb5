package router

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"ravenswood.dev/api"
)

// budget keeps retries from multiplying the load on a service in trouble: a retry is allowed if there was none too many
// this second, or if retries stay below a share of the first attempts of the last ten seconds.
type budget struct {
	percent   int64
	perSecond int64

	mu      sync.Mutex
	seconds [10]struct{ second, first, retries int64 }
}

func newBudget(b api.RetryBudget) *budget {
	return &budget{percent: int64(b.Percent), perSecond: int64(b.PerSecond)}
}

func (b *budget) first(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seconds[b.at(now)].first++
}

// retry asks for one retry and takes it if it is there.
func (b *budget) retry(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.at(now)
	if b.seconds[at].retries >= b.perSecond && !b.shareLeft(now) {
		return false
	}
	b.seconds[at].retries++
	return true
}

func (b *budget) shareLeft(now time.Time) bool {
	var first, retries int64
	for _, s := range b.seconds {
		if s.second > now.Unix()-int64(len(b.seconds)) {
			first += s.first
			retries += s.retries
		}
	}
	return (retries+1)*places <= first*b.percent
}

func (b *budget) at(now time.Time) int {
	second := now.Unix()
	at := int(uint64(second) % uint64(len(b.seconds)))
	if s := &b.seconds[at]; s.second != second {
		s.second, s.first, s.retries = second, 0, 0
	}
	return at
}

// failures remembers which requests failed lately, so that a retry is known as one however it comes back: from a lane,
// from a parked key or through the proxy. It forgets when two requests share a place, which costs nothing but a retry
// counted as a first attempt.
type failures [4096]atomic.Uint64

func (f *failures) remember(idempotencyKey string) {
	if idempotencyKey != "" {
		hash := xxhash.Sum64String(idempotencyKey)
		f[hash%uint64(len(f))].Store(hash)
	}
}

// take says whether the request failed lately, and forgets it.
func (f *failures) take(idempotencyKey string) bool {
	if idempotencyKey == "" {
		return false
	}
	hash := xxhash.Sum64String(idempotencyKey)
	return f[hash%uint64(len(f))].CompareAndSwap(hash, 0)
}
