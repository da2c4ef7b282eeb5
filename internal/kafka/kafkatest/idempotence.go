package kafkatest

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
)

func idempotenceCases() []testCase {
	return []testCase{
		{"every producer gets an id of its own", idempotentIDs},
		{"a repeated batch is answered with its first offset and not stored again", idempotentRepeated},
		{"each of the last five batches may be repeated", idempotentLastFive},
		{"a batch before the last five is refused or known as a repetition", idempotentSixth},
		{"a gap in the sequence is refused", idempotentGap},
		{"the first sequence of a new epoch is 0", idempotentNewEpoch},
		{"an old epoch is refused", idempotentOldEpoch},
		{"sequences are counted by partition", idempotentPartitions},
		{"a sequence goes on at 0 after the largest number", idempotentWrap},
		{"half of a repeated batch is refused", idempotentHalf},
		{"an unknown producer may begin with sequence 0", idempotentUnknown},
		{"an id of the producer with a wrong epoch is refused at init", idempotentInitStale},
		{"batches without a producer are never repetitions", idempotentNone},
	}
}

func idempotentIDs(t *T) {
	a, b := t.idempotent(), t.idempotent()
	if a.pid == b.pid || a.pid < 0 {
		t.Fatalf("ids: got %d and %d", a.pid, b.pid)
	}
	equal(t, "epoch", a.epoch, 0)
}

func idempotentRepeated(t *T) {
	topic, p := t.topic(1), t.idempotent()
	b := p.batch(topic, 0, "a", "b")
	equal(t, "offset", p.send(topic, 0, "a", "b"), 0)
	equal(t, "offset", p.send(topic, 0, "c"), 2)
	res := p.try(topic, 0, b)
	t.ok("repeat", res.ErrorCode)
	equal(t, "offset of the repetition", res.BaseOffset, 0)
	t.wantValues(topic, 0, uncommitted, "a", "b", "c")
}

func idempotentLastFive(t *T) {
	topic, p := t.topic(1), t.idempotent()
	var sent []batch
	for _, v := range counted(8) {
		sent = append(sent, p.batch(topic, 0, v))
		p.send(topic, 0, v)
	}
	for i := 3; i < 8; i++ {
		res := p.try(topic, 0, sent[i])
		t.ok("repeat", res.ErrorCode)
		equal(t, "offset of the repetition", res.BaseOffset, int64(i))
	}
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 8)
}

func idempotentSixth(t *T) {
	topic, p := t.topic(1), t.idempotent()
	first := p.batch(topic, 0, "0")
	for _, v := range counted(8) {
		p.send(topic, 0, v)
	}
	t.want("repeat", p.try(topic, 0, first).ErrorCode, kerr.DuplicateSequenceNumber, kerr.OutOfOrderSequenceNumber)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 8)
}

func idempotentGap(t *T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a")
	b := p.batch(topic, 0, "c")
	b.sequence = 2
	t.want("produce", p.try(topic, 0, b).ErrorCode, kerr.OutOfOrderSequenceNumber)
	p.send(topic, 0, "b")
	t.wantValues(topic, 0, uncommitted, "a", "b")
}

func idempotentNewEpoch(t *T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a")
	b := p.batch(topic, 0, "c")
	b.epoch, b.sequence = 1, 1
	t.want("produce", p.try(topic, 0, b).ErrorCode, kerr.OutOfOrderSequenceNumber)
	b.sequence = 0
	t.ok("produce", p.try(topic, 0, b).ErrorCode)
}

func idempotentOldEpoch(t *T) {
	topic, p := t.topic(1), t.idempotent()
	old := p.batch(topic, 0, "a")
	p.adopt(p.pid, 1)
	p.send(topic, 0, "b")
	t.want("produce", p.try(topic, 0, old).ErrorCode, kerr.InvalidProducerEpoch)
	t.wantValues(topic, 0, uncommitted, "b")
}

func idempotentPartitions(t *T) {
	topic, p := t.topic(2), t.idempotent()
	p.send(topic, 0, "a")
	p.send(topic, 1, "b")
	p.send(topic, 0, "c")
	t.wantValues(topic, 0, uncommitted, "a", "c")
	t.wantValues(topic, 1, uncommitted, "b")
}

// idempotentWrap begins with a large number, which a broker takes from a producer it does not know.
func idempotentWrap(t *T) {
	topic, p := t.topic(1), t.idempotent()
	b := p.batch(topic, 0, "a", "b")
	b.sequence = math.MaxInt32 - 1
	t.ok("produce", p.try(topic, 0, b).ErrorCode)
	b = p.batch(topic, 0, "c")
	b.sequence = 0
	t.ok("produce", p.try(topic, 0, b).ErrorCode)
}

func idempotentHalf(t *T) {
	topic, p := t.topic(1), t.idempotent()
	p.send(topic, 0, "a", "b", "c")
	p.next[place(topic, 0)] = 1
	t.want("produce", p.try(topic, 0, p.batch(topic, 0, "b")).ErrorCode, kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 3)
}

func idempotentUnknown(t *T) {
	topic := t.topic(1)
	p := &producer{t: t, pid: 987_654_321, next: map[string]int32{}}
	equal(t, "offset", p.send(topic, 0, "a"), 0)
	equal(t, "offset", p.send(topic, 0, "b"), 1)
}

func idempotentInitStale(t *T) {
	p := t.transactional()
	t.successor(*p.txn)
	t.want("init producer id", p.tryInit(60_000, p.pid, p.epoch).ErrorCode, kerr.ProducerFenced, kerr.InvalidProducerEpoch)
}

func idempotentNone(t *T) {
	topic := t.topic(1)
	raw := plain("a").bytes()
	for range 3 {
		t.ok("produce", t.tryProduce(topic, 0, raw).ErrorCode)
	}
	t.wantValues(topic, 0, uncommitted, "a", "a", "a")
}
