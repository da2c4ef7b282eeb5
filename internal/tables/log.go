package tables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/stream/tables"
)

// Log is what asking tables needs of the log. Its methods may be called concurrently.
type Log interface {
	// Committed is what a group has committed: the next offset of each partition.
	Committed(ctx context.Context, group string) (map[kafka.TopicPartition]int64, error)
	// Ends is the offset behind the last record of each partition that a committed reader gets, of those at or behind
	// from; from itself if there is none. What is not decided yet is waited for.
	Ends(ctx context.Context, topic string, from map[int32]int64) (map[int32]int64, error)
	// Stable is the last stable offset of every partition of a topic.
	Stable(ctx context.Context, topic string) (map[int32]int64, error)
	// Follow visits the committed records of partitions from these offsets on, until ctx is done or visit fails.
	Follow(ctx context.Context, topic string, from map[int32]int64, visit func(*kgo.Record) error) error
	// Write writes records and says where they are. They are independent of each other.
	Write(ctx context.Context, records []*kgo.Record) error
}

// ErrNoTopic says that there is no such topic.
var ErrNoTopic = errors.New("there is no such topic")

var _ Log = (*Cluster)(nil)

// Cluster is the Log of a Kafka cluster. It connects when it is first used.
type Cluster struct {
	cfg     kafka.Config
	admin   *kafka.Admin
	writers *writers
}

// OpenCluster makes a Log of a cluster.
func OpenCluster(cfg kafka.Config) (*Cluster, error) {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return nil, err
	}
	writers, err := newWriters(append(cfg.Options(), writerOptions()...))
	if err != nil {
		admin.Close()
		return nil, err
	}
	return &Cluster{cfg: cfg, admin: admin, writers: writers}, nil
}

// writerOptions place keys as every Kafka client does and let records name a partition. A bound on the time of delivery
// is not among them: the client counts it from a record's own time, which may be long ago.
func writerOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.RecordPartitioner(orNamed{kgo.StickyKeyPartitioner(nil)}),
		kgo.UnknownTopicRetries(2),
		kgo.MaxBufferedBytes(64 << 20),
	}
}

// Close ends the connections.
func (c *Cluster) Close() {
	c.writers.close()
	c.admin.Close()
}

// Committed is what a group has committed.
func (c *Cluster) Committed(ctx context.Context, group string) (map[kafka.TopicPartition]int64, error) {
	committed, err := c.admin.CommittedOffsets(ctx, group)
	if err != nil {
		return nil, err
	}
	next := map[kafka.TopicPartition]int64{}
	for tp, at := range committed {
		next[tp] = at.Offset
	}
	return next, nil
}

// endStretch is how far before an end the last record is looked for at first. Between it and the end there may be
// nothing but marks of transactions and records that were never committed.
const endStretch = 64

// Ends finds the last record of partitions.
//
// The end of a partition alone would not do: behind the last record there is the mark of its transaction, and a reader
// that has worked on all records commits an offset before it.
func (c *Cluster) Ends(ctx context.Context, topic string, from map[int32]int64) (map[int32]int64, error) {
	listed, err := c.admin.EndOffsets(ctx, topic)
	if err != nil {
		return nil, noTopic(err)
	}
	ends, last := map[int32]int64{}, maps.Clone(from)
	for p := range from {
		ends[p] = listed[kafka.TopicPartition{Topic: topic, Partition: p}]
	}
	for stretch := int64(endStretch); len(ends) > 0; stretch *= 8 {
		ranges := map[int32]kafka.Range{}
		for p, end := range ends {
			if end > from[p] {
				ranges[p] = kafka.Range{From: max(from[p], end-stretch), To: end}
			}
		}
		if len(ranges) == 0 {
			break
		}
		err := kafka.ReadRanges(ctx, c.cfg, topic, ranges, func(r *kgo.Record) error {
			last[r.Partition] = max(last[r.Partition], r.Offset+1)
			return nil
		})
		if err != nil {
			return nil, err
		}
		ends = unfound(ranges, last, from)
	}
	return last, nil
}

// unfound keeps the partitions whose last record was not in the stretch that was read, with where that began.
func unfound(read map[int32]kafka.Range, last, from map[int32]int64) map[int32]int64 {
	rest := map[int32]int64{}
	for p, r := range read {
		if last[p] == from[p] && r.From > from[p] {
			rest[p] = r.From
		}
	}
	return rest
}

// Stable is the last stable offset of every partition of a topic.
func (c *Cluster) Stable(ctx context.Context, topic string) (map[int32]int64, error) {
	listed, err := c.admin.StableOffsets(ctx, topic)
	if err != nil {
		return nil, noTopic(err)
	}
	stable := map[int32]int64{}
	for tp, offset := range listed {
		stable[tp.Partition] = offset
	}
	return stable, nil
}

func noTopic(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.InvalidTopicException) {
		return errors.Join(ErrNoTopic, err)
	}
	return err
}

// Follow reads with a client of its own, so that a slow visit holds nobody else up.
func (c *Cluster) Follow(ctx context.Context, topic string, from map[int32]int64, visit func(*kgo.Record) error) error {
	at := map[int32]kgo.Offset{}
	for p, o := range from {
		at[p] = kgo.NewOffset().At(o)
	}
	client, err := kgo.NewClient(append(c.cfg.Options(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}), kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(1<<20))...)
	if err != nil {
		return fmt.Errorf("follow topic %q: %w", topic, err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for r := range fetches.RecordsAll() {
			if err := visit(r); err != nil {
				return err
			}
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("follow topic %q: %w", topic, err)
		}
	}
}

// Write writes records and waits until all replicas that count have them, for half a minute.
func (c *Cluster) Write(ctx context.Context, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, tables.WaitMax)
	defer cancel()
	return c.writers.write(ctx, records)
}

// orNamed is a partitioner that takes the partition a record names.
type orNamed struct{ kgo.Partitioner }

// ForTopic is part of kgo's contract.
func (o orNamed) ForTopic(topic string) kgo.TopicPartitioner {
	return namedTopic{o.Partitioner.ForTopic(topic)}
}

type namedTopic struct{ kgo.TopicPartitioner }

// named marks the records that name their partition. A record's own field is not enough: zero is a partition, too.
type named struct{}

func isNamed(r *kgo.Record) bool { return r.Context != nil && r.Context.Value(named{}) != nil }

// Partition is part of kgo's contract. A partition that there is not is refused by the client.
func (n namedTopic) Partition(r *kgo.Record, partitions int) int {
	if isNamed(r) {
		return int(r.Partition)
	}
	return n.TopicPartitioner.Partition(r, partitions)
}

// RequiresConsistency is part of kgo's contract.
func (n namedTopic) RequiresConsistency(r *kgo.Record) bool {
	return isNamed(r) || n.TopicPartitioner.RequiresConsistency(r)
}

// OnNewBatch lets records without a key change their partition now and then.
func (n namedTopic) OnNewBatch() {
	if b, ok := n.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		b.OnNewBatch()
	}
}

// Named makes a record go to the partition it says.
func Named(ctx context.Context, r *kgo.Record) *kgo.Record {
	r.Context = context.WithValue(ctx, named{}, true)
	return r
}

// partitionsOf lists the partitions of a map in order.
func partitionsOf[V any](m map[int32]V) []int32 { return slices.Sorted(maps.Keys(m)) }
