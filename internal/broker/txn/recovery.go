package txn

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Missing is a marker that a partition lacks. It is written before the partition takes anything else.
type Missing struct {
	TopicPartition
	First            int64 // offset of the open transaction that it ends
	ProducerID       int64
	Epoch            int16
	CoordinatorEpoch int32
	Commit           bool
	// ID is the transactional id; empty when the coordinator does not know the producer.
	ID string
	// Orphan : nothing was decided about the transaction, and nobody is left to do so. It is given up.
	Orphan bool
}

// decidedAt is where a decision is looked for.
type decidedAt struct {
	TopicPartition
	producer int64
}

// RestoreReserved takes what Effects.Reserve saved.
func (c *Coordinator) RestoreReserved(below int64) {
	c.next = max(c.next, below)
	c.reserved = max(c.reserved, below)
}

// Restore takes a saved entry. A start calls Restore and RestoreDecide in the order of the journal, then RestoreOpen for
// every open transaction of every partition and RestorePending for every group with offsets that no decision took, and
// last Recover.
func (c *Coordinator) Restore(e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	if s, _ := ParseState(e.State); s.prepared() {
		return fmt.Errorf("restore transactional id %q: state %v without its decision", e.ID, s)
	}
	c.restore(e)
	return nil
}

// RestoreDecide takes a decision. It stands whatever became of its markers. The caller applies or drops the offsets that
// are pending in the groups of the decision when it replays it.
func (c *Coordinator) RestoreDecide(d Decide) error {
	if err := d.check(); err != nil {
		return err
	}
	if !d.Owed {
		c.restore(d.After)
	}
	c.replayed = append(c.replayed, &d)
	for _, p := range d.Partitions {
		if p.First >= 0 {
			at := decidedAt{p.TopicPartition, d.ProducerID}
			c.decided[at] = append(c.decided[at], &d)
		}
	}
	return nil
}

// restore takes the place of what is known of the id.
func (c *Coordinator) restore(e Entry) {
	if t, ok := c.ids[e.ID]; ok {
		c.unplace(t)
		delete(c.producers, t.producer.ID)
		delete(c.ids, e.ID)
	}
	c.next = max(c.next, e.ProducerID+1, e.PreviousID+1, e.NextID+1)
	t := &transaction{id: e.ID, standing: e.standing(), early: NoProducer, deadline: -1}
	c.place(t)
}

// RestoreOpen takes an open transaction that a partition has. If a decision names it, its marker is missing. Otherwise it
// belongs to the transaction that its producer has open, which is begun again if the journal did not know of it; or it is
// an orphan.
func (c *Coordinator) RestoreOpen(p TopicPartition, o OpenTransaction) {
	if d, ok := c.decisionOf(p, o); ok {
		c.owed = append(c.owed, owed{p, d})
		c.missing = append(c.missing, Missing{
			TopicPartition: p, First: o.First, ProducerID: o.ProducerID, Epoch: max(d.Epoch, o.Epoch),
			CoordinatorEpoch: d.CoordinatorEpoch, Commit: d.Commit, ID: d.ID,
		})
		return
	}
	t := c.producers[o.ProducerID]
	if !c.reopen(t, Producer{ID: o.ProducerID, Epoch: o.Epoch}, o.Since) {
		c.orphan(p, o, t)
		return
	}
	t.partitions[p] = struct{}{}
}

// decisionOf finds the decision that names the transaction. The first offset tells the transactions of one producer
// apart; where the epoch grows with each of them, it does, too.
func (c *Coordinator) decisionOf(p TopicPartition, o OpenTransaction) (*Decide, bool) {
	for _, d := range c.decided[decidedAt{p, o.ProducerID}] {
		if d.names(p, o) {
			return d, true
		}
	}
	return nil, false
}

func (d *Decide) names(p TopicPartition, o OpenTransaction) bool {
	if o.ProducerID != d.ProducerID || o.Epoch > d.Epoch || (d.Bumped && o.Epoch == d.Epoch) {
		return false
	}
	return slices.Contains(d.Partitions, DecidedPartition{TopicPartition: p, First: o.First})
}

// RestorePending takes offsets that wait in a group for the end of a transaction, after the decisions in the journal took
// theirs. If it says false, nobody can decide about them any more: they are dropped.
func (c *Coordinator) RestorePending(group string, p Producer, since time.Time) bool {
	t := c.producers[p.ID]
	if !c.reopen(t, p, since) {
		return false
	}
	t.groups[group] = struct{}{}
	return true
}

// reopen sees to it that the transaction of p is ongoing, if p is the current producer of t. A transaction begins only
// when the one before it is complete, so what follows a decision also proves that the decision was carried out.
func (c *Coordinator) reopen(t *transaction, p Producer, since time.Time) bool {
	if t == nil || t.producer != p || t.nextID >= 0 {
		return false
	}
	if t.state.prepared() {
		t.becomeComplete()
	}
	if t.state != Ongoing {
		t.becomeOngoing(since)
		c.place(t)
	}
	return true
}

// orphan gives up a transaction that nobody can end. t is the transactional id that has its producer, if there is one.
func (c *Coordinator) orphan(p TopicPartition, o OpenTransaction, t *transaction) {
	m := Missing{
		TopicPartition: p, First: o.First, ProducerID: o.ProducerID, Epoch: o.Epoch,
		CoordinatorEpoch: c.o.CoordinatorEpoch, Orphan: true,
	}
	if t != nil {
		m.ID = t.id
		m.Epoch = max(o.Epoch, t.producer.Epoch)
	}
	c.missing = append(c.missing, m)
}

// RestoreClosed says that a partition cannot be read now. Decisions that name it are kept for a later start.
func (c *Coordinator) RestoreClosed(p TopicPartition) { c.closed[p] = true }

// Recover ends the start. It returns the markers that are missing, sorted. A partition of the list takes no records
// before its marker is in the log and synced, which Marked then says. Decisions count as carried out from here on, and
// the index of them is dropped.
//
// The caller writes a checkpoint of the journal before it serves anybody. Without it a later start could take a new
// transaction, which begins at an offset whose records a loss of power took away, for the one that an old decision names.
func (c *Coordinator) Recover(now time.Time) []Missing {
	missing := c.missing
	c.outrun(missing)
	c.keepForClosed()
	c.decided, c.replayed, c.missing, c.closed = nil, nil, nil, nil
	for _, id := range slices.Sorted(maps.Keys(c.ids)) {
		c.settle(c.ids[id], now)
	}
	c.sortResting()
	slices.SortFunc(missing, compareMissing)
	return missing
}

// Marked says that a missing marker is in its partition and synced.
func (c *Coordinator) Marked(m Missing) {
	c.owed = slices.DeleteFunc(c.owed, func(o owed) bool {
		return o.partition == m.TopicPartition && o.decide.names(m.TopicPartition, m.ended())
	})
}

// Owe keeps a decision for all of its partitions, each until Marked or Settled says that its marker is there for good: a
// partition that is fenced before gets it from a later start.
func (c *Coordinator) Owe(d Decide) {
	for _, p := range d.Partitions {
		if p.First >= 0 {
			c.owed = append(c.owed, owed{p.TopicPartition, &d})
		}
	}
}

// Settled forgets what is owed to partitions of which everything written is synced, or that are gone.
func (c *Coordinator) Settled(synced func(TopicPartition) bool) {
	c.owed = slices.DeleteFunc(c.owed, func(o owed) bool { return synced(o.partition) })
}

// ended is what a decision has to name to be about m. Of the epoch only the bound matters.
func (m Missing) ended() OpenTransaction {
	return OpenTransaction{ProducerID: m.ProducerID, Epoch: -1, First: m.First}
}

// owed is a decision whose marker a partition may not have for good.
type owed struct {
	partition TopicPartition
	decide    *Decide
}

// keepForClosed keeps what partitions that cannot be read may not know.
func (c *Coordinator) keepForClosed() {
	for _, d := range c.replayed {
		for _, p := range d.Partitions {
			if c.closed[p.TopicPartition] && p.First >= 0 {
				c.owed = append(c.owed, owed{p.TopicPartition, d})
			}
		}
	}
}

// outrun raises producers above the epochs of orphans, which only a journal that lost synced entries can lag behind.
func (c *Coordinator) outrun(missing []Missing) {
	for _, m := range missing {
		if t := c.producers[m.ProducerID]; t != nil && m.Epoch > t.producer.Epoch {
			t.producer = Producer{ID: m.ProducerID, Epoch: m.Epoch}.raised()
			t.lastEpoch = -1
		}
		c.next = max(c.next, m.ProducerID+1)
	}
}

// settle gives an id the state that it has once all missing markers are written.
func (c *Coordinator) settle(t *transaction, now time.Time) {
	c.unplace(t)
	if t.state.prepared() {
		delete(c.producers, t.producer.ID)
		t.becomeComplete()
	}
	if t.state == Ongoing && t.start.IsZero() {
		t.start = now
	}
	c.place(t)
}

// sortResting puts the resting ids in the order in which they expire.
func (c *Coordinator) sortResting() {
	all := make([]*transaction, 0, c.resting.Len())
	for e := c.resting.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*transaction))
	}
	slices.SortStableFunc(all, func(a, b *transaction) int { return a.updated.Compare(b.updated) })
	for _, t := range all {
		c.resting.MoveToBack(t.rest)
	}
}

func compareMissing(a, b Missing) int {
	if n := comparePartitions(a.TopicPartition, b.TopicPartition); n != 0 {
		return n
	}
	return int(min(max(a.First-b.First, -1), 1))
}

// Checkpoint is what a checkpoint of the journal keeps, in any order: reserved producer ids, entries, and the decisions
// that some partition may not know of yet. The caller syncs every partition first.
func (c *Coordinator) Checkpoint() (reserved int64, entries []Entry, decisions []Decide) {
	for _, o := range c.owed {
		decisions = append(decisions, o.decide.only(o.partition))
	}
	for _, id := range slices.Sorted(maps.Keys(c.ids)) {
		t := c.ids[id]
		switch {
		case t.written:
			decisions = append(decisions, *t.decide)
		case t.before != nil:
			entries = append(entries, t.before.entry(id))
		default:
			entries = append(entries, t.entry())
		}
	}
	return max(c.reserved, c.offered, c.next), entries, decisions
}

// only is the decision for one partition.
func (d Decide) only(p TopicPartition) Decide {
	d.Partitions = slices.DeleteFunc(slices.Clone(d.Partitions), func(q DecidedPartition) bool { return q.TopicPartition != p })
	d.Groups, d.Owed = nil, true
	return d
}
