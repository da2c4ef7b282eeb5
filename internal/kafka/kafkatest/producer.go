package kafkatest

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producer is an idempotent or transactional producer that does nothing by itself: no retries but for a transaction that
// is still being ended, no counting of epochs but what the broker says.
type producer struct {
	t     *T
	txn   *string // nil for one that is only idempotent
	pid   int64
	epoch int16
	next  map[string]int32 // next sequence number of each partition
	old   bool             // a client from before KIP-890: adds partitions by a request and keeps its epoch
}

// idempotent asks for a producer id.
func (t *T) idempotent() *producer {
	t.Helper()
	p := &producer{t: t, next: map[string]int32{}}
	p.init(60_000)
	return p
}

// transactional asks for a producer id with a transactional id of its own.
func (t *T) transactional() *producer {
	t.Helper()
	return t.successor(t.unique("txn"))
}

// oldTransactional is a transactional producer from before KIP-890.
func (t *T) oldTransactional() *producer {
	t.Helper()
	p := t.transactional()
	p.old = true
	return p
}

// successor asks for a producer id with a transactional id that may be in use.
func (t *T) successor(id string) *producer {
	t.Helper()
	p := &producer{t: t, txn: &id, next: map[string]int32{}}
	p.init(60_000)
	return p
}

func (p *producer) init(timeout int32) {
	p.t.Helper()
	res := p.tryInit(timeout, -1, -1)
	p.t.ok("init producer id", res.ErrorCode)
	p.adopt(res.ProducerID, res.ProducerEpoch)
}

func (p *producer) tryInit(timeout int32, pid int64, epoch int16) (res *kmsg.InitProducerIDResponse) {
	p.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = p.txn, timeout, pid, epoch
	p.patiently(func() int16 {
		res = ask(p.t, req.RequestWith)
		return res.ErrorCode
	})
	return res
}

// adopt goes on with an id and epoch; both a new id and a new epoch begin with sequence number 0.
func (p *producer) adopt(pid int64, epoch int16) {
	if pid != p.pid || epoch != p.epoch {
		clear(p.next)
	}
	p.pid, p.epoch = pid, epoch
}

// patiently repeats a request while the last transaction is still being ended, or its coordinator still reads.
func (p *producer) patiently(call func() int16) (code int16) {
	p.t.Helper()
	p.t.eventually("the end of the last transaction", func() bool {
		code = call()
		return code != kerr.ConcurrentTransactions.Code && !loading(code)
	})
	return code
}

// batch is the next batch for a partition; it counts only when accept is called.
func (p *producer) batch(topic string, partition int32, values ...string) batch {
	b := plain(values...)
	b.producer, b.epoch, b.sequence, b.transactional = p.pid, p.epoch, p.next[place(topic, partition)], p.txn != nil
	return b
}

func place(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// try sends a batch as it is.
func (p *producer) try(topic string, partition int32, b batch) (res kmsg.ProduceResponseTopicPartition) {
	p.t.Helper()
	req := produceRequest(topic, partition, b.bytes())
	req.TransactionID = p.txn
	p.patiently(func() int16 {
		var to kmsg.Requestor = p.t.wire()
		if p.old {
			to = p.t.at(11)
		}
		res = onlyProduced(p.t, askOn(p.t, to, req.RequestWith))
		return res.ErrorCode
	})
	return res
}

// send produces the next batch and returns its first offset. An old transactional producer adds the partition before.
func (p *producer) send(topic string, partition int32, values ...string) int64 {
	p.t.Helper()
	if p.old && p.txn != nil {
		p.t.ok("add partitions", p.add(topic, partition))
	}
	res := p.try(topic, partition, p.batch(topic, partition, values...))
	p.t.ok("produce", res.ErrorCode)
	p.next[place(topic, partition)] += int32(len(values))
	return res.BaseOffset
}

// add adds partitions to the transaction, as clients did before KIP-890.
func (p *producer) add(topic string, partitions ...int32) int16 {
	p.t.Helper()
	return p.patiently(func() int16 { return p.tryAdd(topic, partitions...)[0].ErrorCode })
}

func (p *producer) tryAdd(topic string, partitions ...int32) []kmsg.AddPartitionsToTxnResponseTopicPartition {
	p.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = *p.txn, p.pid, p.epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: partitions}}
	res := askOn(p.t, p.t.at(3), req.RequestWith)
	return res.Topics[0].Partitions
}

// tryEnd commits or aborts and does not look further.
func (p *producer) tryEnd(commit bool) (res *kmsg.EndTxnResponse) {
	p.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = *p.txn, p.pid, p.epoch, commit
	p.patiently(func() int16 {
		var to kmsg.Requestor = p.t.wire()
		if p.old {
			to = p.t.at(4)
		}
		res = askOn(p.t, to, req.RequestWith)
		return res.ErrorCode
	})
	return res
}

// end commits or aborts and waits until every partition has its marker.
func (p *producer) end(commit bool) {
	p.t.Helper()
	res := p.tryEnd(commit)
	p.t.ok("end transaction", res.ErrorCode)
	if !p.old && res.Version >= 5 && res.ProducerID >= 0 {
		p.adopt(res.ProducerID, res.ProducerEpoch)
	}
	p.settled()
}

func (p *producer) commit() { p.t.Helper(); p.end(true) }
func (p *producer) abort()  { p.t.Helper(); p.end(false) }

// settled waits until no transaction of this producer is open or being ended.
func (p *producer) settled() {
	p.t.Helper()
	p.t.eventually("the transaction ended", func() bool {
		switch p.t.transaction(*p.txn).State {
		case "Empty", "CompleteCommit", "CompleteAbort":
			return true
		}
		return false
	})
}

// transaction describes a transaction.
func (t *T) transaction(id string) kmsg.DescribeTransactionsResponseTransactionState {
	t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	return ask(t, req.RequestWith).TransactionStates[0]
}
