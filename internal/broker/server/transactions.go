package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/txn"
)

// transactions is the shell around the coordinator: it holds its lock, which is the innermost of all, keeps time, writes
// entries, and carries decisions out.
type transactions struct {
	s *Server

	mu sync.Mutex
	c  *txn.Coordinator // GUARDED_BY(mu)

	wake chan struct{} // something may be due earlier than thought
}

func newTransactions(s *Server) *transactions {
	return &transactions{s: s, wake: make(chan struct{}, 1)}
}

// begin makes the coordinator, once the epoch of this start is known.
func (t *transactions) begin() {
	b := t.s.settings.broker()
	t.c = txn.NewCoordinator(txn.Options{
		MaxTimeout: b.TransactionTimeoutMax, Expiration: b.TransactionalIDExpiration, CoordinatorEpoch: t.s.epoch,
	})
}

// call asks the coordinator something, and carries out what it wants done before anybody is answered.
func (t *transactions) call(ctx context.Context, do func(*txn.Coordinator, time.Time) (txn.Effects, error)) error {
	effects, err := t.noted(do)
	if errors.Is(err, errUnsaved) {
		return kerr.CoordinatorNotAvailable
	}
	if effects.Decide != nil {
		return errors.Join(err, t.decide(ctx, *effects.Decide))
	}
	if effects.Reserve > 0 || len(effects.Save) > 0 {
		if lost := t.s.lasting(ctx); lost != nil {
			return kerr.CoordinatorNotAvailable
		}
		t.reserved(effects.Reserve)
	}
	return err
}

// reserved says that producer ids below are taken for good, so that they need no further entry.
func (t *transactions) reserved(below int64) {
	if below <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Reserved(below)
}

// errUnsaved: the journal refused an entry.
var errUnsaved = errors.New("journal refused an entry")

// noted writes what is to be saved while the lock is held, so that entries of one id are in the order of its states.
func (t *transactions) noted(do func(*txn.Coordinator, time.Time) (txn.Effects, error)) (txn.Effects, error) {
	t.s.gate.RLock()
	defer t.s.gate.RUnlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	effects, err := do(t.c, time.Now())
	if !t.save(effects) {
		if effects.Decide != nil {
			t.c.Undecided(effects.Decide.ID)
		}
		return txn.Effects{}, errUnsaved
	}
	t.nudge()
	return effects, err
}

// save writes what is to be remembered. The caller holds gate and the lock.
func (t *transactions) save(e txn.Effects) bool {
	if e.Reserve > 0 && t.s.note(entryProducers, producersEntry{Next: e.Reserve}) != nil {
		return false
	}
	for _, entry := range e.Save {
		if t.s.note(entryTxn, entry) != nil {
			return false
		}
	}
	return true
}

func (t *transactions) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// decide carries a decision out: durable first, then markers and offsets. The steps are those of txn.Decide.
func (t *transactions) decide(ctx context.Context, d txn.Decide) error {
	for i := range d.Partitions {
		d.Partitions[i].First = t.first(d.Partitions[i].TopicPartition, d.ProducerID)
	}
	for _, g := range d.Groups {
		_ = t.s.groups.holding(g, nothing) // from here on nobody joins
	}
	if err := t.journal(d); err != nil {
		t.mu.Lock()
		t.c.Undecided(d.ID)
		t.mu.Unlock()
		return kerr.CoordinatorNotAvailable
	}
	// Whoever asked may be gone; the decision stands.
	if err := t.s.lasting(context.WithoutCancel(ctx)); err != nil {
		return kerr.CoordinatorNotAvailable
	}
	t.decided(d)
	marked, err := t.finish(d)
	if err != nil {
		t.s.log.Warn("markers not written, trying again", "transaction", d.ID, "err", err)
		t.s.running.Go(func() { t.finishLater(d) })
		return kerr.ConcurrentTransactions
	}
	t.show(ctx, d, marked)
	return nil
}

// decided lets the hook in between offsets and markers. That finish applies the offsets again does no harm: nothing is left
// of them, and the id takes no new ones before.
func (t *transactions) decided(d txn.Decide) {
	hook := t.s.o.Hooks.Decided
	if hook == nil {
		return
	}
	t.s.gate.RLock()
	t.s.groups.end(d.ProducerID, d.Commit)
	t.s.gate.RUnlock()
	hook(t.s.ctx, d.ID, d.Commit)
}

// show waits until readers see how the transaction ended: who was told of a commit and reads finds it. The decision is
// durable whatever comes of it, and owed to a partition until its marker is.
func (t *transactions) show(ctx context.Context, d txn.Decide, marked []durable) {
	if len(marked) == 0 {
		return
	}
	round := t.s.sync.enlist(marked...)
	select {
	case <-round.done:
	case <-ctx.Done():
		return // the next checkpoint finds out
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range d.Partitions {
		p := t.s.topics.partition(at.Topic, at.Partition)
		if err, synced := round.files[p]; synced && err == nil {
			t.c.Marked(txn.Missing{TopicPartition: at.TopicPartition, First: at.First, ProducerID: d.ProducerID})
		}
	}
}

// settled drops what is owed to partitions that were just synced, or that are gone. The caller holds gate.
func (t *transactions) settled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Settled(func(at txn.TopicPartition) bool {
		p := t.s.topics.partition(at.Topic, at.Partition)
		return p == nil || p.fenced() == nil
	})
}

// first is the offset at which a producer's open transaction begins in a partition, -1 if it has none there.
func (t *transactions) first(at txn.TopicPartition, producer int64) int64 {
	p := t.s.topics.partition(at.Topic, at.Partition)
	if p == nil {
		return -1
	}
	if first, open := p.openOf(producer); open {
		return first
	}
	return -1
}

func (t *transactions) journal(d txn.Decide) error {
	t.s.gate.RLock()
	defer t.s.gate.RUnlock()
	if err := t.s.note(entryDecided, d); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Journaled(d)
	return nil
}

// finish writes the markers of a durable decision and applies its offsets. It may be repeated.
func (t *transactions) finish(d txn.Decide) ([]durable, error) {
	m := batch.Marker{ProducerID: d.ProducerID, ProducerEpoch: d.Epoch, CoordinatorEpoch: d.CoordinatorEpoch, Commit: d.Commit, Time: time.Now()}
	var marked []durable
	var failed error
	for _, at := range d.Partitions {
		p := t.s.topics.partition(at.Topic, at.Partition)
		if p == nil || at.First < 0 {
			continue
		}
		if err := p.mark(m, at.First); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		marked = append(marked, p)
	}
	if failed != nil {
		return nil, failed
	}
	t.s.gate.RLock()
	if len(d.Groups) > 0 {
		t.s.groups.end(d.ProducerID, d.Commit)
	}
	t.mu.Lock()
	t.c.Owe(d)
	t.c.Decided(d.ID)
	t.mu.Unlock()
	t.s.gate.RUnlock()
	return marked, nil
}

// finishLater tries again until it works or the server is closed; then the next start does it.
func (t *transactions) finishLater(d txn.Decide) {
	for t.s.pause(time.Second) {
		if marked, err := t.finish(d); err == nil {
			t.show(t.s.ctx, d, marked)
			return
		}
	}
}

// append writes a transactional batch. A partition that does not have the transaction yet asks the coordinator, with its
// lock held until the batch is in the log, so that a decision finds every record.
func (t *transactions) append(r *request, req *kmsg.ProduceRequest, p *partition, h batch.Header, raw []byte, appendTime bool, at time.Time) (appended, error) {
	if req.TransactionID == nil {
		return appended{}, kerr.InvalidTxnState
	}
	implicit := r.version >= 12
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.writable(); err != nil {
		return appended{}, err
	}
	check := p.producers.Check
	if implicit {
		check = p.producers.CheckBumped
	}
	verdict, err := check(h, at)
	if err != nil {
		return appended{}, txn.ErrorFor(kmsg.Produce, r.version, err)
	}
	if verdict.Duplicate {
		return appended{base: verdict.First, millis: verdict.AppendTime, duplicate: true}, nil
	}
	if _, open := p.producers.OpenOf(h.ProducerID); !open {
		if err := t.join(*req.TransactionID, p, h, implicit, at); err != nil {
			return appended{}, txn.ErrorFor(kmsg.Produce, r.version, err)
		}
	}
	return p.write(raw, appendTime, at)
}

func (t *transactions) join(id string, p *partition, h batch.Header, implicit bool, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.nudge()
	producer := txn.Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch}
	return t.c.Join(at, id, producer, txn.TopicPartition{Topic: p.topic.name, Partition: p.index}, implicit)
}

// run gives up transactions that take too long, until ctx ends.
func (t *transactions) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		timer.Reset(min(maxNap, time.Until(t.tick(ctx))))
	}
}

// tick does what is due and tells when to look again.
func (t *transactions) tick(ctx context.Context) time.Time {
	t.s.gate.RLock()
	t.mu.Lock()
	decisions, entries := t.c.Tick(time.Now())
	for _, e := range entries {
		_ = t.s.note(entryTxn, e) // again at the next start
	}
	next, ok := t.c.NextTimeout()
	t.mu.Unlock()
	t.s.gate.RUnlock()
	for _, d := range decisions {
		if err := t.decide(ctx, *d); err != nil {
			t.s.log.Warn("transaction not given up", "transaction", d.ID, "err", err)
		}
	}
	if !ok {
		return time.Now().Add(maxNap)
	}
	return next
}

// forget takes a deleted topic out of all transactions.
func (t *transactions) forget(gone *topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Forget(gone.name)
}
