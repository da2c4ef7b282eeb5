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
			cur := &cursor{topic: "t", next: map[int32]int64{0: 0, 1: 4}, unpack: kgo.DefaultDecompressor()}
			answer := kmsg.NewPtrFetchResponse()
			topic := kmsg.NewFetchResponseTopic()
			p0, p1 := kmsg.NewFetchResponseTopicPartition(), kmsg.NewFetchResponseTopicPartition()
			p0.RecordBatches, p0.LastStableOffset = c.bytes, 1
			p1.Partition, p1.LastStableOffset = 1, c.stable
			topic.Partitions = append(topic.Partitions, p0, p1)
			answer.Topics = append(answer.Topics, topic)
			err := cur.take(answer, map[int32]int64{0: 100, 1: 10}, func(*kgo.Record) error { return nil })
			if err != nil || cur.next[1] != c.want {
				t.Fatalf("next is %d, %v; want %d", cur.next[1], err, c.want)
			}
		})
	}
}

// partOfABatch is bytes that hold nothing to deliver.
func partOfABatch(t *testing.T) []byte {
	t.Helper()
	return make([]byte, 17)
}
