package txn

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// EndRequest is EndTxn.
type EndRequest struct {
	ID       string
	Producer Producer
	Commit   bool
	// Bump : the epoch grows with every transaction (EndTxn 5 and later, KIP-890 part 2).
	Bump bool
}

// EndTxn decides a transaction. The producer of the answer is what the client uses from then on; it is NoProducer for
// clients whose epoch does not grow.
func (c *Coordinator) EndTxn(now time.Time, r EndRequest) (Producer, Effects, error) {
	t, err := c.find(r.ID)
	if err != nil {
		return NoProducer, Effects{}, err
	}
	if r.Bump {
		return c.endBumping(t, now, r)
	}
	fx, err := c.endKeeping(t, now, r)
	return NoProducer, fx, err
}

// endKeeping ends a transaction after which the producer goes on with the same epoch. A request that is sent twice looks
// like the first, so the last result answers it.
func (c *Coordinator) endKeeping(t *transaction, now time.Time, r EndRequest) (Effects, error) {
	switch {
	case t.producer.ID != r.Producer.ID:
		return Effects{}, kerr.InvalidProducerIDMapping
	case t.producer.Epoch != r.Producer.Epoch:
		return Effects{}, kerr.ProducerFenced
	case t.state == Ongoing:
		return Effects{Decide: c.end(t, now, r.Commit, t.producer, t.lastEpoch, -1)}, nil
	case t.state == complete(r.Commit):
		return Effects{}, nil
	case t.state == prepare(r.Commit):
		return Effects{}, kerr.ConcurrentTransactions
	}
	return Effects{}, kerr.InvalidTxnState
}

// endBumping ends a transaction with an epoch that is new. The epoch before tells a request that is sent twice.
func (c *Coordinator) endBumping(t *transaction, now time.Time, r EndRequest) (Producer, Effects, error) {
	again := t.endedBy(r.Producer)
	switch {
	case t.producer.ID != r.Producer.ID && !again:
		return NoProducer, Effects{}, kerr.InvalidProducerIDMapping
	case t.producer.Epoch != r.Producer.Epoch && !again:
		return NoProducer, Effects{}, kerr.ProducerFenced
	case t.state.prepared():
		return NoProducer, Effects{}, kerr.ConcurrentTransactions
	case again && t.state == complete(r.Commit):
		return t.producer, Effects{}, nil
	case again && t.state.resting() && t.state != Empty:
		return NoProducer, Effects{}, kerr.InvalidTxnState
	case again:
		return NoProducer, Effects{}, kerr.ProducerFenced
	case t.putOff():
		return NoProducer, Effects{}, kerr.ConcurrentTransactions
	case r.Commit && t.state != Ongoing:
		return NoProducer, Effects{}, kerr.InvalidTxnState
	}
	return c.endNow(t, now, r.Commit)
}

// putOff puts the end of nothing off, once for each epoch, with an error after which clients come again. The Java client (up
// to 4.4.0) may send EndTxn ahead of the records of its transaction: its sender looks whether records wait and then what
// is to be asked next, and the application may write and end the transaction in between. Refused, a commit is a fatal
// error; taken, an abort leaves the records with the client, which writes them in the next transaction. When the client
// comes again, it has sent them before a commit, or dropped them before an abort.
func (t *transaction) putOff() bool {
	if t.state == Ongoing || t.early == t.producer {
		return false
	}
	t.early = t.producer
	return true
}

// endedBy says that p is the epoch before: its owner ended a transaction and does not know it yet. A resting id beyond the
// last epoch was fenced, since an owner that ends its transaction there gets another producer id.
func (t *transaction) endedBy(p Producer) bool {
	if p.ID == t.producer.ID {
		return p.Epoch+1 == t.producer.Epoch && (t.producer.Epoch <= epochLast || t.state.prepared())
	}
	return p.ID == t.previousID && p.Epoch == epochLast && t.producer.Epoch == 0
}

// endNow raises the epoch, or at the last one takes another producer id, which the client is given when all is done.
func (c *Coordinator) endNow(t *transaction, now time.Time, commit bool) (Producer, Effects, error) {
	var fx Effects
	was, nextID, answer := t.producer, int64(-1), t.producer.raised()
	if was.exhausted() {
		nextID = c.allocate(&fx)
		answer = Producer{ID: nextID}
	}
	fx.Decide = c.end(t, now, commit, was.raised(), was.Epoch, nextID)
	return answer, fx, nil
}

// end decides.
func (c *Coordinator) end(t *transaction, now time.Time, commit bool, marker Producer, lastEpoch int16, nextID int64) *Decide {
	bumped := marker != t.producer
	if commit {
		t.becomePrepareCommit(marker, lastEpoch, nextID, now)
	} else {
		t.becomePrepareAbort(marker, lastEpoch, nextID, now)
	}
	return c.decision(t, bumped)
}

// decision hands out what was decided about t.
func (c *Coordinator) decision(t *transaction, bumped bool) *Decide {
	c.place(t)
	d := &Decide{
		ID: t.id, ProducerID: t.producer.ID, Epoch: t.producer.Epoch, CoordinatorEpoch: c.o.CoordinatorEpoch,
		Commit: t.state == PrepareCommit, Bumped: bumped, Groups: t.sortedGroups(), After: t.entry(),
	}
	for _, p := range t.sortedPartitions() {
		d.Partitions = append(d.Partitions, DecidedPartition{TopicPartition: p, First: -1})
	}
	return d
}

func prepare(commit bool) State {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

func complete(commit bool) State {
	if commit {
		return CompleteCommit
	}
	return CompleteAbort
}

// Journaled notes that the decision, its first offsets set, is in the journal, so that a checkpoint keeps it.
func (c *Coordinator) Journaled(d Decide) {
	t, ok := c.ids[d.ID]
	if ok && t.state.prepared() {
		t.decide, t.written = &d, true
	}
}

// Decided says that all markers and offsets of the decision are written.
func (c *Coordinator) Decided(id string) {
	t, ok := c.ids[id]
	if !ok || !t.state.prepared() {
		return
	}
	delete(c.producers, t.producer.ID)
	t.becomeComplete()
	c.place(t)
}

// Undecided says that the decision is not in the journal and will not be. Nobody may have been told of it.
func (c *Coordinator) Undecided(id string) {
	t, ok := c.ids[id]
	if !ok || !t.state.prepared() {
		return
	}
	t.becomeUndecided()
	c.place(t)
}
