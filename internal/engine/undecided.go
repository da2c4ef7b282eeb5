package engine

import (
	"sync"
	"time"

	"ravenswood.dev/internal/kafka"
)

// undecided knows for how long open transactions have kept records from being read. The last stable offset of a partition is
// the first offset of its oldest open transaction: as long as it stays where it is, and the log goes on behind it, that
// transaction is open. It may be anybody's, of an input or of a topic that an outside sink is filled from.
type undecided struct {
	mu   sync.Mutex
	open map[kafka.TopicPartition]openTransaction // GUARDED_BY(mu)
}

type openTransaction struct {
	first int64
	since time.Time // when it was first seen
}

// note takes how the logs stand: the stable offsets must have been asked for after the ends, or what came in between would look
// like an open transaction.
func (u *undecided) note(ends, stable map[kafka.TopicPartition]int64, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := make(map[kafka.TopicPartition]openTransaction)
	for tp, end := range ends {
		first, known := stable[tp]
		if !known || end <= first {
			continue
		}
		if next[tp] = (openTransaction{first, now}); u.open[tp].first == first && !u.open[tp].since.IsZero() {
			next[tp] = u.open[tp]
		}
	}
	u.open = next
}

// oldest is the transaction that has been open for longest, nil if none is.
func (u *undecided) oldest(now time.Time) *OpenTransaction {
	u.mu.Lock()
	defer u.mu.Unlock()
	var oldest *OpenTransaction
	for tp, o := range u.open {
		one := OpenTransaction{Topic: tp.Topic, Partition: tp.Partition, Offset: o.first, Age: now.Sub(o.since)}
		if oldest == nil || one.before(oldest) {
			oldest = &one
		}
	}
	return oldest
}

// before orders by age and then by name, so that the answer does not depend on chance.
func (o *OpenTransaction) before(p *OpenTransaction) bool {
	if o.Age != p.Age {
		return o.Age > p.Age
	}
	return o.Topic < p.Topic || o.Topic == p.Topic && o.Partition < p.Partition
}
