package txn

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// owned returns the transaction if p owns it and it can take more.
func (c *Coordinator) owned(id string, p Producer) (*transaction, error) {
	t, err := c.find(id)
	switch {
	case err != nil:
		return nil, err
	case t.producer.ID != p.ID:
		return nil, kerr.InvalidProducerIDMapping
	case t.producer.Epoch != p.Epoch:
		return nil, kerr.ProducerFenced
	case t.state.prepared():
		return nil, kerr.ConcurrentTransactions
	}
	return t, nil
}

// begin makes the transaction ongoing.
func (c *Coordinator) begin(t *transaction, now time.Time) {
	if t.state != Ongoing {
		t.becomeOngoing(now)
		c.place(t)
	}
	t.updated = now
}

// AddPartitions is AddPartitionsToTxn without verify_only: one transaction, whoever sends it.
func (c *Coordinator) AddPartitions(now time.Time, id string, p Producer, parts []TopicPartition) (Effects, error) {
	t, err := c.owned(id, p)
	if err != nil {
		return Effects{}, err
	}
	c.begin(t, now)
	for _, part := range parts {
		t.partitions[part] = struct{}{}
	}
	return Effects{Save: []Entry{t.entry()}}, nil
}

// VerifyPartitions is AddPartitionsToTxn with verify_only: the error of each partition, nil if it is in the transaction.
func (c *Coordinator) VerifyPartitions(id string, p Producer, parts []TopicPartition) []error {
	t, err := c.owned(id, p)
	errs := make([]error, len(parts))
	for i, part := range parts {
		errs[i] = err
		if err == nil {
			errs[i] = t.verify(part)
		}
	}
	return errs
}

func (t *transaction) verify(part TopicPartition) error {
	if _, ok := t.partitions[part]; !ok || t.state != Ongoing {
		return kerr.TransactionAbortable
	}
	return nil
}

// Join says whether records of the transaction may be written to a partition where it has none yet. implicit is Produce
// 12 and later, which adds the partition; older clients must have added it.
//
// The caller holds the lock of the partition from before the call until the batch is in the log. So a transaction that is
// decided finds every record: either Join comes first and step 1 of Decide waits for the batch, or Join is refused. It
// asks only while Producers.OpenOf has no transaction of this producer.
func (c *Coordinator) Join(now time.Time, id string, p Producer, part TopicPartition, implicit bool) error {
	t, err := c.owned(id, p)
	switch {
	case err != nil:
		return err
	case !implicit:
		return t.verify(part)
	}
	c.begin(t, now)
	t.partitions[part] = struct{}{}
	return nil
}

// AddOffsets is AddOffsetsToTxn.
func (c *Coordinator) AddOffsets(now time.Time, id string, p Producer, group string) (Effects, error) {
	if err := c.JoinGroup(now, id, p, group, true); err != nil {
		return Effects{}, err
	}
	return Effects{Save: []Entry{c.ids[id].entry()}}, nil
}

// JoinGroup says whether offsets of the group may be committed in the transaction. implicit is TxnOffsetCommit 5 and
// later, which adds the group; older clients must have added it.
//
// The caller holds the lock of the group from before the call until the pending offsets are in the journal; the reason is
// that of Join.
func (c *Coordinator) JoinGroup(now time.Time, id string, p Producer, group string, implicit bool) error {
	t, err := c.owned(id, p)
	if err != nil {
		return err
	}
	if _, in := t.groups[group]; in && t.state == Ongoing {
		return nil
	}
	switch {
	case !implicit:
		return kerr.TransactionAbortable
	case t.state == Ongoing && len(t.groups) >= groupsMax:
		return kerr.InvalidRequest
	}
	c.begin(t, now)
	t.groups[group] = struct{}{}
	return nil
}
