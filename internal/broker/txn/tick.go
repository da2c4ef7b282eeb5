package txn

import (
	"slices"
	"time"
)

// timedOutAtOnce bounds the transactions that one Tick gives up, and the ids that it forgets; the next Tick goes on.
const timedOutAtOnce = 1000

// Tick gives up transactions that took longer than their client asked for, fencing the client, and forgets ids that
// rested for too long. The entries are to be saved, in any order and without haste.
func (c *Coordinator) Tick(now time.Time) ([]*Decide, []Entry) {
	return c.giveUp(now), c.expire(now)
}

func (c *Coordinator) giveUp(now time.Time) []*Decide {
	var all []*Decide
	for len(c.deadlines) > 0 && len(all) < timedOutAtOnce && !c.deadlines[0].due().After(now) {
		all = append(all, c.fence(c.deadlines[0], now))
	}
	return all
}

func (c *Coordinator) expire(now time.Time) []Entry {
	var all []Entry
	for e := c.resting.Front(); e != nil && len(all) < timedOutAtOnce; e = c.resting.Front() {
		t := e.Value.(*transaction)
		if now.Before(c.expiry(t)) {
			break
		}
		all = append(all, c.kill(t, now))
	}
	return all
}

func (c *Coordinator) expiry(t *transaction) time.Time { return t.updated.Add(c.o.Expiration) }

// NextTimeout is when Tick has something to do next, if nothing changes before.
func (c *Coordinator) NextTimeout() (time.Time, bool) {
	var at time.Time
	if len(c.deadlines) > 0 {
		at = c.deadlines[0].due()
	}
	if e := c.resting.Front(); e != nil {
		if expiry := c.expiry(e.Value.(*transaction)); at.IsZero() || expiry.Before(at) {
			at = expiry
		}
	}
	return at, !at.IsZero()
}

// Forget takes a deleted topic out of all transactions.
func (c *Coordinator) Forget(topic string) {
	for _, t := range c.ids {
		t.forget(topic)
		if t.before != nil {
			t.before.forget(topic)
		}
		if t.decide != nil {
			t.decide = t.decide.without(topic)
		}
	}
	c.owed = slices.DeleteFunc(c.owed, func(o owed) bool { return o.partition.Topic == topic })
}

func (s *standing) forget(topic string) {
	for p := range s.partitions {
		if p.Topic == topic {
			delete(s.partitions, p)
		}
	}
}

// without is the decision for what is left.
func (d Decide) without(topic string) *Decide {
	left := make([]DecidedPartition, 0, len(d.Partitions))
	for _, p := range d.Partitions {
		if p.Topic != topic {
			left = append(left, p)
		}
	}
	d.Partitions = left
	return &d
}
