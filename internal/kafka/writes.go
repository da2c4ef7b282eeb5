package kafka

import (
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writes remembers how far the tracked topics have been written: where a store's changelog stands after a commit.
type writes struct {
	tracked map[string]bool

	mu        sync.Mutex
	open      map[TopicPartition]int64 // by the records acknowledged since the last commit; GUARDED_BY(mu)
	committed map[TopicPartition]int64 // by the records of the last commit; GUARDED_BY(mu)
}

// acknowledged may be called by any goroutine of the client, in any order between partitions.
func (w *writes) acknowledged(r *kgo.Record) {
	if !w.tracked[r.Topic] {
		return
	}
	tp := TopicPartition{r.Topic, r.Partition}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = make(map[TopicPartition]int64)
	}
	w.open[tp] = max(w.open[tp], r.Offset+1)
}

func (w *writes) commit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed, w.open = w.open, nil
}

// Written returns, for the partitions of Tracked topics that the last successful commit wrote to, the offset behind the
// last of its records. Markers may follow there; nothing of ours does.
func (t *Transactor) Written() map[TopicPartition]int64 {
	t.writes.mu.Lock()
	defer t.writes.mu.Unlock()
	return maps.Clone(t.writes.committed)
}
