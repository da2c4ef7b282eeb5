package call

import (
	"container/list"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
)

// requestKey stands for a request: equal keys, equal answers. A hash, since a request may be a megabyte.
type requestKey [sha256.Size]byte

// requestKey makes a request's key; ok is false if the field that stands for it is missing. The version is part of it:
// what the route keeps apart is never merged.
func (b *bolt) requestKey(c component.Call, event *document.Object) (key requestKey, ok bool) {
	h := sha256.New()
	write := func(part []byte) { fmt.Fprintf(h, "%d:%s", len(part), part) } // lengths keep parts from running together
	write([]byte(c.Version))
	if b.keyOf != nil {
		raw, found := event.Lookup(b.keyOf)
		write(raw)
		h.Sum(key[:0])
		return key, found
	}
	for _, field := range b.headers {
		raw, _ := event.Lookup(field.path)
		write(raw)
	}
	write(c.Body)
	h.Sum(key[:0])
	return key, true
}

// cache keeps answers: at most so many, so many bytes, so long. The least recently used goes first.
type cache struct {
	entries int
	bytes   int64
	ttl     time.Duration

	hits, misses atomic.Int64

	mu   sync.Mutex
	byID map[requestKey]*list.Element
	used *list.List // of *cached, most recently used first
	held int64
}

type cached struct {
	key   requestKey
	body  []byte
	until time.Time
}

// entryOverhead is about what an entry takes besides its answer.
const entryOverhead = 200

func (c *cached) size() int64 { return int64(len(c.body)) + entryOverhead }

func newCache(entries int, bytes int64, ttl time.Duration) *cache {
	return &cache{entries: entries, bytes: bytes, ttl: ttl, byID: map[requestKey]*list.Element{}, used: list.New()}
}

func (c *cache) get(key requestKey, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byID[key]
	if at == nil {
		c.misses.Add(1)
		return nil, false
	}
	entry := at.Value.(*cached)
	if !now.Before(entry.until) {
		c.remove(at)
		c.misses.Add(1)
		return nil, false
	}
	c.used.MoveToFront(at)
	c.hits.Add(1)
	return entry.body, true
}

func (c *cache) put(key requestKey, body []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.byID[key]; at != nil {
		c.remove(at)
	}
	entry := &cached{key, body, now.Add(c.ttl)}
	c.byID[key] = c.used.PushFront(entry)
	c.held += entry.size()
	for c.used.Len() > c.entries || c.held > c.bytes {
		c.remove(c.used.Back())
	}
}

func (c *cache) remove(at *list.Element) {
	entry := c.used.Remove(at).(*cached)
	delete(c.byID, entry.key)
	c.held -= entry.size()
}

// flight makes one call for equal requests that are in flight at the same time.
type flight struct{ group singleflight.Group }

// do calls, or waits for the call of an equal request. If it was that one's caller who gave up, it calls itself.
func (f *flight) do(ctx context.Context, key requestKey, call func() (component.Answer, error)) (component.Answer, error) {
	for {
		result := f.group.DoChan(string(key[:]), func() (any, error) { return call() })
		select {
		case <-ctx.Done():
			return component.Answer{}, ctx.Err()
		case r := <-result:
			if givenUp(r.Err) && ctx.Err() == nil {
				continue
			}
			return r.Val.(component.Answer), r.Err
		}
	}
}
