package join

import (
	"bytes"
	"fmt"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// ForeignKeyConfig joins each entry of a left table with the entry of a right table whose key is derived from the left
// value: many left entries may share one right entry. The result is a table by the left key. Three processors on two hops
// do it (see docs/internals/joins.md):
//
//	left ─┬─▶ subscribe ─[by foreign key]─▶ subscriptions ─[by left key]─▶ resolve ─▶ result
//	      │                                   ▲                              ▲
//	      │                          right ───┘ (input 1)                    │
//	      └──────────────────────────────────────────────────────────────────┘ (input 0; answers are input 1)
type ForeignKeyConfig struct {
	Left, Right Source
	Type        Type // Inner or Left
	// Key derives the foreign key from a left entry; nil: it has none.
	Key     func(key, value []byte) ([]byte, error)
	Join    Joiner
	Format  record.Format // of what Join returns
	Memory  bool          // the stores are kept in memory
	Dropped Dropped
}

// SubscriptionStores are the stores of the bolt of the second processor.
func (c ForeignKeyConfig) SubscriptionStores() []store.Spec {
	return []store.Spec{{Kind: store.KindKeyValue, Memory: c.Memory}}
}

// SubscriptionReads are the stores of other bolts that the second processor reads.
func (c ForeignKeyConfig) SubscriptionReads() []string { return []string{c.Right.Store} }

// ResolveStores are the stores of the bolt of the third processor: the result.
func (c ForeignKeyConfig) ResolveStores() []store.Spec {
	return []store.Spec{{Kind: store.KindKeyValue, Memory: c.Memory}}
}

// ResolveReads are the stores of other bolts that the third processor reads.
func (c ForeignKeyConfig) ResolveReads() []string { return []string{c.Left.Store} }

// NewSubscribe makes the first processor: it turns changes of the left table into subscriptions by foreign key. It keeps
// nothing.
func NewSubscribe(c ForeignKeyConfig) processor.Processor { return &subscriber{cfg: c} }

type subscriber struct {
	losses
	cfg ForeignKeyConfig
	c   processor.Context
}

// Open implements processor.Processor.
func (s *subscriber) Open(c processor.Context) error {
	s.c = c
	s.tell(c, s.cfg.Dropped)
	return nil
}

// Process implements processor.Processor.
func (s *subscriber) Process(_ int, r *record.Record) error {
	if r.Key == nil {
		s.lose(NoKey)
		return nil
	}
	before, err := s.cfg.foreignKey(r.Key, r.Old)
	if err != nil {
		return err
	}
	after, err := s.cfg.foreignKey(r.Key, r.Value)
	if err != nil {
		return err
	}
	if before != nil && (after == nil || !bytes.Equal(before, after)) {
		s.send(r, before, subscription{op: unsubscribe, key: r.Key})
	}
	switch {
	case after != nil:
		s.send(r, after, subscription{op: subscribe, sum: sumOf(r.Value), key: r.Key})
	case r.Value != nil && s.cfg.Type == Inner:
		s.lose(NoForeignKey)
	}
	return nil
}

func (c ForeignKeyConfig) foreignKey(key, value []byte) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	return c.Key(key, value)
}

func (s *subscriber) send(r *record.Record, foreign []byte, sub subscription) {
	s.c.Emit(0, message(r, foreign, sub.encode(), r.Time))
}

// message is a record between the parts of a join, caused by another record.
func message(cause *record.Record, key, value []byte, at time.Time) *record.Record {
	m := cause.Clone()
	m.Key, m.Value, m.Old, m.Time, m.Format = key, value, nil, at, record.Raw
	return m
}

// NewSubscriptions makes the second processor. It runs where the right table is: input 0 is the subscriptions, which it
// keeps and answers, input 1 the changes of the right table, for which it answers everyone who subscribed.
func NewSubscriptions(c ForeignKeyConfig) processor.Processor { return &subscriptions{cfg: c} }

type subscriptions struct {
	losses
	cfg   ForeignKeyConfig
	c     processor.Context
	known store.KeyValue // subscriptionKey to sum
	right reader
}

// Open implements processor.Processor.
func (s *subscriptions) Open(c processor.Context) error {
	s.c, s.right = c, s.cfg.Right.open(c)
	s.tell(c, s.cfg.Dropped)
	s.known = c.KeyValue(store.NameOf(c.Bolt(), ""))
	return nil
}

// Process implements processor.Processor.
func (s *subscriptions) Process(input int, r *record.Record) error {
	if r.Key == nil {
		s.lose(NoKey)
		return nil
	}
	if input == rightSide {
		return s.change(r)
	}
	return s.subscription(r)
}

func (s *subscriptions) subscription(r *record.Record) error {
	sub, err := decodeSubscription(r.Value)
	if err != nil {
		return err
	}
	at := subscriptionKey(r.Key, sub.key)
	if sub.op == unsubscribe {
		s.known.Delete(at, r.Time)
		return nil
	}
	s.known.Put(at, store.Entry{Value: sub.sum[:], Time: r.Time})
	right, err := s.right.latest(r.Key)
	if err != nil {
		return err
	}
	s.c.Emit(0, message(r, sub.key, answer{sub.sum, right.Value}.encode(), later(r.Time, right.Time)))
	return nil
}

// change answers everyone who subscribed to a key of the right table.
func (s *subscriptions) change(r *record.Record) error {
	if r.Value == nil && r.Old == nil {
		return nil
	}
	prefix := subscriptionPrefix(r.Key, 0)
	for at, e := range s.known.Prefix(prefix) {
		a := answer{value: r.Value}
		if copy(a.sum[:], e.Value) != len(a.sum) {
			return fmt.Errorf("read subscription of %q: %d bytes, want %d", at[len(prefix):], len(e.Value), len(a.sum))
		}
		s.c.Emit(0, message(r, at[len(prefix):], a.encode(), later(r.Time, e.Time)))
	}
	return nil
}

// NewResolve makes the third processor. It runs where the left table is: input 0 is the changes of the left table, input
// 1 the answers. It keeps the result, so that each change of it says what was before, and says nothing where nothing
// changes hands.
func NewResolve(c ForeignKeyConfig) processor.Processor { return &resolver{cfg: c} }

type resolver struct {
	losses
	cfg     ForeignKeyConfig
	c       processor.Context
	left    reader
	results store.KeyValue
}

// Open implements processor.Processor.
func (j *resolver) Open(c processor.Context) error {
	j.c, j.left = c, j.cfg.Left.open(c)
	j.tell(c, j.cfg.Dropped)
	j.results = c.KeyValue(store.NameOf(c.Bolt(), ""))
	return nil
}

// Process implements processor.Processor.
func (j *resolver) Process(input int, r *record.Record) error {
	switch {
	case r.Key == nil:
		j.lose(NoKey)
		return nil
	case input == leftSide:
		return j.change(r)
	}
	return j.answer(r)
}

// change settles at once what needs no answer: a left entry that is gone, or that has no foreign key. Anything else waits
// for the answer to the subscription.
func (j *resolver) change(r *record.Record) error {
	foreign, err := j.cfg.foreignKey(r.Key, r.Value)
	if err != nil || foreign != nil {
		return err
	}
	return j.settle(r, r.Value, nil)
}

// answer settles what the left entry, as it is now, asked for. An answer to a value that has been replaced since is
// dropped: with the value of another foreign key it would make a result that never was true, and the answer to the
// present value is on its way.
func (j *resolver) answer(r *record.Record) error {
	a, err := decodeAnswer(r.Value)
	if err != nil {
		return err
	}
	left, err := j.left.latest(r.Key)
	if err != nil {
		return err
	}
	if left.Value == nil || sumOf(left.Value) != a.sum {
		j.lose(Stale)
		return nil
	}
	return j.settle(r, left.Value, a.value)
}

// settle makes a result the present one. Its time is the record's: an answer has the later time of both sides.
func (j *resolver) settle(r *record.Record, left, right []byte) error {
	var result []byte
	var err error
	if left != nil && (right != nil || j.cfg.Type != Inner) {
		if result, err = j.cfg.Join(r.Key, left, right); err != nil {
			return err
		}
	}
	old := replace(j.results, r.Key, store.Entry{Value: result, Time: r.Time})
	if result == nil && old == nil {
		return nil
	}
	r.Value, r.Old, r.Format = result, old, j.cfg.Format
	j.c.Emit(0, r)
	return nil
}
