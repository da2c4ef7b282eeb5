package kafkatest

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func listOffsetsCases() []testCase {
	return []testCase{
		{"an empty partition begins and ends at 0", listEmpty},
		{"earliest and latest", listEnds},
		{"earliest moves with deleted records", listEarliestMoves},
		{"the first record at or after a time", listByTime},
		{"a time within a batch finds its record", listWithinBatch},
		{"times that go back find the first that is late enough", listUnordered},
		{"a time after the last record finds nothing", listAfterAll},
		{"a time before the first record finds the first", listBeforeAll},
		{"the record with the largest time", listMaxTimestamp},
		{"the largest time of an empty partition is nothing", listMaxEmpty},
		{"latest for readers of committed records stops at an open transaction", listCommitted},
		{"a time at an open transaction finds nothing for readers of committed records", listTimeCommitted},
		{"an unknown topic is refused", listUnknownTopic},
		{"an unknown partition is refused", listUnknownPartition},
		{"a leader epoch of the future is refused", listFutureEpoch},
		{"answers tell the leader epoch", listLeaderEpoch},
		{"the oldest version that is supported works", listOldest},
		{"one partition twice in a request is refused", listTwice},
		{"the earliest local offset is the earliest", listLocal},
	}
}

var longAgo = time.UnixMilli(1_700_000_000_000)

// seconds makes a topic whose record i has a time of so many seconds after longAgo, one batch each.
func (t *T) seconds(times ...int) string {
	t.Helper()
	topic := t.topic(1, "retention.ms", "-1")
	for _, s := range times {
		t.produce(topic, 0, plain("x").at(longAgo.Add(time.Duration(s)*time.Second)))
	}
	return topic
}

// wantAt looks up a second after longAgo; -1 is nothing.
func (t *T) wantAt(topic string, second int, want int64) {
	t.Helper()
	found := t.listOffset(topic, 0, longAgo.Add(time.Duration(second)*time.Second).UnixMilli(), uncommitted)
	t.ok("list offsets", found.ErrorCode)
	equal(t, "offset", found.Offset, want)
}

func listEmpty(t *T) {
	topic := t.topic(1)
	equal(t, "earliest", t.offsetAt(topic, 0, -2, uncommitted), 0)
	equal(t, "latest", t.offsetAt(topic, 0, -1, uncommitted), 0)
	t.wantAt(topic, 0, -1)
}

func listEnds(t *T) {
	topic := t.seconds(0, 1, 2)
	equal(t, "earliest", t.offsetAt(topic, 0, -2, uncommitted), 0)
	equal(t, "latest", t.offsetAt(topic, 0, -1, uncommitted), 3)
	equal(t, "latest committed", t.offsetAt(topic, 0, -1, committed), 3)
}

func listEarliestMoves(t *T) {
	topic := t.seconds(0, 1, 2)
	t.deleteRecords(topic, 2)
	equal(t, "earliest", t.offsetAt(topic, 0, -2, uncommitted), 2)
	t.wantAt(topic, 0, 2)
}

func listByTime(t *T) {
	topic := t.seconds(0, 10, 20, 30)
	t.wantAt(topic, 10, 1)
	t.wantAt(topic, 11, 2)
	t.wantAt(topic, 30, 3)
}

func listWithinBatch(t *T) {
	topic := t.topic(1, "retention.ms", "-1")
	b := plain("a", "b", "c").at(longAgo)
	for i := range b.records {
		b.records[i].TimestampDelta64 = int64(i) * 1000
	}
	raw := b.bytes()
	last := uint64(longAgo.UnixMilli() + 2000)
	var max [8]byte
	for i := range max {
		max[i] = byte(last >> (56 - 8*i))
	}
	t.ok("produce", t.tryProduce(topic, 0, altered(raw, 35, max[:]...)).ErrorCode)
	t.wantAt(topic, 1, 1)
	t.wantAt(topic, 2, 2)
	t.wantAt(topic, 3, -1)
}

func listUnordered(t *T) {
	topic := t.seconds(0, 50, 20, 60, 40)
	t.wantAt(topic, 20, 1)
	t.wantAt(topic, 50, 1)
	t.wantAt(topic, 51, 3)
}

func listAfterAll(t *T)  { t.wantAt(t.seconds(0, 1), 2, -1) }
func listBeforeAll(t *T) { t.wantAt(t.seconds(0, 1), -100, 0) }

func listMaxTimestamp(t *T) {
	found := t.listOffset(t.seconds(0, 50, 20), 0, -3, uncommitted)
	t.ok("list offsets", found.ErrorCode)
	equal(t, "offset", found.Offset, 1)
	equal(t, "time", found.Timestamp, longAgo.Add(50*time.Second).UnixMilli())
}

func listMaxEmpty(t *T) {
	equal(t, "offset", t.offsetAt(t.topic(1), 0, -3, uncommitted), -1)
}

func listCommitted(t *T) {
	topic, p := t.seconds(0), t.transactional()
	p.send(topic, 0, "open")
	t.produce(topic, 0, plain("x"))
	equal(t, "latest", t.offsetAt(topic, 0, -1, uncommitted), 3)
	equal(t, "latest committed", t.offsetAt(topic, 0, -1, committed), 1)
	p.commit()
	equal(t, "latest committed", t.offsetAt(topic, 0, -1, committed), 4)
}

func listTimeCommitted(t *T) {
	topic, p := t.seconds(0), t.transactional()
	p.send(topic, 0, "open")
	after := longAgo.Add(time.Hour).UnixMilli()
	equal(t, "offset for all", t.offsetAt(topic, 0, after, uncommitted), 1)
	equal(t, "offset for readers of committed records", t.offsetAt(topic, 0, after, committed), -1)
}

func listUnknownTopic(t *T) {
	t.want("list offsets", t.listOffset(t.unique("none"), 0, -1, uncommitted).ErrorCode, kerr.UnknownTopicOrPartition)
}

func listUnknownPartition(t *T) {
	t.want("list offsets", t.listOffset(t.topic(1), 1, -1, uncommitted).ErrorCode, kerr.UnknownTopicOrPartition)
}

func listRequest(topic string) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	return req
}

func listFutureEpoch(t *T) {
	topic := t.topic(1)
	req := listRequest(topic)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = t.metadata(topic).Partitions[0].LeaderEpoch + 1
	t.want("list offsets", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode, kerr.UnknownLeaderEpoch)
}

func listLeaderEpoch(t *T) {
	topic := t.seconds(0)
	equal(t, "leader epoch", t.listOffset(topic, 0, -1, uncommitted).LeaderEpoch, t.metadata(topic).Partitions[0].LeaderEpoch)
}

func listOldest(t *T) {
	topic := t.seconds(0, 1)
	equal(t, "offset", askOn(t, t.at(1), listRequest(topic).RequestWith).Topics[0].Partitions[0].Offset, 2)
}

func listTwice(t *T) {
	req := listRequest(t.topic(1))
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
	for _, p := range ask(t, req.RequestWith).Topics[0].Partitions {
		t.want("list offsets", p.ErrorCode, kerr.InvalidRequest)
	}
}

func listLocal(t *T) {
	topic := t.seconds(0, 1)
	t.deleteRecords(topic, 1)
	equal(t, "offset", t.offsetAt(topic, 0, -4, uncommitted), 1)
}
