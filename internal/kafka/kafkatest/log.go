package kafkatest

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// level is the isolation of a reader.
type level int8

const (
	uncommitted level = 0 // everything, open and aborted transactions too
	committed   level = 1 // up to the last stable offset, what was aborted is named
)

// topic makes a topic with settings (name, value, name, value) and waits until its partitions have a leader.
func (t *T) topic(partitions int32, settings ...string) string {
	t.Helper()
	name := t.unique("topic")
	t.createTopic(name, partitions, settings...)
	return name
}

func (t *T) createTopic(name string, partitions int32, settings ...string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	for pair := range slices.Chunk(settings, 2) {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: pair[0], Value: &pair[1]})
	}
	t.ok("create topic", t.tryCreate(topic, false).ErrorCode)
	t.awaitLeaders(name, int(partitions))
}

func (t *T) tryCreate(topic kmsg.CreateTopicsRequestTopic, validateOnly bool) kmsg.CreateTopicsResponseTopic {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = validateOnly
	req.Topics = append(req.Topics, topic)
	res := ask(t, req.RequestWith)
	if len(res.Topics) != 1 {
		t.Fatalf("create topic: answer has %d topics", len(res.Topics))
	}
	return res.Topics[0]
}

func (t *T) awaitLeaders(name string, partitions int) {
	t.Helper()
	t.eventually("the new topic with leaders", func() bool {
		found := t.metadata(name)
		return found.ErrorCode == 0 && len(found.Partitions) == partitions &&
			!slices.ContainsFunc(found.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 }) && t.led(name, partitions)
	})
}

// led tells whether every partition takes requests: metadata may be ahead of the leader.
func (t *T) led(name string, partitions int) bool {
	t.Helper()
	for p := range partitions {
		if t.listOffset(name, int32(p), -1, uncommitted).ErrorCode != 0 {
			return false
		}
	}
	return true
}

// metadata asks about one topic, without making it.
func (t *T) metadata(name string) kmsg.MetadataResponseTopic {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	res := ask(t, req.RequestWith)
	if len(res.Topics) != 1 {
		t.Fatalf("metadata of one topic: answer has %d", len(res.Topics))
	}
	return res.Topics[0]
}

func (t *T) deleteTopic(name string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
	t.ok("delete topic", ask(t, req.RequestWith).Topics[0].ErrorCode)
	t.eventually("the topic gone", func() bool { return t.metadata(name).ErrorCode == kerr.UnknownTopicOrPartition.Code })
}

// produceRequest is a request with one batch.
func produceRequest(topic string, partition int32, raw []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: raw}}}}
	return req
}

func (t *T) tryProduce(topic string, partition int32, raw []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	return onlyProduced(t, ask(t, produceRequest(topic, partition, raw).RequestWith))
}

func onlyProduced(t *T, res *kmsg.ProduceResponse) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		t.Fatalf("produce: answer is not for one partition: %+v", res.Topics)
	}
	return res.Topics[0].Partitions[0]
}

// produce appends a batch and returns its first offset.
func (t *T) produce(topic string, partition int32, b batch) int64 {
	t.Helper()
	res := t.tryProduce(topic, partition, b.bytes())
	t.ok("produce", res.ErrorCode)
	return res.BaseOffset
}

// fetchRequest asks for one partition and does not wait.
func fetchRequest(topic string, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 0, 1, 1<<20
	req.SessionEpoch = -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{fetchPartition(partition, offset)}}}
	return req
}

func fetchPartition(partition int32, offset int64) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	return p
}

// fetch asks for one partition from an offset.
func (t *T) fetch(topic string, partition int32, offset int64, isolation level) kmsg.FetchResponseTopicPartition {
	t.Helper()
	req := fetchRequest(topic, partition, offset)
	req.IsolationLevel = int8(isolation)
	return onlyFetched(t, ask(t, req.RequestWith))
}

func onlyFetched(t *T, res *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
	t.Helper()
	t.ok("fetch", res.ErrorCode)
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		t.Fatalf("fetch: answer is not for one partition: %+v", res.Topics)
	}
	return res.Topics[0].Partitions[0]
}

// values reads a partition from its beginning to its end as a plain client does: markers left out, and, for a reader of
// committed records, what the answers say was aborted.
func (t *T) values(topic string, partition int32, isolation level) (values []string) {
	t.Helper()
	for _, r := range t.records(topic, partition, isolation) {
		values = append(values, string(r.value))
	}
	return values
}

// stored is a record with its place.
type stored struct {
	offset    int64
	timestamp int64
	key       []byte
	value     []byte
	headers   []kmsg.Header
}

func (t *T) records(topic string, partition int32, isolation level) (found []stored) {
	t.Helper()
	next, end := t.offsetAt(topic, partition, -2, uncommitted), t.offsetAt(topic, partition, -1, isolation)
	for next < end {
		aborted := map[int64]bool{} // each answer says all that concerns it
		answer := t.fetch(topic, partition, next, isolation)
		if start := t.offsetAt(topic, partition, -2, uncommitted); answer.ErrorCode == kerr.OffsetOutOfRange.Code && start > next {
			next, found = start, nil // retention was faster
			continue
		}
		t.ok("fetch", answer.ErrorCode)
		batches := split(answer.RecordBatches)
		if len(batches) == 0 {
			t.Fatalf("fetch from offset %d of %d: no batch", next, end)
		}
		for _, b := range batches {
			if isolation == committed {
				abortedBy(aborted, &answer.AbortedTransactions, b)
			}
			if b.Attributes&attrControl == 0 && !(aborted[b.ProducerID] && b.Attributes&attrTransactional != 0) {
				found = append(found, storedIn(b, next)...)
			} else if b.Attributes&attrControl != 0 {
				delete(aborted, b.ProducerID)
			}
			next = b.FirstOffset + int64(b.LastOffsetDelta) + 1
		}
	}
	return found
}

// abortedBy marks the producer of a batch if an aborted transaction of its begins at or before it, and uses that entry up: the
// marker that follows unmarks it.
func abortedBy(aborted map[int64]bool, list *[]kmsg.FetchResponseTopicPartitionAbortedTransaction, b kmsg.RecordBatch) {
	*list = slices.DeleteFunc(*list, func(a kmsg.FetchResponseTopicPartitionAbortedTransaction) bool {
		mine := a.ProducerID == b.ProducerID && a.FirstOffset <= b.FirstOffset+int64(b.LastOffsetDelta)
		aborted[b.ProducerID] = aborted[b.ProducerID] || mine
		return mine
	})
}

func storedIn(b kmsg.RecordBatch, from int64) (found []stored) {
	for _, r := range recordsOf(b) {
		s := stored{offset: b.FirstOffset + int64(r.OffsetDelta), timestamp: b.FirstTimestamp + r.TimestampDelta64, key: r.Key, value: r.Value, headers: r.Headers}
		if b.Attributes&attrLogAppendTime != 0 {
			s.timestamp = b.MaxTimestamp
		}
		if s.offset >= from {
			found = append(found, s)
		}
	}
	return found
}

// wantValues compares what a reader gets.
func (t *T) wantValues(topic string, partition int32, isolation level, want ...string) {
	t.Helper()
	if got := t.values(topic, partition, isolation); !slices.Equal(got, want) {
		t.Fatalf("records of partition %d, isolation %d: got %q, want %q", partition, isolation, got, want)
	}
}

// listOffset looks up one offset: by time, or -1 for the end, -2 for the beginning, -3 for the largest time.
func (t *T) listOffset(topic string, partition int32, timestamp int64, isolation level) kmsg.ListOffsetsResponseTopicPartition {
	t.Helper()
	return t.tryListOffset(t.wire(), topic, partition, timestamp, isolation)
}

func (t *T) tryListOffset(to kmsg.Requestor, topic string, partition int32, timestamp int64, isolation level) kmsg.ListOffsetsResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = int8(isolation)
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, timestamp, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	res := askOn(t, to, req.RequestWith)
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		t.Fatalf("list offsets: answer is not for one partition: %+v", res.Topics)
	}
	return res.Topics[0].Partitions[0]
}

// offsetAt is listOffset where it must work.
func (t *T) offsetAt(topic string, partition int32, timestamp int64, isolation level) int64 {
	t.Helper()
	found := t.listOffset(topic, partition, timestamp, isolation)
	t.ok("list offsets", found.ErrorCode)
	return found.Offset
}

// counted makes n values.
func counted(n int) (values []string) {
	for i := range n {
		values = append(values, strconv.Itoa(i))
	}
	return values
}
