package kafkatest

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func metadataCases() []testCase {
	return []testCase{
		{"all topics are listed", metadataAll},
		{"no topics are listed when none are asked for", metadataNone},
		{"a topic by name", metadataByName},
		{"a topic by id", metadataByID},
		{"an unknown topic is told so", metadataUnknown},
		{"an unknown id is told so", metadataUnknownID},
		{"an unknown topic is made if that is wished", metadataAutoCreate},
		{"an invalid name is refused", metadataInvalid},
		{"brokers, cluster and controller are told", metadataCluster},
		{"internal topics are marked", metadataInternal},
		{"what one may do is told when asked for", metadataOperations},
		{"the oldest version that is supported works", metadataOldest},
		{"topic ids differ", metadataIDs},
	}
}

func metadataAll(t *T) {
	topic := t.topic(2)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil
	for _, found := range ask(t, req.RequestWith).Topics {
		if found.Topic != nil && *found.Topic == topic {
			equal(t, "partitions", len(found.Partitions), 2)
			return
		}
	}
	t.Fatalf("the topic is not listed")
}

func metadataNone(t *T) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	equal(t, "topics", len(ask(t, req.RequestWith).Topics), 0)
}

func metadataByName(t *T) {
	found := t.metadata(t.topic(3))
	equal(t, "partitions", len(found.Partitions), 3)
	equal(t, "internal", found.IsInternal, false)
	for _, p := range found.Partitions {
		equal(t, "replicas", len(p.Replicas), 1)
		equal(t, "replicas in sync", len(p.ISR), 1)
		equal(t, "leader", p.Leader, p.Replicas[0])
		equal(t, "offline replicas", len(p.OfflineReplicas), 0)
	}
}

func metadataByID(t *T) {
	topic := t.topic(1)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: t.metadata(topic).TopicID}}
	found := ask(t, req.RequestWith).Topics[0]
	t.ok("metadata", found.ErrorCode)
	equal(t, "name", *found.Topic, topic)
}

func metadataUnknown(t *T) {
	name := t.unique("none")
	for range 2 {
		found := t.metadata(name)
		t.want("metadata", found.ErrorCode, kerr.UnknownTopicOrPartition)
		equal(t, "name", *found.Topic, name)
	}
}

func metadataUnknownID(t *T) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: [16]byte{1, 2, 3}}}
	t.want("metadata", ask(t, req.RequestWith).Topics[0].ErrorCode, kerr.UnknownTopicID)
}

func metadataAutoCreate(t *T) {
	name := t.unique("auto")
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	t.eventually("the new topic", func() bool {
		found := ask(t, req.RequestWith).Topics[0]
		return found.ErrorCode == 0 && len(found.Partitions) > 0
	})
	t.eventually("the new topic led", func() bool { return t.led(name, 1) })
	t.produce(name, 0, plain("a"))
}

func metadataInvalid(t *T) {
	for _, name := range []string{".", "..", "a/b", "a b", "ä", strings.Repeat("x", 250), ""} {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = true
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		t.want("metadata of "+name, ask(t, req.RequestWith).Topics[0].ErrorCode, kerr.InvalidTopicException)
	}
}

func metadataCluster(t *T) {
	res := ask(t, kmsg.NewPtrMetadataRequest().RequestWith)
	if res.ClusterID == nil || *res.ClusterID == "" {
		t.Fatalf("the cluster has no name")
	}
	equal(t, "brokers", len(res.Brokers), 1)
	equal(t, "controller", res.ControllerID, res.Brokers[0].NodeID)
	equal(t, "host", res.Brokers[0].Host, "127.0.0.1")
}

func metadataInternal(t *T) {
	t.ok("commit", t.commitOffset(t.unique("group"), t.topic(1), 0, 1))
	found := t.metadata("__consumer_offsets")
	t.ok("metadata", found.ErrorCode)
	equal(t, "internal", found.IsInternal, true)
}

func metadataOperations(t *T) {
	topic := t.topic(1)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	equal(t, "operations, not asked for", ask(t, req.RequestWith).Topics[0].AuthorizedOperations, -2147483648)
	req.IncludeTopicAuthorizedOperations = true
	const all = 1<<kmsg.ACLOperationRead | 1<<kmsg.ACLOperationWrite | 1<<kmsg.ACLOperationCreate | 1<<kmsg.ACLOperationDelete |
		1<<kmsg.ACLOperationAlter | 1<<kmsg.ACLOperationDescribe | 1<<kmsg.ACLOperationDescribeConfigs | 1<<kmsg.ACLOperationAlterConfigs
	equal(t, "operations", ask(t, req.RequestWith).Topics[0].AuthorizedOperations, all)
}

func metadataOldest(t *T) {
	topic := t.topic(1)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	t.ok("metadata", askOn(t, t.at(0), req.RequestWith).Topics[0].ErrorCode)
}

func metadataIDs(t *T) {
	one, two := t.metadata(t.topic(1)), t.metadata(t.topic(1))
	if one.TopicID == two.TopicID {
		t.Fatalf("two topics have one id")
	}
}
