package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// Ahead is what a committed reader meets.
type Ahead struct {
	Offset int64 // of the first record, or where what is decided ends
	Record bool
}

// Ahead says what a committed reader meets from an offset on, for each partition. It reads to find out, because offsets do not
// tell: behind one there may be nothing but an open transaction, records of an aborted one, or what compaction has left.
func (a *Admin) Ahead(ctx context.Context, from map[TopicPartition]int64) (map[TopicPartition]Ahead, error) {
	if len(from) == 0 {
		return nil, nil
	}
	topics := topicsOf(slices.Collect(maps.Keys(from)))
	targets, err := a.StableOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	c := newCursor(a.client, slog.New(slog.DiscardHandler))
	if err := c.locate(ctx, topics...); err != nil {
		return nil, err
	}
	ahead := make(map[TopicPartition]Ahead, len(from))
	for tp, at := range from {
		c.next[tp], ahead[tp] = at, Ahead{Offset: max(at, targets[tp])}
	}
	for behind := c.behind(targets); len(behind) > 0; behind = c.behind(targets) {
		err := c.fetch(ctx, behind, targets, 0, func(b Batch) error {
			if tp := (TopicPartition{b.Topic, b.Partition}); len(b.Records) > 0 {
				ahead[tp] = Ahead{b.Records[0].Offset, true}
				delete(targets, tp)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look ahead: %w", err)
		}
	}
	return ahead, nil
}
