package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) compare(other TopicPartition) int {
	return cmp.Or(cmp.Compare(tp.Topic, other.Topic), cmp.Compare(tp.Partition, other.Partition))
}

// StableOffsets returns the last stable offset of every partition of the topics: everything below it is decided and
// is what a committed reader can reach. Lag is measured against it.
func (a *Admin) StableOffsets(ctx context.Context, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, "stable", a.admin.ListCommittedOffsets, topics)
}

// EndOffsets returns where the log of every partition of the topics ends, open transactions and markers included.
func (a *Admin) EndOffsets(ctx context.Context, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, "end", a.admin.ListEndOffsets, topics)
}

// StartOffsets returns the first offset that every partition of the topics still has.
func (a *Admin) StartOffsets(ctx context.Context, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, "start", a.admin.ListStartOffsets, topics)
}

// KnownEnds is EndOffsets of those partitions that answer: others, whose leader is away, are missing, and all says whether
// there are such. It asks once.
func (a *Admin) KnownEnds(ctx context.Context, topics ...string) (ends map[TopicPartition]int64, all bool, err error) {
	if len(topics) == 0 { // no topics would mean all topics
		return nil, true, nil
	}
	return known(a.admin.ListEndOffsets(ctx, topics...))
}

// known takes from an answer what can be used of it.
func known(listed kadm.ListedOffsets, err error) (ends map[TopicPartition]int64, all bool, failed error) {
	if parts := (*kadm.ShardErrors)(nil); err != nil && (!errors.As(err, &parts) || parts.AllFailed) {
		return nil, false, fmt.Errorf("list end offsets: %w", err)
	}
	ends, all = make(map[TopicPartition]int64), err == nil
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			all = false
			return
		}
		ends[TopicPartition{o.Topic, o.Partition}] = o.Offset
	})
	return ends, all, nil
}

func (a *Admin) list(ctx context.Context, what string, list listOffsets, topics []string) (map[TopicPartition]int64, error) {
	offsets := map[TopicPartition]int64{}
	if len(topics) == 0 { // no topics would mean all topics
		return offsets, nil
	}
	listed, err := listLed(ctx, list, topics...)
	if err != nil {
		return nil, fmt.Errorf("list %s offsets: %w", what, err)
	}
	for topic, partitions := range listed {
		for p, o := range partitions {
			offsets[TopicPartition{topic, p}] = o.Offset
		}
	}
	return offsets, nil
}

type listOffsets func(context.Context, ...string) (kadm.ListedOffsets, error)

// listLed asks again while a partition is between two leaders: a new topic's leader is named before it knows itself, and
// a broker that goes away takes seconds to be replaced. The client does not repeat that by itself.
func listLed(ctx context.Context, list listOffsets, topics ...string) (kadm.ListedOffsets, error) {
	for begun := time.Now(); ; {
		listed, err := list(ctx, topics...)
		if err == nil {
			err = listed.Error()
		}
		if err == nil {
			return listed, nil
		}
		if !leaderless(err) || time.Since(begun) > leaderPatience {
			return nil, err
		}
		if stopped := pause(ctx, retryPause); stopped != nil {
			return nil, errors.Join(stopped, err)
		}
	}
}

const leaderPatience = 20 * time.Second

func leaderless(err error) bool {
	for _, passing := range []error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.OffsetNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// Committed is a position a group committed.
type Committed struct {
	Offset   int64 // the next offset to read
	Metadata string
}

// CommittedOffsets returns what a group committed; empty if the group is unknown. What an open transaction is about to
// commit does not count yet.
func (a *Admin) CommittedOffsets(ctx context.Context, group string) (map[TopicPartition]Committed, error) {
	resp, err := a.admin.FetchOffsets(ctx, group)
	if err == nil {
		err = resp.Error()
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		return map[TopicPartition]Committed{}, nil
	case err != nil:
		return nil, fmt.Errorf("read offsets of group %q: %w", group, err)
	}
	return committed(resp), nil
}

func committed(resp kadm.OffsetResponses) map[TopicPartition]Committed {
	offsets := map[TopicPartition]Committed{}
	resp.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 {
			offsets[TopicPartition{o.Topic, o.Partition}] = Committed{Offset: o.At, Metadata: o.Metadata}
		}
	})
	return offsets
}

// DeleteGroupOffsets forgets what a group committed for the topics, so that it starts anew there. The group must not
// have members that read them.
func (a *Admin) DeleteGroupOffsets(ctx context.Context, group string, topics ...string) error {
	have, err := a.CommittedOffsets(ctx, group)
	if err != nil {
		return err
	}
	doomed := kadm.TopicsSet{}
	for tp := range have {
		for _, t := range topics {
			if tp.Topic == t {
				doomed.Add(tp.Topic, tp.Partition)
			}
		}
	}
	if len(doomed) == 0 {
		return nil
	}
	resp, err := a.admin.DeleteOffsets(ctx, group, doomed)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("delete offsets of group %q: %w", group, err)
	}
	return nil
}

// DeleteRecords deletes what lies below the offsets, for good: the partitions begin there then. Offsets that are gone
// already stay so. All problems come back at once, joined; partitions without one are done.
func (a *Admin) DeleteRecords(ctx context.Context, below map[TopicPartition]int64) error {
	if len(below) == 0 {
		return nil
	}
	offsets := kadm.Offsets{}
	for tp, at := range below {
		if at < 0 { // the protocol would take -1 for everything
			return fmt.Errorf("delete records of topic %q partition %d: there is no offset %d", tp.Topic, tp.Partition, at)
		}
		offsets.AddOffset(tp.Topic, tp.Partition, at, -1)
	}
	responses, err := a.admin.DeleteRecords(ctx, offsets)
	if err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	var problems []error
	for _, r := range responses.Sorted() {
		if r.Err != nil {
			problems = append(problems, fmt.Errorf("delete records of topic %q partition %d: %w", r.Topic, r.Partition, r.Err))
		}
	}
	return errors.Join(problems...)
}
