package cleaner

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Writers and readers go on while a partition is compacted.
func TestCompactionRunsBesideWritersAndReaders(t *testing.T) {
	h := newHistory(t, compacted)
	h.settings.DeleteRetention = time.Hour
	var mu sync.Mutex // the partition's: one writer
	stableNow := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return h.stable()
	}
	p := h.partition()
	p.Stable = stableNow
	p.LastBatch = func(id int64) (int64, bool) {
		mu.Lock()
		defer mu.Unlock()
		last, ok := h.last[id]
		return last, ok
	}
	p.Change = func(f func() error) error {
		mu.Lock()
		defer mu.Unlock()
		return f()
	}
	written := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(written)
		for i := range 300 {
			mu.Lock()
			h.write(1, true, pair{fmt.Sprint("k", i%7), fmt.Sprint(i)})
			h.write(-1, false, pair{fmt.Sprint("k", i%5), ""})
			h.end(1, i%3 == 0)
			if i%10 == 9 {
				h.check(h.log.Roll())
			}
			mu.Unlock()
		}
	})
	over := func() bool {
		select {
		case <-written:
			return true
		default:
			return false
		}
	}
	var failed error
	wg.Go(func() {
		for done := false; !done && failed == nil; {
			done = over()
			_, failed = h.cleaner().Compact(t.Context(), p)
		}
	})
	var misread error
	wg.Go(func() {
		for done := false; !done && misread == nil; {
			done = over()
			_, misread = readAll(h.log, stableNow())
		}
	})
	wg.Wait()
	h.check(failed)
	h.check(misread)
	h.check(h.verify(h.log, h.stable()))
}
