package txn

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// InitRequest is InitProducerId with a transactional id.
type InitRequest struct {
	ID      string
	Timeout time.Duration
	// Producer is what the client has from before (KIP-360), or NoProducer.
	Producer Producer
	// Enable2PC and KeepPrepared are for transactions that somebody else decides (KIP-939), which this broker refuses.
	Enable2PC    bool
	KeepPrepared bool
}

// InitProducerID gives a transactional id to a producer and fences whoever had it before. If a transaction is open, it is
// given up and the answer is CONCURRENT_TRANSACTIONS: the client comes again.
func (c *Coordinator) InitProducerID(now time.Time, r InitRequest) (Producer, Effects, error) {
	if err := c.checkInit(r); err != nil {
		return NoProducer, Effects{}, err
	}
	t, ok := c.ids[r.ID]
	if !ok {
		return c.initNew(now, r)
	}
	if !t.mayInit(r.Producer) {
		return NoProducer, Effects{}, kerr.ProducerFenced
	}
	switch {
	case t.state.prepared():
		return NoProducer, Effects{}, kerr.ConcurrentTransactions
	case t.state == Ongoing:
		return c.initOngoing(t, now, r)
	default:
		return c.initAgain(t, now, r)
	}
}

func (c *Coordinator) checkInit(r InitRequest) error {
	switch {
	case r.ID == "" || len(r.ID) > idBytesMax || (r.Producer.ID < 0) != (r.Producer.Epoch < 0):
		return kerr.InvalidRequest
	case r.Enable2PC:
		return kerr.TransactionalIDAuthorizationFailed
	case r.KeepPrepared:
		return kerr.UnsupportedVersion
	case r.Timeout <= 0 || r.Timeout > c.o.MaxTimeout:
		return kerr.InvalidTransactionTimeout
	}
	return nil
}

// mayInit says that p is nobody, the current owner, or the owner of the producer id before whose epochs are used up and
// who missed the answer that gave it this one.
func (t *transaction) mayInit(p Producer) bool {
	return p == NoProducer || p.ID == t.producer.ID || (p.ID == t.previousID && p.exhausted())
}

// initNew makes a transactional id.
func (c *Coordinator) initNew(now time.Time, r InitRequest) (Producer, Effects, error) {
	var fx Effects
	if len(c.ids) >= c.o.MaxIDs && !c.makeRoom(now, &fx) {
		return NoProducer, Effects{}, kerr.CoordinatorNotAvailable
	}
	t := &transaction{id: r.ID, early: NoProducer, deadline: -1, standing: standing{state: Empty, previousID: -1, nextID: -1, lastEpoch: -1}}
	t.producer = Producer{ID: c.allocate(&fx)}
	t.becomeEmpty(t.producer, -1, r.Timeout, now)
	return c.given(t, fx)
}

// makeRoom forgets the id that rested for longest.
func (c *Coordinator) makeRoom(now time.Time, fx *Effects) bool {
	e := c.resting.Front()
	if e == nil {
		return false
	}
	fx.Save = append(fx.Save, c.kill(e.Value.(*transaction), now))
	return true
}

// given answers with the producer of an id that was just initialised.
func (c *Coordinator) given(t *transaction, fx Effects) (Producer, Effects, error) {
	c.place(t)
	fx.Save = append(fx.Save, t.entry())
	return t.producer, fx, nil
}

// initOngoing fences the open transaction. Apache Kafka does so even for a client with an old epoch, and fences that one
// only when it comes again; here it is fenced at once, and the transaction of its successor lives on.
func (c *Coordinator) initOngoing(t *transaction, now time.Time, r InitRequest) (Producer, Effects, error) {
	if r.Producer != NoProducer && r.Producer != t.producer {
		return NoProducer, Effects{}, kerr.ProducerFenced
	}
	return NoProducer, Effects{Decide: c.fence(t, now)}, kerr.ConcurrentTransactions
}

// initAgain gives a resting id to its next producer.
func (c *Coordinator) initAgain(t *transaction, now time.Time, r InitRequest) (Producer, Effects, error) {
	var fx Effects
	was, known := t.producer, r.Producer != NoProducer
	switch {
	case was.exhausted() && (!known || r.Producer == was):
		delete(c.producers, was.ID)
		t.becomeEmpty(Producer{ID: c.allocate(&fx)}, lastIf(known, was.Epoch), r.Timeout, now)
	case !known:
		t.becomeEmpty(was.raised(), -1, r.Timeout, now)
	case r.Producer == was:
		t.becomeEmpty(was.raised(), was.Epoch, r.Timeout, now)
	case t.missed(r.Producer):
		t.becomeEmpty(was, t.lastEpoch, r.Timeout, now)
	default:
		return NoProducer, Effects{}, kerr.ProducerFenced
	}
	return c.given(t, fx)
}

// missed says that p is the producer before the current one and missed the answer that made it the current one. Nobody
// else came since: that would have made lastEpoch -1.
func (t *transaction) missed(p Producer) bool {
	if p.Epoch < 0 || p.Epoch != t.lastEpoch {
		return false
	}
	return p.ID == t.producer.ID || (p.ID == t.previousID && t.producer.Epoch == 0)
}

func lastIf(known bool, epoch int16) int16 {
	if known {
		return epoch
	}
	return -1
}

// fence gives up the open transaction with an epoch that no client has: two above the last one given out, because an
// epoch one above means to EndTxn that the client has ended the transaction itself and only missed the answer.
func (c *Coordinator) fence(t *transaction, now time.Time) *Decide {
	fenced := t.producer.raised()
	last := fenced.Epoch
	t.becomePrepareAbort(fenced.raised(), last, -1, now)
	return c.decision(t, true)
}
