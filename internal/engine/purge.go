package engine

import (
	"context"
	"maps"
	"time"

	"ravenswood.dev/internal/kafka"
)

// purgeEvery is how often what has been read of internal topics is deleted.
const purgeEvery = 10 * time.Second

// purge deletes the records of repartition topics that are committed as read: nobody else reads them, and kept for ever
// they would be a second copy of everything. Each process purges the partitions that are its own. A purge that fails is
// made up for by the next.
func (e *Engine) purge(ctx context.Context) {
	purged := make(map[kafka.TopicPartition]int64)
	for sleep(ctx, purgeEvery) {
		due := e.purgeable(purged)
		if len(due) == 0 {
			continue
		}
		if err := e.admin.DeleteRecords(ctx, due); err != nil {
			e.log.Debug("internal topics are purged later", "err", err)
			continue
		}
		maps.Copy(purged, due)
	}
}

// purgeable is how far each repartition partition of this process can be deleted, where that is further than before.
func (e *Engine) purgeable(purged map[kafka.TopicPartition]int64) map[kafka.TopicPartition]int64 {
	repartition := make(map[string]bool)
	for _, in := range e.plan.Inputs {
		repartition[in.Topic] = in.Repartition
	}
	due := make(map[kafka.TopicPartition]int64)
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	for tp, at := range e.board.next {
		if repartition[tp.Topic] && at > purged[tp] {
			due[tp] = at
		}
	}
	return due
}
