package kafkatest

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func topicCases() []testCase {
	return []testCase{
		{"an answer tells id, partitions, replicas and settings", topicCreate},
		{"validating makes nothing", topicValidate},
		{"a topic that is there is not made again", topicExists},
		{"no partitions are refused", topicNoPartitions},
		{"more replicas than brokers are refused", topicReplicas},
		{"an invalid name is refused", topicInvalidNames},
		{"names that differ in dots and underscores only are refused", topicCollision},
		{"an unknown setting is refused", topicUnknownConfig},
		{"a bad value of a setting is refused", topicBadConfig},
		{"defaults are taken when nothing is said", topicDefaults},
		{"replicas can be assigned", topicAssigned},
		{"an assignment to a broker that is not there is refused", topicAssignedUnknown},
		{"an assignment with gaps is refused", topicAssignedGap},
		{"a topic twice in one request is refused", topicTwice},
		{"several topics are made one by one", topicPartly},
		{"partitions can be added", partitionsAdd},
		{"adding partitions can be validated", partitionsValidate},
		{"fewer or as many partitions are refused", partitionsFewer},
		{"partitions of an unknown topic are refused", partitionsUnknown},
		{"a topic is deleted by name", topicDelete},
		{"a topic is deleted by id", topicDeleteByID},
		{"an unknown topic is not deleted", topicDeleteUnknown},
		{"an unknown id is not deleted", topicDeleteUnknownID},
		{"a topic that is made again is new and empty", topicRecreate},
		{"records can be deleted up to an offset", recordsDelete},
		{"records can be deleted up to the end", recordsDeleteAll},
		{"records beyond the end cannot be deleted", recordsDeleteBeyond},
		{"records of an unknown partition cannot be deleted", recordsDeleteUnknown},
		{"records of a compacted topic cannot be deleted", recordsDeleteCompacted},
	}
}

// newTopic is a request for one partition on one broker.
func newTopic(name string) kmsg.CreateTopicsRequestTopic {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	return topic
}

func withConfig(topic kmsg.CreateTopicsRequestTopic, name, value string) kmsg.CreateTopicsRequestTopic {
	topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	return topic
}

// wantUncreated expects a refusal, and that nothing was made.
func (t *T) wantUncreated(topic kmsg.CreateTopicsRequestTopic, want *kerr.Error) {
	t.Helper()
	t.want("create topic", t.tryCreate(topic, false).ErrorCode, want)
	t.want("metadata", t.metadata(topic.Topic).ErrorCode, kerr.UnknownTopicOrPartition, kerr.InvalidTopicException)
}

func topicCreate(t *T) {
	topic := withConfig(newTopic(t.unique("topic")), "retention.ms", "12345")
	topic.NumPartitions = 3
	res := t.tryCreate(topic, false)
	t.ok("create topic", res.ErrorCode)
	equal(t, "partitions", res.NumPartitions, 3)
	equal(t, "replicas", res.ReplicationFactor, 1)
	equal(t, "has an id", res.TopicID != [16]byte{}, true)
	for _, c := range res.Configs {
		if c.Name == "retention.ms" {
			equal(t, "retention", *c.Value, "12345")
			return
		}
	}
	t.Fatalf("the settings are not told")
}

func topicValidate(t *T) {
	topic := newTopic(t.unique("topic"))
	t.ok("create topic", t.tryCreate(topic, true).ErrorCode)
	t.want("metadata", t.metadata(topic.Topic).ErrorCode, kerr.UnknownTopicOrPartition)
}

func topicExists(t *T) {
	topic := t.topic(1)
	t.want("create topic", t.tryCreate(newTopic(topic), false).ErrorCode, kerr.TopicAlreadyExists)
	t.want("validate topic", t.tryCreate(newTopic(topic), true).ErrorCode, kerr.TopicAlreadyExists)
}

func topicNoPartitions(t *T) {
	topic := newTopic(t.unique("topic"))
	for _, n := range []int32{0, -2} {
		topic.NumPartitions = n
		t.wantUncreated(topic, kerr.InvalidPartitions)
	}
}

func topicReplicas(t *T) {
	topic := newTopic(t.unique("topic"))
	for _, n := range []int16{0, 9} {
		topic.ReplicationFactor = n
		t.wantUncreated(topic, kerr.InvalidReplicationFactor)
	}
}

func topicInvalidNames(t *T) {
	for _, name := range []string{".", "..", "a/b", "a b", "ä", strings.Repeat("x", 250), ""} {
		t.want("create topic "+name, t.tryCreate(newTopic(name), false).ErrorCode, kerr.InvalidTopicException)
	}
	longest := t.unique("x")
	longest += strings.Repeat("x", 249-len(longest))
	t.ok("create topic with a name as long as can be", t.tryCreate(newTopic(longest), false).ErrorCode)
}

func topicCollision(t *T) {
	name := t.unique("a")
	t.ok("create topic", t.tryCreate(newTopic(name+".b"), false).ErrorCode)
	t.want("create topic", t.tryCreate(newTopic(name+"_b"), false).ErrorCode, kerr.InvalidTopicException)
}

func topicUnknownConfig(t *T) {
	t.wantUncreated(withConfig(newTopic(t.unique("topic")), "no.such.setting", "1"), kerr.InvalidConfig)
}

func topicBadConfig(t *T) {
	for name, value := range map[string]string{"retention.ms": "soon", "cleanup.policy": "sometimes", "max.message.bytes": "-1", "segment.bytes": "1", "min.cleanable.dirty.ratio": "2", "message.timestamp.type": "Now"} {
		t.wantUncreated(withConfig(newTopic(t.unique("topic")), name, value), kerr.InvalidConfig)
	}
}

func topicDefaults(t *T) {
	topic := newTopic(t.unique("topic"))
	topic.NumPartitions, topic.ReplicationFactor = -1, -1
	res := t.tryCreate(topic, false)
	t.ok("create topic", res.ErrorCode)
	if res.NumPartitions < 1 || res.ReplicationFactor != 1 {
		t.Fatalf("partitions: %d, replicas: %d", res.NumPartitions, res.ReplicationFactor)
	}
}

// assigned is a topic with replicas by hand; partition numbers come with their broker.
func (t *T) assigned(pairs ...int32) kmsg.CreateTopicsRequestTopic {
	t.Helper()
	topic := newTopic(t.unique("topic"))
	topic.NumPartitions, topic.ReplicationFactor = -1, -1
	for i := 0; i < len(pairs); i += 2 {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: pairs[i], Replicas: pairs[i+1 : i+2]})
	}
	return topic
}

// node is the broker's number.
func (t *T) node() int32 {
	t.Helper()
	return ask(t, kmsg.NewPtrMetadataRequest().RequestWith).Brokers[0].NodeID
}

func topicAssigned(t *T) {
	node := t.node()
	topic := t.assigned(0, node, 1, node)
	t.ok("create topic", t.tryCreate(topic, false).ErrorCode)
	t.awaitLeaders(topic.Topic, 2)
}

func topicAssignedUnknown(t *T) { t.wantUncreated(t.assigned(0, 99), kerr.InvalidReplicaAssignment) }

func topicAssignedGap(t *T) {
	node := t.node()
	t.wantUncreated(t.assigned(0, node, 2, node), kerr.InvalidReplicaAssignment)
}

func topicTwice(t *T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := newTopic(t.unique("topic"))
	req.Topics = append(req.Topics, topic, topic)
	for _, res := range ask(t, req.RequestWith).Topics {
		t.want("create topic", res.ErrorCode, kerr.InvalidRequest)
	}
}

func topicPartly(t *T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	good, bad := newTopic(t.unique("topic")), newTopic("a/b")
	req.Topics = append(req.Topics, good, bad)
	for _, res := range ask(t, req.RequestWith).Topics {
		if res.Topic == good.Topic {
			t.ok("create topic", res.ErrorCode)
		} else {
			t.want("create topic", res.ErrorCode, kerr.InvalidTopicException)
		}
	}
	t.awaitLeaders(good.Topic, 1)
}

func (t *T) addPartitions(topic string, count int32, validateOnly bool) int16 {
	t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.ValidateOnly = validateOnly
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: topic, Count: count}}
	return ask(t, req.RequestWith).Topics[0].ErrorCode
}

func partitionsAdd(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	t.ok("add partitions", t.addPartitions(topic, 3, false))
	t.awaitLeaders(topic, 3)
	t.produce(topic, 2, plain("b"))
	t.wantValues(topic, 0, uncommitted, "a")
	t.wantValues(topic, 2, uncommitted, "b")
}

func partitionsValidate(t *T) {
	topic := t.topic(1)
	t.ok("add partitions", t.addPartitions(topic, 3, true))
	equal(t, "partitions", len(t.metadata(topic).Partitions), 1)
}

func partitionsFewer(t *T) {
	topic := t.topic(2)
	for _, n := range []int32{1, 2, 0, -1} {
		t.want("add partitions", t.addPartitions(topic, n, false), kerr.InvalidPartitions)
	}
}

func partitionsUnknown(t *T) {
	t.want("add partitions", t.addPartitions(t.unique("none"), 2, false), kerr.UnknownTopicOrPartition)
}

func topicDelete(t *T) {
	topic := t.topic(1)
	t.deleteTopic(topic)
	t.eventually("produce refused", func() bool {
		return t.tryProduce(topic, 0, plain("a").bytes()).ErrorCode == kerr.UnknownTopicOrPartition.Code
	})
}

func (t *T) deleteID(id [16]byte) int16 {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}}
	return ask(t, req.RequestWith).Topics[0].ErrorCode
}

func topicDeleteByID(t *T) {
	topic := t.topic(1)
	t.ok("delete topic", t.deleteID(t.metadata(topic).TopicID))
	t.eventually("the topic gone", func() bool { return t.metadata(topic).ErrorCode == kerr.UnknownTopicOrPartition.Code })
}

func topicDeleteUnknown(t *T) {
	name := t.unique("none")
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
	t.want("delete topic", ask(t, req.RequestWith).Topics[0].ErrorCode, kerr.UnknownTopicOrPartition)
}

func topicDeleteUnknownID(t *T) {
	t.want("delete topic", t.deleteID([16]byte{3, 2, 1}), kerr.UnknownTopicID)
}

func topicRecreate(t *T) {
	topic := t.topic(1)
	id := t.metadata(topic).TopicID
	t.produce(topic, 0, plain("a"))
	t.deleteTopic(topic)
	t.createTopic(topic, 1)
	equal(t, "has the old id", t.metadata(topic).TopicID == id, false)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
	equal(t, "offset", t.produce(topic, 0, plain("b")), 0)
	t.wantValues(topic, 0, uncommitted, "b")
}

func (t *T) tryDeleteRecords(topic string, partition int32, offset int64) kmsg.DeleteRecordsResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: offset}}}}
	return ask(t, req.RequestWith).Topics[0].Partitions[0]
}

func (t *T) deleteRecords(topic string, offset int64) {
	t.Helper()
	t.ok("delete records", t.tryDeleteRecords(topic, 0, offset).ErrorCode)
}

func recordsDelete(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	equal(t, "start", t.tryDeleteRecords(topic, 0, 3).LowWatermark, 3)
	t.wantValues(topic, 0, uncommitted, "3", "4")
	t.deleteRecords(topic, 2) // already so
	equal(t, "earliest", t.offsetAt(topic, 0, -2, uncommitted), 3)
}

func recordsDeleteAll(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	equal(t, "start", t.tryDeleteRecords(topic, 0, -1).LowWatermark, 5)
	t.wantValues(topic, 0, uncommitted)
	equal(t, "offset", t.produce(topic, 0, plain("a")), 5)
}

func recordsDeleteBeyond(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain("a"))
	t.want("delete records", t.tryDeleteRecords(topic, 0, 2).ErrorCode, kerr.OffsetOutOfRange)
	t.wantValues(topic, 0, uncommitted, "a")
}

func recordsDeleteUnknown(t *T) {
	t.want("delete records", t.tryDeleteRecords(t.topic(1), 1, 0).ErrorCode, kerr.UnknownTopicOrPartition)
}

func recordsDeleteCompacted(t *T) {
	topic := t.topic(1, "cleanup.policy", "compact")
	t.produce(topic, 0, keyed("k", "v"))
	t.want("delete records", t.tryDeleteRecords(topic, 0, 1).ErrorCode, kerr.PolicyViolation)
}
