package kafkatest

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// restartCase is something that must be as it was after the broker ended without warning.
type restartCase struct {
	name   string
	before func(*T) (after func(*T))
}

func restartCases() []restartCase {
	return []restartCase{
		{"acknowledged records are there, in order", restartRecords},
		{"a repeated batch is still known", restartRepeated},
		{"sequences go on", restartSequence},
		{"a gap in the sequence is still refused", restartGap},
		{"committed transactions are there, aborted ones are not", restartTransactions},
		{"an open transaction can be committed", restartOpen},
		{"an open transaction stays unreadable until it ends", restartUnreadable},
		{"a successor aborts what was open", restartSuccessor},
		{"a fenced producer stays fenced", restartFenced},
		{"offsets of groups are there", restartOffsets},
		{"offsets of an open transaction are unseen until it ends", restartTxnOffsets},
		{"a member goes on with its generation", restartMember},
		{"topics, ids and settings are there", restartTopics},
		{"the start of a log stays where it was", restartLogStart},
		{"deleted topics stay deleted", restartDeleted},
		{"users and rules are there", restartUsers},
		{"quotas are there", restartQuotas},
		{"new producer ids are new", restartIDs},
	}
}

// over gives a producer that was made before the restart to the case after it.
func (p *producer) over(t *T) *producer {
	p.t = t
	return p
}

func restartRecords(t *T) func(*T) {
	topic := t.topic(1)
	values := counted(50)
	for _, v := range values {
		t.produce(topic, 0, plain(v))
	}
	return func(t *T) {
		t.wantValues(topic, 0, uncommitted, values...)
		equal(t, "offset", t.produce(topic, 0, plain("next")), 50)
	}
}

func restartRepeated(t *T) func(*T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a")
	last := p.batch(topic, 0, "b")
	p.send(topic, 0, "b")
	return func(t *T) {
		res := p.over(t).try(topic, 0, last)
		t.ok("repeat", res.ErrorCode)
		equal(t, "offset of the repetition", res.BaseOffset, 1)
		t.wantValues(topic, 0, uncommitted, "a", "b")
	}
}

func restartSequence(t *T) func(*T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a")
	return func(t *T) {
		equal(t, "offset", p.over(t).send(topic, 0, "b"), 1)
	}
}

func restartGap(t *T) func(*T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a")
	return func(t *T) {
		b := p.over(t).batch(topic, 0, "c")
		b.sequence++
		t.want("produce", p.try(topic, 0, b).ErrorCode, kerr.OutOfOrderSequenceNumber)
	}
}

func restartTransactions(t *T) func(*T) {
	topic, p := t.topic(2), t.transactional()
	for i, v := range counted(6) {
		p.send(topic, 0, v)
		p.send(topic, 1, v)
		p.end(i%2 == 0)
	}
	return func(t *T) {
		t.wantValues(topic, 0, committed, "0", "2", "4")
		t.wantValues(topic, 1, committed, "0", "2", "4")
		p.over(t).send(topic, 0, "next")
		p.commit()
		t.wantValues(topic, 0, committed, "0", "2", "4", "next")
	}
}

func restartOpen(t *T) func(*T) {
	topic, p := t.topic(2), t.transactional()
	p.send(topic, 0, "a")
	return func(t *T) {
		p.over(t).send(topic, 0, "b")
		p.send(topic, 1, "c")
		p.commit()
		t.wantValues(topic, 0, committed, "a", "b")
		t.wantValues(topic, 1, committed, "c")
	}
}

func restartUnreadable(t *T) func(*T) {
	topic, p := t.topic(1), t.transactional()
	t.produce(topic, 0, plain("before"))
	p.send(topic, 0, "open")
	return func(t *T) {
		t.wantValues(topic, 0, committed, "before")
		p.over(t).abort()
		t.wantValues(topic, 0, committed, "before")
	}
}

func restartSuccessor(t *T) func(*T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "open")
	return func(t *T) {
		q := t.successor(*p.txn)
		q.send(topic, 0, "b")
		q.commit()
		t.wantValues(topic, 0, committed, "b")
	}
}

func restartFenced(t *T) func(*T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	t.successor(*p.txn).settled()
	return func(t *T) {
		t.want("commit", p.over(t).tryEnd(true).ErrorCode, kerr.ProducerFenced, kerr.InvalidProducerEpoch)
		t.want("produce", p.try(topic, 0, p.batch(topic, 0, "late")).ErrorCode, kerr.InvalidProducerEpoch, kerr.ProducerFenced)
		t.wantValues(topic, 0, committed)
	}
}

func restartOffsets(t *T) func(*T) {
	topic, group := t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, topic, 0, 42))
	return func(t *T) { t.wantOffset(group, topic, 42) }
}

func restartTxnOffsets(t *T) func(*T) {
	topic, group, p := t.topic(1), t.unique("group"), t.transactional()
	t.ok("commit offset", p.commitOffset(group, topic, 0, 7))
	return func(t *T) {
		t.wantOffset(group, topic, -1)
		p.over(t).commit()
		t.awaitOffset(group, topic, 0, 7)
	}
}

func restartMember(t *T) func(*T) {
	m := t.newMember(t.unique("group"))
	m.session = 60_000
	m.rejoin()
	return func(t *T) {
		m.t, m.conn = t, t.dial()
		t.ok("heartbeat", m.beat())
		equal(t, "assignment", string(m.sync().MemberAssignment), "all")
	}
}

func restartTopics(t *T) func(*T) {
	topic := t.topic(3, "retention.ms", "123456789")
	id := t.metadata(topic).TopicID
	return func(t *T) {
		found := t.metadata(topic)
		equal(t, "id", fmt.Sprint(found.TopicID), fmt.Sprint(id))
		equal(t, "partitions", len(found.Partitions), 3)
		t.wantConfig(topic, "retention.ms", "123456789")
	}
}

func restartLogStart(t *T) func(*T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	t.deleteRecords(topic, 3)
	// Apache Kafka writes this down once a minute only, unless a segment goes with it; either is right.
	return func(t *T) {
		if start := t.offsetAt(topic, 0, -2, uncommitted); start != 3 && start != 0 {
			t.Fatalf("the log begins at %d", start)
		}
		equal(t, "latest", t.offsetAt(topic, 0, -1, uncommitted), 5)
	}
}

func restartDeleted(t *T) func(*T) {
	topic := t.topic(1)
	t.deleteTopic(topic)
	return func(t *T) { t.want("metadata", t.metadata(topic).ErrorCode, kerr.UnknownTopicOrPartition) }
}

func restartUsers(t *T) func(*T) {
	name := t.unique("user")
	t.ok("make user", t.setPassword(name, "secret", 4096))
	t.rule(rule{name: "a", user: name, operation: kmsg.ACLOperationRead})
	return func(t *T) {
		t.ok("describe user", t.describeUser(name).ErrorCode)
		t.awaitRules(name, 1)
	}
}

func restartQuotas(t *T) func(*T) {
	name := t.unique("client")
	t.ok("set quota", t.setQuota(entity{"client-id", name}, "producer_byte_rate", 5000, false))
	return func(t *T) { equal(t, "quota", t.quotas(true, "client-id", name)["producer_byte_rate"], 5000) }
}

func restartIDs(t *T) func(*T) {
	p := t.idempotent()
	return func(t *T) { equal(t, "the id is given again", t.idempotent().pid == p.pid, false) }
}
