package kafkatest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func transactionCases() []testCase {
	cases := []testCase{
		{"a commit becomes readable", txnCommit},
		{"an abort never becomes readable", txnAbort},
		{"an open transaction is readable to readers of everything only", txnOpen},
		{"a commit over several partitions is whole", txnSeveral},
		{"the last stable offset is the first of the oldest open transaction", txnStable},
		{"a marker takes one offset", txnMarker},
		{"a marker says what it is", txnMarkerKey},
		{"aborted transactions are listed, none that ended before", txnAbortedList},
		{"readers of everything get no list of aborted transactions", txnNoList},
		{"records without a transaction wait behind an open one", txnBehind},
		{"several transactions of one producer keep apart", txnSequence},
		{"an empty transaction may be committed", txnEmpty},
		{"a commit is refused when nothing was begun", txnNothingBegun},
		{"a transaction past its time is aborted by the broker", txnTimeout},
		{"a successor aborts what its predecessor left open", txnSuccessor},
		{"a predecessor may not commit any more", txnFenced},
		{"a predecessor may not produce any more", txnFencedProduce},
		{"a successor keeps the id and raises the epoch", txnEpoch},
		{"a transactional batch of a producer without transaction is refused", txnUnknownProducer},
		{"a time limit above the broker's is refused", txnTimeoutTooLong},
		{"a time limit of 0 is refused", txnTimeoutZero},
		{"an empty transactional id is refused", txnEmptyID},
		{"a transaction over 60 partitions is whole", txnMany},
		{"a producer is fenced in partitions it has not written to in this transaction", txnFencedElsewhere},
	}
	return append(cases, interleavings()...)
}

// interleavings are all orders in which two producers can write twice and end, each by commit or abort, seen by both kinds
// of readers after every step.
func interleavings() (cases []testCase) {
	for _, order := range []string{"aabb", "abab", "abba"} {
		for _, ends := range []string{"ab", "ba"} {
			for _, how := range []string{"cc", "ca", "ac", "aa"} {
				name := fmt.Sprintf("writes %s, ends %s, a %s, b %s", order, ends, verb(how[0]), verb(how[1]))
				cases = append(cases, testCase{name, func(t *T) { interleave(t, order, ends, how) }})
			}
		}
	}
	return cases
}

func verb(c byte) string {
	if c == 'c' {
		return "commits"
	}
	return "aborts"
}

// interleave keeps a model beside the broker: what was written by whom, who has ended and how.
func interleave(t *T, order, ends, how string) {
	topic := t.topic(1)
	producers := map[rune]*producer{'a': t.transactional(), 'b': t.transactional()}
	ended := map[rune]byte{}
	var written []string
	check := func() {
		t.Helper()
		t.wantValues(topic, 0, uncommitted, written...)
		t.wantValues(topic, 0, committed, readable(written, ended)...)
	}
	for i, who := range order {
		value := fmt.Sprintf("%c%d", who, i)
		producers[who].send(topic, 0, value)
		written = append(written, value)
	}
	check()
	for _, who := range ends {
		ended[who] = how[who-'a']
		producers[who].end(ended[who] == 'c')
		check()
	}
}

// readable is the dumb twin of a log: everything before the first record of an open transaction, without what was aborted.
func readable(written []string, ended map[rune]byte) (values []string) {
	for _, v := range written {
		switch ended[rune(v[0])] {
		case 0:
			return values
		case 'c':
			values = append(values, v)
		}
	}
	return values
}

func txnCommit(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a", "b")
	p.commit()
	t.wantValues(topic, 0, committed, "a", "b")
}

func txnAbort(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a", "b")
	p.abort()
	t.wantValues(topic, 0, committed)
	t.wantValues(topic, 0, uncommitted, "a", "b")
}

func txnOpen(t *T) {
	topic, p := t.topic(1), t.transactional()
	t.produce(topic, 0, plain("before"))
	p.send(topic, 0, "a")
	t.wantValues(topic, 0, committed, "before")
	t.wantValues(topic, 0, uncommitted, "before", "a")
	p.commit()
}

func txnSeveral(t *T) {
	one, two, p := t.topic(2), t.topic(1), t.transactional()
	p.send(one, 0, "a")
	p.send(one, 1, "b")
	p.send(two, 0, "c")
	p.commit()
	t.wantValues(one, 0, committed, "a")
	t.wantValues(one, 1, committed, "b")
	t.wantValues(two, 0, committed, "c")
	for _, topic := range []string{one, two} {
		equal(t, "end of "+topic, t.offsetAt(topic, 0, -1, uncommitted), 2)
	}
}

func txnStable(t *T) {
	topic, p, q := t.topic(1), t.transactional(), t.transactional()
	t.produce(topic, 0, plain("x"))
	stable := func(want int64) {
		t.Helper()
		equal(t, "last stable offset", t.fetch(topic, 0, 0, committed).LastStableOffset, want)
		equal(t, "latest for readers of committed records", t.offsetAt(topic, 0, -1, committed), want)
	}
	stable(1)
	p.send(topic, 0, "p")
	q.send(topic, 0, "q")
	stable(1)
	p.commit()
	stable(2)
	q.commit()
	stable(5)
}

func txnMarker(t *T) {
	topic, p := t.topic(1), t.transactional()
	equal(t, "offset", p.send(topic, 0, "a"), 0)
	p.commit()
	equal(t, "offset", p.send(topic, 0, "b"), 2)
	p.abort()
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 4)
}

func txnMarkerKey(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	p.commit()
	p.send(topic, 0, "b")
	p.abort()
	var kinds []string
	for _, b := range split(t.fetch(topic, 0, 0, uncommitted).RecordBatches) {
		if b.Attributes&attrControl == 0 {
			continue
		}
		if b.Attributes&attrTransactional == 0 || b.ProducerID != p.pid || b.NumRecords != 1 {
			t.Fatalf("marker: %+v", b)
		}
		kinds = append(kinds, fmt.Sprintf("%x", recordsOf(b)[0].Key))
	}
	equal(t, "keys of the markers", strings.Join(kinds, " "), "00000001 00000000")
}

func txnAbortedList(t *T) {
	topic, p := t.topic(1), t.transactional()
	var first []int64
	for _, v := range counted(4) {
		first = append(first, p.send(topic, 0, v))
		p.abort()
	}
	list := func(from int64) (offsets []int64) {
		for _, a := range t.fetch(topic, 0, from, committed).AbortedTransactions {
			offsets = append(offsets, a.FirstOffset)
		}
		slices.Sort(offsets)
		return offsets
	}
	if got := list(0); !slices.Equal(got, first) {
		t.Fatalf("from the beginning: got %v, want %v", got, first)
	}
	if got := list(first[2]); !slices.Equal(got, first[2:]) {
		t.Fatalf("from %d: got %v, want %v", first[2], got, first[2:])
	}
}

func txnNoList(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	p.abort()
	equal(t, "aborted transactions", len(t.fetch(topic, 0, 0, uncommitted).AbortedTransactions), 0)
}

func txnBehind(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	t.produce(topic, 0, plain("free"))
	t.wantValues(topic, 0, committed)
	p.abort()
	t.wantValues(topic, 0, committed, "free")
}

func txnSequence(t *T) {
	topic, p := t.topic(1), t.transactional()
	var want []string
	for i, v := range counted(10) {
		p.send(topic, 0, v)
		p.send(topic, 0, v+"'")
		p.end(i%3 != 0)
		if i%3 != 0 {
			want = append(want, v, v+"'")
		}
	}
	t.wantValues(topic, 0, committed, want...)
}

func txnEmpty(t *T) {
	topic, p := t.topic(1), t.oldTransactional()
	t.ok("add partitions", p.add(topic, 0))
	p.commit()
	t.wantValues(topic, 0, committed)
}

func txnNothingBegun(t *T) {
	p := t.oldTransactional()
	t.want("end transaction", p.tryEnd(true).ErrorCode, kerr.InvalidTxnState)
}

func txnTimeout(t *T) {
	topic := t.topic(1)
	id := t.unique("txn")
	p := &producer{t: t, txn: &id, next: map[string]int32{}}
	p.init(500)
	p.send(topic, 0, "a")
	t.produce(topic, 0, plain("free"))
	t.eventually("the abort", func() bool { return t.offsetAt(topic, 0, -1, committed) == 3 })
	t.wantValues(topic, 0, committed, "free")
	t.want("commit", p.tryEnd(true).ErrorCode, kerr.InvalidTxnState, kerr.InvalidProducerEpoch, kerr.ProducerFenced)
}

func txnSuccessor(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	q := t.successor(*p.txn)
	q.send(topic, 0, "b")
	q.commit()
	t.wantValues(topic, 0, committed, "b")
}

func txnFenced(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	q := t.successor(*p.txn)
	q.send(topic, 0, "b")
	t.want("commit", p.tryEnd(true).ErrorCode, kerr.ProducerFenced, kerr.InvalidProducerEpoch)
	q.commit()
	t.wantValues(topic, 0, committed, "b")
}

func txnFencedProduce(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	t.successor(*p.txn).settled()
	t.want("produce", p.try(topic, 0, p.batch(topic, 0, "late")).ErrorCode, kerr.InvalidProducerEpoch, kerr.ProducerFenced)
	t.wantValues(topic, 0, committed)
}

func txnFencedElsewhere(t *T) {
	topic, p := t.topic(2), t.transactional()
	p.send(topic, 0, "a")
	t.successor(*p.txn).settled()
	t.want("produce", p.try(topic, 1, p.batch(topic, 1, "late")).ErrorCode, kerr.InvalidProducerEpoch, kerr.ProducerFenced)
	t.wantValues(topic, 1, uncommitted)
}

func txnEpoch(t *T) {
	p := t.transactional()
	q := t.successor(*p.txn)
	equal(t, "id", q.pid, p.pid)
	equal(t, "epoch", q.epoch, p.epoch+1)
}

func txnUnknownProducer(t *T) {
	topic, p := t.topic(1), t.idempotent()
	b := p.batch(topic, 0, "a")
	b.transactional = true
	req := produceRequest(topic, 0, b.bytes())
	id := t.unique("none")
	req.TransactionID = &id
	t.want("produce", onlyProduced(t, ask(t, req.RequestWith)).ErrorCode, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
}

func txnTimeoutTooLong(t *T) {
	txnInitRefused(t, t.unique("txn"), int32(24*time.Hour/time.Millisecond), kerr.InvalidTransactionTimeout)
}
func txnTimeoutZero(t *T) { txnInitRefused(t, t.unique("txn"), 0, kerr.InvalidTransactionTimeout) }
func txnEmptyID(t *T)     { txnInitRefused(t, "", 60_000, kerr.InvalidRequest) }

func txnInitRefused(t *T, id string, timeout int32, want *kerr.Error) {
	t.Helper()
	p := &producer{t: t, txn: &id}
	t.want("init producer id", p.tryInit(timeout, -1, -1).ErrorCode, want)
}

func txnMany(t *T) {
	const n = 60
	topic, p := t.topic(n), t.transactional()
	for i := range int32(n) {
		p.send(topic, i, "a")
	}
	p.commit()
	for i := range int32(n) {
		t.wantValues(topic, i, committed, "a")
	}
}

// verifiedCases are about KIP-890: producers of transactions are checked, and every transaction has an epoch of its own.
func verifiedCases() []testCase {
	return []testCase{
		{"every end raises the epoch", verifiedEpoch},
		{"a partition need not be added before", verifiedImplicit},
		{"an end with the epoch before is refused", verifiedStaleEnd},
		{"an end that is repeated is answered as before", verifiedRepeatedEnd},
		{"an end that is repeated the other way round is refused", verifiedOppositeEnd},
		{"a batch of the last transaction is refused after its end", verifiedLateBatch},
		{"an old client must add its partitions first", verifiedOldMustAdd},
		{"an old client keeps its epoch", verifiedOldEpoch},
		{"an old client may add a partition twice", verifiedAddTwice},
		{"adding an unknown partition adds none of the others", verifiedAddUnknown},
		{"adding with a wrong epoch is refused", verifiedAddFenced},
		{"adding with an unknown transactional id is refused", verifiedAddUnknownID},
		{"an old client's repeated end is answered without error", verifiedOldRepeatedEnd},
		{"an end of nothing by a new client may only abort", verifiedEndOfNothing},
	}
}

func verifiedEpoch(t *T) {
	topic, p := t.topic(1), t.transactional()
	for i := range int16(4) {
		equal(t, "epoch", p.epoch, i)
		p.send(topic, 0, "a")
		p.end(i%2 == 0)
	}
}

func verifiedImplicit(t *T) {
	topic, p := t.topic(2), t.transactional()
	p.send(topic, 1, "a")
	state := t.transaction(*p.txn)
	equal(t, "state", state.State, "Ongoing")
	if len(state.Topics) != 1 || state.Topics[0].Topic != topic || !slices.Equal(state.Topics[0].Partitions, []int32{1}) {
		t.Fatalf("partitions of the transaction: %+v", state.Topics)
	}
	p.commit()
}

func verifiedStaleEnd(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	p.commit()
	p.send(topic, 0, "b")
	stale := *p
	stale.epoch--
	t.want("abort", stale.tryEnd(false).ErrorCode, kerr.ProducerFenced, kerr.InvalidProducerEpoch)
	p.commit()
	t.wantValues(topic, 0, committed, "a", "b")
}

func verifiedRepeatedEnd(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	before := *p
	first := p.tryEnd(true)
	p.settled()
	again := before.tryEnd(true)
	t.ok("repeat", again.ErrorCode)
	equal(t, "epoch", again.ProducerEpoch, first.ProducerEpoch)
	equal(t, "id", again.ProducerID, first.ProducerID)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 2)
}

func verifiedOppositeEnd(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	before := *p
	p.commit()
	t.want("abort", before.tryEnd(false).ErrorCode, kerr.InvalidTxnState)
	t.wantValues(topic, 0, committed, "a")
}

func verifiedLateBatch(t *T) {
	topic, p := t.topic(1), t.transactional()
	p.send(topic, 0, "a")
	late := p.batch(topic, 0, "late")
	p.abort()
	t.want("produce", p.try(topic, 0, late).ErrorCode, kerr.InvalidProducerEpoch)
	p.send(topic, 0, "b")
	p.commit()
	t.wantValues(topic, 0, committed, "b")
}

func verifiedOldMustAdd(t *T) {
	topic, p := t.topic(1), t.oldTransactional()
	t.want("produce", p.try(topic, 0, p.batch(topic, 0, "a")).ErrorCode, kerr.TransactionAbortable)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
	p.send(topic, 0, "a")
	p.commit()
	t.wantValues(topic, 0, committed, "a")
}

func verifiedOldEpoch(t *T) {
	topic, p := t.topic(1), t.oldTransactional()
	before := p.epoch
	for i, v := range counted(3) {
		p.send(topic, 0, v)
		p.end(i != 1)
	}
	equal(t, "epoch", p.epoch, before)
	t.wantValues(topic, 0, committed, "0", "2")
}

func verifiedAddTwice(t *T) {
	topic, p := t.topic(2), t.oldTransactional()
	t.ok("add", p.add(topic, 0))
	t.ok("add", p.add(topic, 0))
	t.ok("add", p.add(topic, 1))
	p.send(topic, 1, "a")
	p.commit()
	t.wantValues(topic, 1, committed, "a")
}

func verifiedAddUnknown(t *T) {
	topic, p := t.topic(2), t.oldTransactional()
	for _, res := range p.tryAdd(topic, 0, 9) {
		want := kerr.OperationNotAttempted
		if res.Partition == 9 {
			want = kerr.UnknownTopicOrPartition
		}
		t.want(fmt.Sprintf("add partition %d", res.Partition), res.ErrorCode, want)
	}
	equal(t, "state", t.transaction(*p.txn).State, "Empty")
}

func verifiedAddFenced(t *T) {
	topic, p := t.topic(1), t.oldTransactional()
	t.successor(*p.txn)
	t.want("add", p.add(topic, 0), kerr.ProducerFenced, kerr.InvalidProducerEpoch)
}

func verifiedAddUnknownID(t *T) {
	id := t.unique("none")
	p := &producer{t: t, txn: &id, pid: 5, old: true}
	t.want("add", p.add(t.topic(1), 0), kerr.InvalidProducerIDMapping)
}

func verifiedOldRepeatedEnd(t *T) {
	topic, p := t.topic(1), t.oldTransactional()
	p.send(topic, 0, "a")
	p.commit()
	t.ok("repeat", p.tryEnd(true).ErrorCode)
	t.want("the other way round", p.tryEnd(false).ErrorCode, kerr.InvalidTxnState)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 2)
}

func verifiedEndOfNothing(t *T) {
	p := t.transactional()
	t.want("commit", p.tryEnd(true).ErrorCode, kerr.InvalidTxnState)
	t.ok("abort", p.tryEnd(false).ErrorCode)
}
