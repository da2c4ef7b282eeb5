package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadToEnd visits the committed records of a topic's partitions (all of them if nil) up to where the log ended when
// it was called, each partition in order of offset, from one goroutine.
//
// The end is that of everything written, committed or not: a transaction that was decided before the call but whose
// marker is still on its way is waited for, and so is one that is still open, until it ends or ctx is done. Whoever
// needs the past of a certain producer fences it first.
//
// The bytes of a visited record share memory with the whole fetch: copy what is kept for long. An error of visit ends
// the reading and is returned as it is. A cluster that does not answer for a minute is an error.
func ReadToEnd(ctx context.Context, cfg Config, topic string, partitions []int32, visit func(*kgo.Record) error) error {
	client, err := cfg.client()
	if err != nil {
		return fmt.Errorf("read topic %q: %w", topic, err)
	}
	defer client.Close()
	c, err := openCursor(ctx, client, cfg.Log, topic, partitions)
	if err != nil {
		return err
	}
	ends, err := c.offsets(ctx, c.admin.ListEndOffsets, topic)
	if err != nil {
		return err
	}
	targets := map[TopicPartition]int64{}
	for p, end := range ends {
		targets[TopicPartition{topic, p}] = end
	}
	return c.readTo(ctx, targets, eachRecord(visit))
}

// Range is a stretch of a partition: from From up to but without To.
type Range struct{ From, To int64 }

// ReadRanges visits the committed records of stretches of a topic's partitions, as ReadToEnd does. It waits for what
// is not written or not decided yet.
func ReadRanges(ctx context.Context, cfg Config, topic string, ranges map[int32]Range, visit func(*kgo.Record) error) error {
	return ReadBatches(ctx, cfg, topic, ranges, eachRecord(visit))
}

// ReadBatches is ReadRanges for those who want to know how far they are: it visits what each answer held, and the
// position behind it, even if it held nothing to visit. The last Next of a partition is the end of its range. While
// visit is at work the next answer is fetched and unpacked, so that memory holds three of them at most, of 16 MB each
// as they were sent.
func ReadBatches(ctx context.Context, cfg Config, topic string, ranges map[int32]Range, visit func(Batch) error) error {
	client, err := cfg.client()
	if err != nil {
		return fmt.Errorf("read topic %q: %w", topic, err)
	}
	defer client.Close()
	c, err := openCursor(ctx, client, cfg.Log, topic, slices.Sorted(maps.Keys(ranges)))
	if err != nil {
		return err
	}
	targets := map[TopicPartition]int64{}
	for p, r := range ranges {
		tp := TopicPartition{topic, p}
		c.next[tp], targets[tp] = max(c.next[tp], r.From), r.To
	}
	return c.readTo(ctx, targets, visit)
}

func eachRecord(visit func(*kgo.Record) error) func(Batch) error {
	return func(b Batch) error {
		for _, r := range b.Records {
			if err := visit(r); err != nil {
				return err
			}
		}
		return nil
	}
}
