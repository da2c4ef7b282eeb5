package kafkatest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func fetchCases() []testCase {
	return []testCase{
		{"a fetch from the middle of a batch gets the whole batch", fetchMiddle},
		{"batches come back byte for byte", fetchBytes},
		{"a fetch at the end gets nothing and no error", fetchEnd},
		{"a fetch beyond the end is out of range", fetchBeyond},
		{"a fetch before the start is out of range", fetchBefore},
		{"an answer tells start, end and last stable offset", fetchWatermarks},
		{"a fetch waits for records", fetchWaits},
		{"a fetch waits no longer than it was told", fetchMaxWait},
		{"a fetch waits until there are enough bytes", fetchMinBytes},
		{"an error ends the wait at once", fetchErrorNoWait},
		{"the first batch comes however large it is", fetchFirstBatch},
		{"a limit for the partition is kept after the first batch", fetchPartitionLimit},
		{"a limit for the answer is kept after the first batch", fetchLimit},
		{"a limit is shared in the order of the request", fetchLimitOrder},
		{"an unknown topic is refused", fetchUnknownTopic},
		{"an unknown partition is refused", fetchUnknownPartition},
		{"a topic is fetched by its id", fetchByID},
		{"a topic is unknown by an id that nobody has", fetchUnknownID},
		{"a leader epoch of the future is refused", fetchFutureEpoch},
		{"several partitions come in one answer", fetchSeveral},
		{"batches carry the leader's epoch", fetchLeaderEpoch},
		{"the oldest version that is supported works", fetchOldest},
		{"a commit wakes a waiting reader of committed records", fetchCommitWakes},
	}
}

func fetchMiddle(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	batches := split(t.fetch(topic, 0, 3, uncommitted).RecordBatches)
	equal(t, "batches", len(batches), 1)
	equal(t, "first offset", batches[0].FirstOffset, 0)
}

// fetchBytes leaves out the first offset and the leader's epoch, which are the broker's.
func fetchBytes(t *T) {
	topic := t.topic(1)
	raw := keyed("k", "v", "l", "w").bytes()
	t.ok("produce", t.tryProduce(topic, 0, raw).ErrorCode)
	got := t.fetch(topic, 0, 0, uncommitted).RecordBatches
	if len(got) != len(raw) || !bytes.Equal(got[8:12], raw[8:12]) || !bytes.Equal(got[16:], raw[16:]) {
		t.Fatalf("got %x, want %x", got, raw)
	}
}

func fetchEnd(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	res := t.fetch(topic, 0, 1, uncommitted)
	t.ok("fetch", res.ErrorCode)
	equal(t, "bytes", len(res.RecordBatches), 0)
}

func fetchBeyond(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	t.want("fetch", t.fetch(topic, 0, 2, uncommitted).ErrorCode, kerr.OffsetOutOfRange)
}

func fetchBefore(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(4)...))
	t.deleteRecords(topic, 2)
	t.want("fetch", t.fetch(topic, 0, 1, uncommitted).ErrorCode, kerr.OffsetOutOfRange)
	t.want("fetch", t.fetch(topic, 0, -1, uncommitted).ErrorCode, kerr.OffsetOutOfRange)
}

func fetchWatermarks(t *T) {
	topic, p := t.topic(1), t.transactional()
	t.produce(topic, 0, plain(counted(4)...))
	t.deleteRecords(topic, 2)
	p.send(topic, 0, "open")
	res := t.fetch(topic, 0, 2, uncommitted)
	equal(t, "start", res.LogStartOffset, 2)
	equal(t, "last stable", res.LastStableOffset, 4)
	equal(t, "end", res.HighWatermark, 5)
}

// waiting sends a fetch that waits, over a connection of its own, and tells how long the answer took.
func (t *T) waiting(req *kmsg.FetchRequest) (answered func() (*kmsg.FetchResponse, time.Duration)) {
	t.Helper()
	c := t.dial()
	req.Version = 12
	begun := time.Now()
	if err := c.send(t.ctx, req); err != nil {
		t.Fatalf("send: %v", err)
	}
	return func() (*kmsg.FetchResponse, time.Duration) {
		t.Helper()
		res, err := c.receive(req)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return res.(*kmsg.FetchResponse), time.Since(begun)
	}
}

func fetchWaits(t *T) {
	topic := t.topic(1)
	req := fetchRequest(topic, 0, 0)
	req.MaxWaitMillis = 20_000
	answered := t.waiting(req)
	t.produce(topic, 0, plain("a"))
	res, took := answered()
	equal(t, "batches", len(split(onlyFetched(t, res).RecordBatches)), 1)
	if took > 10*time.Second {
		t.Fatalf("answered after %s", took)
	}
}

func fetchMaxWait(t *T) {
	req := fetchRequest(t.topic(1), 0, 0)
	req.MaxWaitMillis = 400
	res, took := t.waiting(req)()
	t.ok("fetch", onlyFetched(t, res).ErrorCode)
	if took < 390*time.Millisecond || took > 8*time.Second {
		t.Fatalf("answered after %s, want 400ms", took)
	}
}

func fetchMinBytes(t *T) {
	topic := t.topic(1)
	req := fetchRequest(topic, 0, 0)
	req.MaxWaitMillis, req.MinBytes = 20_000, 1000
	answered := t.waiting(req)
	t.produce(topic, 0, plain("small"))
	t.produce(topic, 0, plain(strings.Repeat("x", 1000)))
	res, took := answered()
	equal(t, "batches", len(split(onlyFetched(t, res).RecordBatches)), 2)
	if took > 10*time.Second {
		t.Fatalf("answered after %s", took)
	}
}

func fetchErrorNoWait(t *T) {
	req := fetchRequest(t.topic(1), 0, 99)
	req.MaxWaitMillis = 20_000
	res, took := t.waiting(req)()
	t.want("fetch", onlyFetched(t, res).ErrorCode, kerr.OffsetOutOfRange)
	if took > 10*time.Second {
		t.Fatalf("answered after %s", took)
	}
}

func fetchFirstBatch(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(strings.Repeat("x", 5000)))
	t.produce(topic, 0, plain("next"))
	req := fetchRequest(topic, 0, 0)
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1
	batches := split(onlyFetched(t, ask(t, req.RequestWith)).RecordBatches)
	equal(t, "batches", len(batches), 1)
	equal(t, "first offset", batches[0].FirstOffset, 0)
}

// tenBatches writes batches of about 1 KiB each.
func (t *T) tenBatches(topic string, partition int32) {
	t.Helper()
	for range 10 {
		t.produce(topic, partition, plain(strings.Repeat("x", 960)))
	}
}

func fetchPartitionLimit(t *T) {
	topic := t.topic(1)
	t.tenBatches(topic, 0)
	req := fetchRequest(topic, 0, 0)
	req.Topics[0].Partitions[0].PartitionMaxBytes = 3500
	equal(t, "whole batches", len(split(onlyFetched(t, ask(t, req.RequestWith)).RecordBatches)), 3)
}

func fetchLimit(t *T) {
	topic := t.topic(1)
	t.tenBatches(topic, 0)
	req := fetchRequest(topic, 0, 0)
	req.MaxBytes = 3500
	equal(t, "whole batches", len(split(onlyFetched(t, ask(t, req.RequestWith)).RecordBatches)), 3)
}

func fetchLimitOrder(t *T) {
	topic := t.topic(2)
	t.tenBatches(topic, 0)
	t.tenBatches(topic, 1)
	req := fetchRequest(topic, 1, 0)
	req.MaxBytes = 5500
	req.Topics[0].Partitions[0].PartitionMaxBytes = 3500
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(0, 0))
	counts := map[int32]int{}
	for _, p := range ask(t, req.RequestWith).Topics[0].Partitions {
		counts[p.Partition] = len(split(p.RecordBatches))
	}
	equal(t, "whole batches of the first partition", counts[1], 3)
	if counts[0] < 1 || counts[0] > 2 {
		t.Fatalf("whole batches of the second partition: got %d, want what is left", counts[0])
	}
}

func fetchUnknownTopic(t *T) {
	t.want("fetch", t.fetch(t.unique("none"), 0, 0, uncommitted).ErrorCode, kerr.UnknownTopicOrPartition)
}

func fetchUnknownPartition(t *T) {
	t.want("fetch", t.fetch(t.topic(1), 1, 0, uncommitted).ErrorCode, kerr.UnknownTopicOrPartition)
}

func fetchByID(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	req := fetchRequest("", 0, 0)
	req.Topics[0].TopicID = t.metadata(topic).TopicID
	equal(t, "batches", len(split(onlyFetched(t, askOn(t, t.at(15), req.RequestWith)).RecordBatches)), 1)
}

func fetchUnknownID(t *T) {
	req := fetchRequest("", 0, 0)
	req.Topics[0].TopicID = [16]byte{9, 9}
	t.want("fetch", onlyFetched(t, askOn(t, t.at(15), req.RequestWith)).ErrorCode, kerr.UnknownTopicID)
}

func fetchFutureEpoch(t *T) {
	topic := t.topic(1)
	req := fetchRequest(topic, 0, 0)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = t.metadata(topic).Partitions[0].LeaderEpoch + 1
	t.want("fetch", onlyFetched(t, ask(t, req.RequestWith)).ErrorCode, kerr.UnknownLeaderEpoch)
}

func fetchSeveral(t *T) {
	topic, other := t.topic(2), t.topic(1)
	t.produce(topic, 0, plain("a"))
	t.produce(topic, 1, plain("b"))
	t.produce(other, 0, plain("c"))
	req := fetchRequest(topic, 0, 0)
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
	req.Topics = append(req.Topics, fetchRequest(other, 0, 0).Topics...)
	var values []string
	for _, topic := range ask(t, req.RequestWith).Topics {
		for _, p := range topic.Partitions {
			for _, b := range split(p.RecordBatches) {
				values = append(values, string(recordsOf(b)[0].Value))
			}
		}
	}
	if slices.Sort(values); !slices.Equal(values, []string{"a", "b", "c"}) {
		t.Fatalf("got %q", values)
	}
}

func fetchLeaderEpoch(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	got := split(t.fetch(topic, 0, 0, uncommitted).RecordBatches)[0].PartitionLeaderEpoch
	equal(t, "leader epoch", got, t.metadata(topic).Partitions[0].LeaderEpoch)
}

func fetchOldest(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	equal(t, "batches", len(split(onlyFetched(t, askOn(t, t.at(4), fetchRequest(topic, 0, 0).RequestWith)).RecordBatches)), 1)
}

func fetchCommitWakes(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	req := fetchRequest(topic, 0, 0)
	req.MaxWaitMillis, req.IsolationLevel = 20_000, 1
	answered := t.waiting(req)
	p.commit()
	res, took := answered()
	if len(split(onlyFetched(t, res).RecordBatches)) == 0 || took > 10*time.Second {
		t.Fatalf("answered after %s with %d bytes", took, len(onlyFetched(t, res).RecordBatches))
	}
}
