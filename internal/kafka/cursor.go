package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	fetchBytes          = 16 << 20 // per answer
	fetchPartitionBytes = 4 << 20  // per partition of an answer
	fetchWait           = 250 * time.Millisecond
	retryPause          = 100 * time.Millisecond
)

// Batch is what one answer of a broker held for a partition.
type Batch struct {
	Topic     string
	Partition int32
	Records   []*kgo.Record // committed ones, in order; none if there were only markers, or nothing at all
	Next      int64         // the offset to go on at: everything below it has been seen
	Stable    int64         // the last stable offset: what a committed reader can reach; -1 if Lost
	Start     int64         // the first offset that the log still has
	Lost      bool          // the log does not go on at the position: offsets that were to be read are gone, or the log ends before it
}

// cursor reads partitions by plain fetch requests, read_committed.
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
	ids     map[string][16]byte
	names   map[[16]byte]string
	leaders map[TopicPartition]int32
	next    map[TopicPartition]int64 // the next offset to read
	outside []TopicPartition         // where the last answers said that next is not in the log
	unpack  kgo.Decompressor
}

func newCursor(client *kgo.Client, log *slog.Logger) *cursor {
	return &cursor{
		client: client, admin: kadm.NewClient(client), log: log,
		ids: map[string][16]byte{}, names: map[[16]byte]string{}, leaders: map[TopicPartition]int32{},
		next: map[TopicPartition]int64{}, unpack: kgo.DefaultDecompressor(),
	}
}

// openCursor stands at the start of the partitions (all of them if nil) of a topic.
func openCursor(ctx context.Context, client *kgo.Client, log *slog.Logger, topic string, partitions []int32) (*cursor, error) {
	c := newCursor(client, log)
	if err := c.locate(ctx, topic); err != nil {
		return nil, err
	}
	starts, err := c.offsets(ctx, c.admin.ListStartOffsets, topic)
	if err != nil {
		return nil, err
	}
	if partitions == nil {
		partitions = slices.Sorted(maps.Keys(starts))
	}
	for _, p := range partitions {
		start, ok := starts[p]
		if !ok {
			return nil, fmt.Errorf("read topic %q: it has no partition %d", topic, p)
		}
		c.next[TopicPartition{topic, p}] = start
	}
	return c, nil
}

func (c *cursor) led(tp TopicPartition) bool {
	leader, ok := c.leaders[tp]
	return ok && leader >= 0
}

// locate asks who leads the partitions of topics now. What it learns of some counts even if others have an error.
func (c *cursor) locate(ctx context.Context, topics ...string) error {
	if len(topics) == 0 { // no topics would mean all topics
		return nil
	}
	details, err := c.admin.ListTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("read topic %q: %w", topics[0], err)
	}
	var problems []error
	for _, topic := range topics {
		detail := details[topic]
		if detail.Err != nil {
			problems = append(problems, fmt.Errorf("read topic %q: %w", topic, detail.Err))
			continue
		}
		c.ids[topic], c.names[detail.ID] = detail.ID, topic
		for _, p := range detail.Partitions {
			c.leaders[TopicPartition{topic, p.Partition}] = p.Leader
		}
	}
	return errors.Join(problems...)
}

func (c *cursor) offsets(ctx context.Context, list listOffsets, topic string) (map[int32]int64, error) {
	listed, err := listLed(ctx, list, topic)
	if err != nil {
		return nil, fmt.Errorf("list offsets of topic %q: %w", topic, err)
	}
	offsets := map[int32]int64{}
	for p, o := range listed[topic] {
		offsets[p] = o.Offset
	}
	return offsets, nil
}

// readTo reads every partition of the cursor up to its target, in any order between partitions. While visit is at work
// the next answer is on its way. It is the caller's goroutine that visits.
func (c *cursor) readTo(ctx context.Context, targets map[TopicPartition]int64, visit func(Batch) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches, done := make(chan Batch), make(chan error, 1)
	go func() {
		defer close(batches)
		done <- c.feed(ctx, targets, func(b Batch) error {
			if err := b.pastEnd(); err != nil {
				return err
			}
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	var failed error
	for b := range batches {
		if failed != nil {
			continue
		}
		if failed = visit(b); failed != nil {
			cancel()
		}
	}
	return cmp.Or(failed, <-done)
}

// feed hands on everything up to the targets. Records that are deleted meanwhile are gone, as if it had come later.
func (c *cursor) feed(ctx context.Context, targets map[TopicPartition]int64, hand func(Batch) error) error {
	trouble := newPatience(c.log, "reading waits for the cluster")
	for {
		behind := c.behind(targets)
		if len(behind) == 0 {
			return nil
		}
		err := c.fetch(ctx, behind, targets, fetchWait, hand)
		if err := trouble.judge(ctx, err); err != nil {
			return err
		}
	}
}

func (c *cursor) behind(targets map[TopicPartition]int64) []TopicPartition {
	var behind []TopicPartition
	for tp, next := range c.next {
		if next < targets[tp] {
			behind = append(behind, tp)
		}
	}
	slices.SortFunc(behind, TopicPartition.compare)
	return behind
}

// fetch asks the leaders of the partitions once, all at the same time, waiting up to wait for something to arrive, and
// hands on what is there below the targets (everything if nil). Errors of hand come back as they are.
func (c *cursor) fetch(ctx context.Context, partitions []TopicPartition, targets map[TopicPartition]int64, wait time.Duration, hand func(Batch) error) error {
	var failed error
	for _, a := range c.askAll(ctx, partitions, wait) {
		if a.err == nil {
			a.err = c.take(a.answer, targets, hand)
		}
		failed = cmp.Or(failed, a.err)
	}
	failed = cmp.Or(failed, c.returnInside(ctx, targets, hand))
	if failed == nil || ctx.Err() != nil {
		return failed
	}
	return cmp.Or(failed, c.locate(ctx, topicsOf(partitions)...)) // leaders may have moved
}

// leaderAnswer is what a leader said.
type leaderAnswer struct {
	leader int32
	answer *kmsg.FetchResponse
	err    error
}

func (c *cursor) askAll(ctx context.Context, partitions []TopicPartition, wait time.Duration) []leaderAnswer {
	led := map[int32][]TopicPartition{}
	for _, tp := range partitions {
		led[c.leaders[tp]] = append(led[c.leaders[tp]], tp)
	}
	answers := make([]leaderAnswer, 0, len(led))
	for _, leader := range slices.Sorted(maps.Keys(led)) {
		answers = append(answers, leaderAnswer{leader: leader})
	}
	var asking sync.WaitGroup
	for i := range answers {
		a := &answers[i]
		asking.Go(func() { a.answer, a.err = c.ask(ctx, a.leader, led[a.leader], wait) })
	}
	asking.Wait()
	return answers
}

func (c *cursor) ask(ctx context.Context, leader int32, partitions []TopicPartition, wait time.Duration) (*kmsg.FetchResponse, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = fetchBytes
	req.IsolationLevel = 1 // read_committed
	at := map[string]int{}
	for _, tp := range partitions {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[tp.Topic] = i
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = tp.Topic, c.ids[tp.Topic]
			req.Topics = append(req.Topics, topic)
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = tp.Partition, c.next[tp], fetchPartitionBytes
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	resp, err := req.RequestWith(ctx, c.client.Broker(int(leader)))
	if err != nil {
		return nil, err
	}
	return resp, kerr.ErrorForCode(resp.ErrorCode)
}

func (c *cursor) take(answer *kmsg.FetchResponse, targets map[TopicPartition]int64, hand func(Batch) error) error {
	bytes := 0
	var failed error
	for t := range answer.Topics {
		topic := &answer.Topics[t]
		if topic.Topic == "" {
			topic.Topic = c.names[topic.TopicID]
		}
		for p := range topic.Partitions {
			part := &topic.Partitions[p]
			bytes += len(part.RecordBatches)
			failed = cmp.Or(failed, c.takePartition(topic.Topic, part, targets, hand))
			part.RecordBatches = nil // the records hold what they need of it
		}
	}
	if bytes == 0 && failed == nil {
		return c.skipGaps(answer, targets, hand)
	}
	return failed
}

// skipGaps moves past offsets that compaction removed without leaving even an empty batch: an answer that holds
// nothing for a stable stretch. It counts only if the whole answer is empty; an answer full of other partitions'
// records leaves the rest out for lack of room.
func (c *cursor) skipGaps(answer *kmsg.FetchResponse, targets map[TopicPartition]int64, hand func(Batch) error) error {
	for _, topic := range answer.Topics {
		for _, part := range topic.Partitions {
			tp := TopicPartition{topic.Topic, part.Partition}
			target, bounded := targets[tp]
			if !bounded || part.ErrorCode != 0 || part.LastStableOffset < target || c.next[tp] >= target {
				continue
			}
			c.next[tp] = target
			b := Batch{Topic: tp.Topic, Partition: tp.Partition, Next: target, Stable: part.LastStableOffset, Start: part.LogStartOffset}
			if err := hand(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cursor) takePartition(topic string, answer *kmsg.FetchResponseTopicPartition, targets map[TopicPartition]int64, hand func(Batch) error) error {
	tp := TopicPartition{topic, answer.Partition}
	read, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Topic: topic, Partition: tp.Partition, Offset: c.next[tp], IsolationLevel: kgo.ReadCommitted(),
	}, answer, c.unpack, nil)
	switch {
	case errors.Is(read.Err, kerr.OffsetOutOfRange):
		c.outside = append(c.outside, tp)
		return nil
	case read.Err != nil:
		return fmt.Errorf("read topic %q partition %d: %w", topic, tp.Partition, read.Err)
	}
	c.next[tp] = next
	b := Batch{Topic: topic, Partition: tp.Partition, Records: read.Records, Next: next, Stable: read.LastStableOffset, Start: read.LogStartOffset}
	if target, bounded := targets[tp]; bounded && next > target {
		b.cut(target)
	}
	return hand(b)
}

// returnInside moves partitions whose position is outside of their log to where it begins now, if that is further on. The
// answer that said so does not say where the log begins.
func (c *cursor) returnInside(ctx context.Context, targets map[TopicPartition]int64, hand func(Batch) error) error {
	outside := c.outside
	c.outside = nil
	for _, tp := range outside {
		starts, err := c.offsets(ctx, c.admin.ListStartOffsets, tp.Topic)
		if err != nil {
			return err
		}
		b := Batch{Topic: tp.Topic, Partition: tp.Partition, Next: max(c.next[tp], starts[tp.Partition]), Stable: -1, Start: starts[tp.Partition], Lost: true}
		c.next[tp] = b.Next
		if target, bounded := targets[tp]; bounded && b.Next > target {
			b.cut(target)
		}
		if err := hand(b); err != nil {
			return err
		}
	}
	return nil
}

// pastEnd says that the position is one that the log never had, or has no more.
func (b *Batch) pastEnd() error {
	if !b.Lost || b.Next <= b.Start {
		return nil
	}
	return fmt.Errorf("read topic %q partition %d from offset %d: %w", b.Topic, b.Partition, b.Next, kerr.OffsetOutOfRange)
}

// cut leaves out what is at or behind the target.
func (b *Batch) cut(target int64) {
	n, _ := slices.BinarySearchFunc(b.Records, target, func(r *kgo.Record, at int64) int { return int(min(max(r.Offset-at, -1), 1)) })
	b.Records, b.Next = b.Records[:n], target
}

func topicsOf(partitions []TopicPartition) []string {
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
