package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	fetchBytes          = 16 << 20 // per answer
	fetchPartitionBytes = 4 << 20  // per partition of an answer
	retryPause          = 100 * time.Millisecond
)

// cursor reads partitions of one topic by plain fetch requests, read_committed.
//
// It exists because of one question that a consumer cannot answer: "have I seen everything below this offset?". Commit
// and abort markers, aborted records and offsets removed by compaction are never delivered, so waiting for a record
// at the last offset may wait for ever. A fetch answer, in contrast, always moves the position past whatever it holds,
// delivered or not.
//
// A cursor belongs to one goroutine.
type cursor struct {
	client  *kgo.Client
	admin   *kadm.Client
	log     *slog.Logger
	topic   string
	id      [16]byte
	leaders map[int32]int32 // by partition
	next    map[int32]int64 // the next offset to read, by partition
	unpack  kgo.Decompressor
}

// newCursor stands at the start of the partitions (all of them if nil) of a topic.
func newCursor(ctx context.Context, client *kgo.Client, log *slog.Logger, topic string, partitions []int32) (*cursor, error) {
	c := &cursor{
		client: client, admin: kadm.NewClient(client), log: log, topic: topic,
		next: map[int32]int64{}, unpack: kgo.DefaultDecompressor(),
	}
	if err := c.locate(ctx); err != nil {
		return nil, err
	}
	starts, err := c.offsets(ctx, c.admin.ListStartOffsets)
	if err != nil {
		return nil, err
	}
	if partitions == nil {
		partitions = slices.Sorted(maps.Keys(c.leaders))
	}
	for _, p := range partitions {
		start, ok := starts[p]
		if !ok {
			return nil, fmt.Errorf("read topic %q: it has no partition %d", topic, p)
		}
		c.next[p] = start
	}
	return c, nil
}

// locate asks who leads the partitions now.
func (c *cursor) locate(ctx context.Context) error {
	topics, err := c.admin.ListTopics(ctx, c.topic)
	if err != nil {
		return fmt.Errorf("read topic %q: %w", c.topic, err)
	}
	detail := topics[c.topic]
	if detail.Err != nil {
		return fmt.Errorf("read topic %q: %w", c.topic, detail.Err)
	}
	c.id = detail.ID
	c.leaders = map[int32]int32{}
	for _, p := range detail.Partitions {
		c.leaders[p.Partition] = p.Leader
	}
	return nil
}

func (c *cursor) offsets(ctx context.Context, list listOffsets) (map[int32]int64, error) {
	listed, err := listLed(ctx, list, c.topic)
	if err != nil {
		return nil, fmt.Errorf("list offsets of topic %q: %w", c.topic, err)
	}
	offsets := map[int32]int64{}
	for p, o := range listed[c.topic] {
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// readTo reads every partition of the cursor up to its target, in any order between partitions.
func (c *cursor) readTo(ctx context.Context, targets map[int32]int64, visit func(*kgo.Record) error) error {
	trouble := newPatience(c.log, "reading waits for the cluster", "topic", c.topic)
	for {
		behind := c.behind(targets)
		if len(behind) == 0 {
			return nil
		}
		err := c.fetch(ctx, behind, targets, 250*time.Millisecond, visit)
		if err := trouble.judge(ctx, err); err != nil {
			return err
		}
	}
}

func (c *cursor) behind(targets map[int32]int64) []int32 {
	var behind []int32
	for p, next := range c.next {
		if next < targets[p] {
			behind = append(behind, p)
		}
	}
	slices.Sort(behind)
	return behind
}

// fetch asks the leaders of the partitions once, waiting up to wait for something to arrive, and visits what is there
// below the targets (everything if nil). An error of visit comes back as a *visitError; any other may pass.
func (c *cursor) fetch(ctx context.Context, partitions []int32, targets map[int32]int64, wait time.Duration, visit func(*kgo.Record) error) error {
	for leader, led := range c.byLeader(partitions) {
		answer, err := c.ask(ctx, leader, led, wait)
		if err == nil {
			err = c.take(answer, targets, visit)
		}
		if err != nil {
			return c.recover(ctx, err)
		}
	}
	return nil
}

func (c *cursor) byLeader(partitions []int32) map[int32][]int32 {
	led := map[int32][]int32{}
	for _, p := range partitions {
		led[c.leaders[p]] = append(led[c.leaders[p]], p)
	}
	return led
}

func (c *cursor) ask(ctx context.Context, leader int32, partitions []int32, wait time.Duration) (*kmsg.FetchResponse, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = fetchBytes
	req.IsolationLevel = 1 // read_committed
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = c.topic, c.id
	for _, p := range partitions {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = p, c.next[p], fetchPartitionBytes
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c.client.Broker(int(leader)))
	if err != nil {
		return nil, err
	}
	return resp, kerr.ErrorForCode(resp.ErrorCode)
}

func (c *cursor) take(answer *kmsg.FetchResponse, targets map[int32]int64, visit func(*kgo.Record) error) error {
	bytes := 0
	for t := range answer.Topics {
		for p := range answer.Topics[t].Partitions {
			part := &answer.Topics[t].Partitions[p]
			bytes += len(part.RecordBatches)
			if err := c.takePartition(part, targets, visit); err != nil {
				return err
			}
		}
	}
	if bytes == 0 {
		c.skipGaps(answer, targets)
	}
	return nil
}

// skipGaps moves past offsets that compaction removed without leaving even an empty batch: an answer that holds
// nothing for a stable stretch. It counts only if the whole answer is empty; an answer full of other partitions'
// records leaves the rest out for lack of room.
func (c *cursor) skipGaps(answer *kmsg.FetchResponse, targets map[int32]int64) {
	for _, topic := range answer.Topics {
		for _, part := range topic.Partitions {
			target, bounded := targets[part.Partition]
			if bounded && part.ErrorCode == 0 && part.LastStableOffset >= target {
				c.next[part.Partition] = max(c.next[part.Partition], target)
			}
		}
	}
}

func (c *cursor) takePartition(answer *kmsg.FetchResponseTopicPartition, targets map[int32]int64, visit func(*kgo.Record) error) error {
	p := answer.Partition
	target, bounded := targets[p]
	read, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Topic: c.topic, Partition: p, Offset: c.next[p], IsolationLevel: kgo.ReadCommitted(),
	}, answer, c.unpack, nil)
	switch {
	case errors.Is(read.Err, kerr.OffsetOutOfRange) && c.next[p] < read.LogStartOffset:
		c.next[p] = read.LogStartOffset // deleted while we read: as if we had come later
		return nil
	case read.Err != nil:
		return fmt.Errorf("read topic %q partition %d: %w", c.topic, p, read.Err)
	}
	for _, r := range read.Records {
		if bounded && r.Offset >= target {
			break
		}
		if err := visit(r); err != nil {
			return &visitError{err}
		}
	}
	c.next[p] = next
	return nil
}

// recover prepares the next try after an error: leaders may have moved.
func (c *cursor) recover(ctx context.Context, err error) error {
	if isVisit(err) {
		return err
	}
	if located := c.locate(ctx); located != nil {
		return errors.Join(err, located)
	}
	return err
}

// visitError is an error of the caller's own function: reading on would be wrong.
type visitError struct{ error }

func (e *visitError) Unwrap() error { return e.error }

func isVisit(err error) bool {
	var v *visitError
	return errors.As(err, &v)
}
