package kafkatest

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func txnOffsetCases() []testCase {
	return []testCase{
		{"an offset is seen after the commit only", txnOffsetCommitted},
		{"an offset of an aborted transaction is never seen", txnOffsetAborted},
		{"a reader that wants stable offsets is told to wait", txnOffsetUnstable},
		{"the offset before stays until the commit", txnOffsetBefore},
		{"records and offsets are committed together", txnOffsetTogether},
		{"a transaction of offsets only can be committed", txnOffsetOnly},
		{"an old client adds the group first", txnOffsetOld},
		{"a wrong generation is refused", txnOffsetGeneration},
		{"an unknown member is refused", txnOffsetMember},
		{"the right generation and member are taken", txnOffsetRightGeneration},
		{"a fenced producer is refused", txnOffsetFenced},
		{"a deleted group forgets them", txnOffsetDelete},
		{"two transactions on one group end each by itself", txnOffsetTwo},
	}
}

// commitOffset puts an offset into the transaction.
func (p *producer) commitOffset(group, topic string, partition int32, offset int64, member ...func(*kmsg.TxnOffsetCommitRequest)) (code int16) {
	p.t.Helper()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = *p.txn, group, p.pid, p.epoch
	o := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	o.Partition, o.Offset = partition, offset
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{o}}}
	for _, m := range member {
		m(req)
	}
	return p.patiently(func() int16 {
		var to kmsg.Requestor = p.t.wire()
		if p.old {
			to = p.t.at(3)
		}
		return askOn(p.t, to, req.RequestWith).Topics[0].Partitions[0].ErrorCode
	})
}

// addGroup adds a group to the transaction, as clients did before KIP-890.
func (p *producer) addGroup(group string) int16 {
	p.t.Helper()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = *p.txn, p.pid, p.epoch, group
	return p.patiently(func() int16 { return askOn(p.t, p.t.at(3), req.RequestWith).ErrorCode })
}

func txnOffsetCommitted(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 5))
	t.wantOffset(group, topic, -1)
	p.commit()
	t.awaitOffset(group, topic, 0, 5)
}

func txnOffsetAborted(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 5))
	p.abort()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 6))
	p.commit()
	t.awaitOffset(group, topic, 0, 6)
}

func txnOffsetUnstable(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 5))
	stable := func() int16 {
		req := offsetFetchRequest(group, topic, 0)
		req.RequireStable = true
		return ask(t, req.RequestWith).Groups[0].Topics[0].Partitions[0].ErrorCode
	}
	t.want("stable offset", stable(), kerr.UnstableOffsetCommit)
	t.wantOffset(group, topic, -1)
	p.commit()
	t.eventually("a stable offset", func() bool { return stable() == 0 })
	t.awaitOffset(group, topic, 0, 5)
}

func txnOffsetBefore(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit", t.commitOffset(group, topic, 0, 3))
	t.ok("commit offset", p.commitOffset(group, topic, 0, 5))
	t.wantOffset(group, topic, 3)
	p.abort()
	t.wantOffset(group, topic, 3)
}

func txnOffsetTogether(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	for i, v := range counted(6) {
		p.send(topic, 0, v)
		t.ok("commit offset", p.commitOffset(group, topic, 0, int64(i)))
		p.end(i%2 == 1)
	}
	t.wantValues(topic, 0, committed, "1", "3", "5")
	t.awaitOffset(group, topic, 0, 5)
}

func txnOffsetOnly(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 1))
	equal(t, "state", t.transaction(*p.txn).State, "Ongoing")
	p.commit()
	t.awaitOffset(group, topic, 0, 1)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
}

func txnOffsetOld(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.oldTransactional()
	t.ok("add group", p.addGroup(group))
	t.ok("commit offset", p.commitOffset(group, topic, 0, 4))
	t.wantOffset(group, topic, -1)
	p.commit()
	t.awaitOffset(group, topic, 0, 4)
}

func txnOffsetGeneration(t *T) {
	topic, p := t.topic(1), t.transactional()
	m := t.member(t.unique("group"))
	m.rejoin()
	t.want("commit offset", p.commitOffset(m.group, topic, 0, 4, as(m.id, m.generation-1)), kerr.IllegalGeneration)
	p.abort()
}

func txnOffsetMember(t *T) {
	topic, p := t.topic(1), t.transactional()
	m := t.member(t.unique("group"))
	t.want("commit offset", p.commitOffset(m.group, topic, 0, 4, as("stranger", m.generation)), kerr.UnknownMemberID)
	p.abort()
}

func txnOffsetRightGeneration(t *T) {
	topic, p := t.topic(1), t.transactional()
	m := t.member(t.unique("group"))
	t.ok("commit offset", p.commitOffset(m.group, topic, 0, 4, as(m.id, m.generation)))
	p.commit()
	t.awaitOffset(m.group, topic, 0, 4)
}

func as(member string, generation int32) func(*kmsg.TxnOffsetCommitRequest) {
	return func(req *kmsg.TxnOffsetCommitRequest) { req.MemberID, req.Generation = member, generation }
}

func txnOffsetFenced(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.successor(*p.txn)
	t.want("commit offset", p.commitOffset(group, topic, 0, 4), kerr.InvalidProducerEpoch, kerr.ProducerFenced)
	t.wantOffset(group, topic, -1)
}

func txnOffsetDelete(t *T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit", t.commitOffset(group, topic, 0, 3))
	t.ok("commit offset", p.commitOffset(group, topic, 0, 5))
	p.commit()
	t.awaitOffset(group, topic, 0, 5)
	t.ok("delete group", t.deleteGroup(group))
	t.wantOffset(group, topic, -1)
}

func txnOffsetTwo(t *T) {
	topic, group := t.topic(2), t.unique("group")
	p, q := t.transactional(), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 1))
	t.ok("commit offset", q.commitOffset(group, topic, 1, 2))
	p.abort()
	q.commit()
	t.awaitOffset(group, topic, 1, 2)
	t.wantOffset(group, topic, -1)
}
