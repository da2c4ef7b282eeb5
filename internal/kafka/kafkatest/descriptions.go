package kafkatest

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func descriptionCases() []testCase {
	return []testCase{
		{"the end of a leader epoch is the end of the log", describeEpochEnd},
		{"a leader epoch that never was has no end", describeEpochUnknown},
		{"a leader epoch of an unknown topic is refused", describeEpochTopic},
		{"log dirs tell the size of partitions", describeLogDirs},
		{"log dirs of an unknown topic are left out", describeLogDirsUnknown},
		{"the cluster is described", describeCluster},
		{"producers of a partition are described", describeProducers},
		{"an open transaction is seen at the partition", describeOpenProducer},
		{"producers of an unknown partition are refused", describeProducersUnknown},
		{"a transaction is described", describeTransaction},
		{"a transaction that is not there is refused", describeTransactionUnknown},
		{"transactions are listed", describeListTransactions},
		{"a list of transactions can be asked for states", describeListStates},
		{"a list of transactions tells states that it does not know", describeListUnknownState},
		{"a list of transactions can be asked for producers", describeListProducers},
		{"a list of transactions can be asked for long ones", describeListDuration},
		{"partitions of a topic are described", describeTopicPartitions},
		{"leaders that are already right need no election", describeElect},
	}
}

func (t *T) epochEnd(topic string, epoch int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.LeaderEpoch = epoch
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
	return ask(t, req.RequestWith).Topics[0].Partitions[0]
}

func describeEpochEnd(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	epoch := t.metadata(topic).Partitions[0].LeaderEpoch
	found := t.epochEnd(topic, epoch)
	t.ok("epoch", found.ErrorCode)
	equal(t, "end", found.EndOffset, 5)
	equal(t, "epoch", found.LeaderEpoch, epoch)
}

func describeEpochUnknown(t *T) {
	topic := t.topic(1)
	found := t.epochEnd(topic, 99)
	t.ok("epoch", found.ErrorCode)
	equal(t, "end", found.EndOffset, -1)
	equal(t, "epoch", found.LeaderEpoch, -1)
}

func describeEpochTopic(t *T) {
	t.want("epoch", t.epochEnd(t.unique("none"), 0).ErrorCode, kerr.UnknownTopicOrPartition)
}

func (t *T) logDirs(topic string) (partitions []kmsg.DescribeLogDirsResponseDirTopicPartition) {
	t.Helper()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	res := ask(t, req.RequestWith)
	t.ok("log dirs", res.ErrorCode)
	for _, dir := range res.Dirs {
		t.ok("log dir", dir.ErrorCode)
		for _, topic := range dir.Topics {
			partitions = append(partitions, topic.Partitions...)
		}
	}
	return partitions
}

func describeLogDirs(t *T) {
	topic := t.topic(2)
	raw := plain("hello").bytes()
	t.ok("produce", t.tryProduce(topic, 0, raw).ErrorCode)
	found := t.logDirs(topic)
	equal(t, "partitions", len(found), 1)
	equal(t, "size", found[0].Size, int64(len(raw)))
	equal(t, "lag", found[0].OffsetLag, 0)
}

func describeLogDirsUnknown(t *T) { equal(t, "partitions", len(t.logDirs(t.unique("none"))), 0) }

func describeCluster(t *T) {
	res := ask(t, kmsg.NewPtrDescribeClusterRequest().RequestWith)
	t.ok("describe cluster", res.ErrorCode)
	equal(t, "name", res.ClusterID, *ask(t, kmsg.NewPtrMetadataRequest().RequestWith).ClusterID)
	equal(t, "brokers", len(res.Brokers), 1)
	equal(t, "controller", res.ControllerID, res.Brokers[0].NodeID)
}

func (t *T) producers(topic string, partition int32) kmsg.DescribeProducersResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic, Partitions: []int32{partition}}}
	return ask(t, req.RequestWith).Topics[0].Partitions[0]
}

func describeProducers(t *T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a", "b")
	p.send(topic, 0, "c")
	found := t.producers(topic, 0)
	t.ok("describe producers", found.ErrorCode)
	equal(t, "producers", len(found.ActiveProducers), 1)
	got := found.ActiveProducers[0]
	equal(t, "id", got.ProducerID, p.pid)
	equal(t, "last sequence", got.LastSequence, 2)
	equal(t, "start of the transaction", got.CurrentTxnStartOffset, -1)
}

func describeOpenProducer(t *T) {
	topic, p := t.topic(1), t.transactional()
	t.produce(topic, 0, plain("x"))
	p.send(topic, 0, "a")
	equal(t, "start of the transaction", t.producers(topic, 0).ActiveProducers[0].CurrentTxnStartOffset, 1)
	p.commit()
	equal(t, "start of the transaction", t.producers(topic, 0).ActiveProducers[0].CurrentTxnStartOffset, -1)
}

func describeProducersUnknown(t *T) {
	t.want("describe producers", t.producers(t.topic(1), 3).ErrorCode, kerr.UnknownTopicOrPartition)
}

func describeTransaction(t *T) {
	topic, p := t.topic(2), t.transactional()
	equal(t, "state", t.transaction(*p.txn).State, "Empty")
	before := time.Now().Add(-time.Minute).UnixMilli()
	p.send(topic, 1, "a")
	found := t.transaction(*p.txn)
	equal(t, "state", found.State, "Ongoing")
	equal(t, "id", found.ProducerID, p.pid)
	equal(t, "epoch", found.ProducerEpoch, p.epoch)
	equal(t, "time limit", found.TimeoutMillis, 60_000)
	if found.StartTimestamp < before {
		t.Fatalf("begun at %d", found.StartTimestamp)
	}
	p.commit()
	equal(t, "state", t.transaction(*p.txn).State, "CompleteCommit")
	p.send(topic, 1, "a")
	p.abort()
	equal(t, "state", t.transaction(*p.txn).State, "CompleteAbort")
}

func describeTransactionUnknown(t *T) {
	t.want("describe transaction", t.transaction(t.unique("none")).ErrorCode, kerr.TransactionalIDNotFound)
}

// listedTransaction tells whether a transaction is in a list.
func (t *T) listedTransaction(id string, limit func(*kmsg.ListTransactionsRequest)) bool {
	t.Helper()
	req := kmsg.NewPtrListTransactionsRequest()
	req.DurationFilterMillis = -1
	limit(req)
	res := ask(t, req.RequestWith)
	t.ok("list transactions", res.ErrorCode)
	for _, found := range res.TransactionStates {
		if found.TransactionalID == id {
			return true
		}
	}
	return false
}

func describeListTransactions(t *T) {
	p := t.transactional()
	equal(t, "listed", t.listedTransaction(*p.txn, func(*kmsg.ListTransactionsRequest) {}), true)
}

func describeListStates(t *T) {
	topic, p := t.topic(1), t.transactional()
	in := func(state string) bool {
		return t.listedTransaction(*p.txn, func(req *kmsg.ListTransactionsRequest) { req.StateFilters = []string{state} })
	}
	equal(t, "new one among the empty", in("Empty"), true)
	p.send(topic, 0, "a")
	equal(t, "open one among the open", in("Ongoing"), true)
	equal(t, "open one among the committed", in("CompleteCommit"), false)
	p.commit()
}

func describeListUnknownState(t *T) {
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters = []string{"Sleeping"}
	res := ask(t, req.RequestWith)
	if len(res.UnknownStateFilters) != 1 || res.UnknownStateFilters[0] != "Sleeping" {
		t.Fatalf("unknown states: %q", res.UnknownStateFilters)
	}
}

func describeListProducers(t *T) {
	p := t.transactional()
	equal(t, "by its id", t.listedTransaction(*p.txn, func(req *kmsg.ListTransactionsRequest) { req.ProducerIDFilters = []int64{p.pid} }), true)
	equal(t, "by another", t.listedTransaction(*p.txn, func(req *kmsg.ListTransactionsRequest) { req.ProducerIDFilters = []int64{p.pid + 1_000_000} }), false)
}

func describeListDuration(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	longer := func(ms int64) bool {
		return t.listedTransaction(*p.txn, func(req *kmsg.ListTransactionsRequest) { req.DurationFilterMillis = ms })
	}
	t.eventually("longer than 10 ms", func() bool { return longer(10) })
	equal(t, "longer than an hour", longer(3_600_000), false)
	p.abort()
}

func describeTopicPartitions(t *T) {
	topic := t.topic(3)
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	one := kmsg.NewDescribeTopicPartitionsRequestTopic()
	one.Topic = topic
	req.Topics = append(req.Topics, one)
	found := ask(t, req.RequestWith).Topics
	equal(t, "topics", len(found), 1)
	t.ok("describe partitions", found[0].ErrorCode)
	equal(t, "partitions", len(found[0].Partitions), 3)
}

func describeElect(t *T) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: t.topic(1), Partitions: []int32{0}}}
	t.want("elect", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode, kerr.ElectionNotNeeded)
}
