package acl

import (
	"container/list"
	"math"
	"time"
)

// QuotaKind is what a client is charged for.
type QuotaKind int8

// The kinds, with the quota that limits each and the unit that Charge counts.
const (
	Produced  QuotaKind = iota // producer_byte_rate: bytes of produced batches
	Fetched                    // consumer_byte_rate: bytes of fetched batches
	Requests                   // request_percentage: nanoseconds that requests took
	Mutations                  // controller_mutation_rate: partitions created or deleted
	Connected                  // connection_creation_rate: connections from an address
)

func (k QuotaKind) key() string {
	return [...]string{producerByteRate, consumerByteRate, requestPercent, mutationRate, connectionRate}[k]
}

// perSecond turns the value of a quota into units per second.
func (k QuotaKind) perSecond(value float64) float64 {
	if k == Requests {
		return value / 100 * float64(time.Second)
	}
	return value
}

// Client is who is charged. IP matters for Connected only.
type Client struct {
	User string // Principal.Name
	ID   string // client id
	IP   string
}

// QuotaOptions bound the work of quotas. The zero value of a field means its default.
type QuotaOptions struct {
	// Window is how much of a rate may come at once; default 1 s.
	Window time.Duration
	// MaxThrottle is the longest time that one Charge tells; default 10 s. It must stay below the request timeout of clients.
	MaxThrottle time.Duration
	MaxTracked  int // clients that are followed at the same time; default 10,000
}

// buckets follow what clients used: a bucket holds what is left of a client's allowance, and goes below zero.
type buckets struct {
	window, longest time.Duration
	max             int
	of              map[bucketKey]*list.Element
	recent          *list.List // of *bucket, the one used last in front
}

type bucketKey struct {
	entity Entity
	kind   QuotaKind
}

type bucket struct {
	key  bucketKey
	rate float64 // units per second
	left float64 // units; below zero: debt
	at   time.Time
}

func newBuckets(o QuotaOptions) *buckets {
	b := &buckets{window: o.Window, longest: o.MaxThrottle, max: o.MaxTracked, of: map[bucketKey]*list.Element{}, recent: list.New()}
	if b.window <= 0 {
		b.window = time.Second
	}
	if b.longest <= 0 {
		b.longest = 10 * time.Second
	}
	if b.max <= 0 {
		b.max = 10_000
	}
	return b
}

// Charge counts units that a client used and tells how long it must be silent now: zero if its quota allows it or it has
// none. The caller reports that time to the client and takes nothing more from the connection for as long, then charges zero
// units and waits again while the answer is not zero: what one answer cannot hold stays a debt. With that, a client gets
// at most its rate, plus one burst of the window, plus its last request of each connection.
func (q *Quotas) Charge(c Client, k QuotaKind, units int64, now time.Time) (throttle time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	value, shared, ok := q.quotaOf(c, k.key())
	if !ok {
		return 0
	}
	return q.buckets.charge(bucketKey{shared, k}, k.perSecond(value), units, now)
}

// MaxAtOnce tells how many bytes one fetch may return, so that a client is not throttled for longer than the window
// for one answer. ok is false if nothing limits it.
func (q *Quotas) MaxAtOnce(c Client, k QuotaKind) (units int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	value, _, ok := q.quotaOf(c, k.key())
	if !ok {
		return 0, false
	}
	return max(1, int64(math.Min(k.perSecond(value)*q.buckets.window.Seconds(), math.MaxInt64/2))), true
}

func (b *buckets) charge(key bucketKey, rate float64, units int64, now time.Time) time.Duration {
	t := b.get(key, rate, now)
	t.refill(rate, rate*b.window.Seconds(), now)
	t.left -= float64(max(0, units))
	if t.left >= 0 {
		return 0
	}
	wait := math.Ceil(-t.left / t.rate * 1000) // whole milliseconds, as answers tell them; never too short
	return time.Duration(math.Min(wait, float64(b.longest.Milliseconds()))) * time.Millisecond
}

func (b *buckets) get(key bucketKey, rate float64, now time.Time) *bucket {
	if e, ok := b.of[key]; ok {
		b.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if len(b.of) >= b.max {
		oldest := b.recent.Back()
		delete(b.of, b.recent.Remove(oldest).(*bucket).key)
	}
	t := &bucket{key: key, rate: rate, left: rate * b.window.Seconds(), at: now}
	b.of[key] = b.recent.PushFront(t)
	return t
}

// refill adds what the time since the last charge allows. A clock that went back adds nothing.
func (t *bucket) refill(rate, burst float64, now time.Time) {
	if passed := now.Sub(t.at); passed > 0 {
		t.left += rate * passed.Seconds()
		t.at = now
	}
	t.rate, t.left = rate, math.Min(t.left, burst)
}
