package server

import (
	"bytes"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestFetchFrameIsWhatTheProtocolSays compares our encoding with the one made from Kafka's own definitions.
func TestFetchFrameIsWhatTheProtocolSays(t *testing.T) {
	var w fetchFrame
	rapid.Check(t, func(t *rapid.T) {
		f := drawFetch(t)
		if _, ok := plainFetch(f); !ok {
			t.Fatal("an answer of ours is taken for an experiment's")
		}
		want := appendAnswer(nil, &request{correlation: 7}, f)
		got := slices.Concat(w.frame(7, f)...)
		if !bytes.Equal(got, want) {
			t.Errorf("version %d:\n got %x\nwant %x", f.Version, got, want)
		}
	})
}

func drawFetch(t *rapid.T) *kmsg.FetchResponse {
	f := kmsg.NewPtrFetchResponse()
	f.Version = rapid.Int16Range(4, 18).Draw(t, "version")
	f.ThrottleMillis, f.SessionID = rapid.Int32().Draw(t, "throttle"), rapid.Int32().Draw(t, "session")
	f.ErrorCode = rapid.Int16().Draw(t, "error")
	for range rapid.IntRange(0, 3).Draw(t, "topics") {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = rapid.StringN(0, 200, 300).Draw(t, "name")
		topic.TopicID[3] = rapid.Byte().Draw(t, "id")
		for range rapid.IntRange(0, 3).Draw(t, "partitions") {
			topic.Partitions = append(topic.Partitions, drawPartition(t))
		}
		f.Topics = append(f.Topics, topic)
	}
	return f
}

func drawPartition(t *rapid.T) kmsg.FetchResponseTopicPartition {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode = rapid.Int32().Draw(t, "partition"), rapid.Int16().Draw(t, "error")
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset = rapid.Int64().Draw(t, "high"), rapid.Int64().Draw(t, "stable"), rapid.Int64().Draw(t, "start")
	switch rapid.IntRange(0, 3).Draw(t, "records") {
	case 0:
		p.RecordBatches = []byte{}
	case 1:
		p.RecordBatches = []byte("a few records")
	case 2:
		p.RecordBatches = bytes.Repeat([]byte("r"), gatherFrom)
	}
	for range rapid.IntRange(0, 2).Draw(t, "aborted") {
		a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		a.ProducerID, a.FirstOffset = rapid.Int64().Draw(t, "producer"), rapid.Int64().Draw(t, "first")
		p.AbortedTransactions = append(p.AbortedTransactions, a)
	}
	return p
}

func TestAnswersWithMoreInThemAreNotPlain(t *testing.T) {
	for name, change := range map[string]func(*kmsg.FetchResponse){
		"a leader":          func(f *kmsg.FetchResponse) { f.Topics[0].Partitions[0].CurrentLeader.LeaderID = 1 },
		"a diverging epoch": func(f *kmsg.FetchResponse) { f.Topics[0].Partitions[0].DivergingEpoch.Epoch = 1 },
		"a snapshot":        func(f *kmsg.FetchResponse) { f.Topics[0].Partitions[0].SnapshotID.Epoch = 1 },
		"brokers":           func(f *kmsg.FetchResponse) { f.Brokers = append(f.Brokers, kmsg.NewFetchResponseBroker()) },
		"a tag":             func(f *kmsg.FetchResponse) { f.UnknownTags.Set(99, []byte("x")) },
		"an old version":    func(f *kmsg.FetchResponse) { f.Version = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			f := kmsg.NewPtrFetchResponse()
			f.Version = 12
			topic := kmsg.NewFetchResponseTopic()
			topic.Partitions = append(topic.Partitions, kmsg.NewFetchResponseTopicPartition())
			f.Topics = append(f.Topics, topic)
			if _, ok := plainFetch(f); !ok {
				t.Fatal("not plain before the change")
			}
			change(f)
			if _, ok := plainFetch(f); ok {
				t.Error("taken for plain")
			}
		})
	}
}
