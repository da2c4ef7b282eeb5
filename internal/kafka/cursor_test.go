package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestCursorSkipsGapsOnlyIfTheWholeAnswerIsEmpty: compaction may leave nothing before a target, and a full answer leaves
// out partitions that do have something.
func TestCursorSkipsGapsOnlyIfTheWholeAnswerIsEmpty(t *testing.T) {
	batch := partOfABatch(t)
	cases := []struct {
		name   string
		bytes  []byte // of partition 0
		stable int64  // of partition 1
		want   int64  // next of partition 1
	}{
		{"nothing up to a stable target", nil, 10, 10},
		{"the target is not stable yet", nil, 9, 4},
		{"another partition filled the answer", batch, 10, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p0, p1 := TopicPartition{"t", 0}, TopicPartition{"t", 1}
			cur := &cursor{next: map[TopicPartition]int64{p0: 0, p1: 4}, unpack: kgo.DefaultDecompressor()}
			answer := kmsg.NewPtrFetchResponse()
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic = "t"
			a0, a1 := kmsg.NewFetchResponseTopicPartition(), kmsg.NewFetchResponseTopicPartition()
			a0.RecordBatches, a0.LastStableOffset = c.bytes, 1
			a1.Partition, a1.LastStableOffset = 1, c.stable
			topic.Partitions = append(topic.Partitions, a0, a1)
			answer.Topics = append(answer.Topics, topic)
			err := cur.take(answer, map[TopicPartition]int64{p0: 100, p1: 10}, func(Batch) error { return nil })
			if err != nil || cur.next[p1] != c.want {
				t.Fatalf("next is %d, %v; want %d", cur.next[p1], err, c.want)
			}
		})
	}
}

// partOfABatch is bytes that hold nothing to deliver.
func partOfABatch(t *testing.T) []byte {
	t.Helper()
	return make([]byte, 17)
}
