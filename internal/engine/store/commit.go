package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Seal fixes the open transaction and begins the next. It waits until the one before is committed or aborted; the engine
// must see to it that one of these happens.
func (s *State) Seal() {
	s.sweep()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.sealed != nil && s.Err() == nil {
		s.change.Wait()
	}
	if s.Err() != nil {
		return
	}
	s.sealed = &sealed{observed: s.observed}
	for _, t := range s.tables {
		s.sealed.layers = append(s.sealed.layers, t.open)
		t.sealed = t.open
		t.fresh()
	}
	s.forgetMarks()
}

func (s *State) forgetMarks() {
	clear(s.undo)
	s.undo, s.marked, s.swept = s.undo[:0], false, false
}

// Commit moves the sealed transaction into the ground, with the changelog offsets up to which it is logged (the next ones
// to read), in one atomic batch. Readers see the transaction when Commit begins.
//
// It may run in a goroutine of its own, while the next transaction is written. But Abort must not be called between the
// broker's answer and the beginning of Commit: it could not know that the sealed transaction is decided. After an error
// the State is of no use; the log has everything.
func (s *State) Commit(next map[string]int64) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	tx, err := s.decide()
	if err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	var plan []*update
	for i, t := range s.tables {
		plan = append(plan, t.planCommit(tx, tx.layers[i], next))
	}
	return s.apply("commit", plan, func() {
		for _, t := range s.tables {
			t.published = nil
		}
		s.sealed, s.decided = nil, false
	})
}

// decide shows the sealed transaction to readers.
func (s *State) decide() (*sealed, error) {
	s.view.Lock()
	defer s.view.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.Err() != nil:
		return nil, s.Err()
	case s.closed:
		return nil, ErrClosed
	case s.sealed == nil:
		return nil, errors.New("nothing is sealed")
	}
	s.decided, s.observedGround = true, max(s.observedGround, s.sealed.observed)
	for i, t := range s.tables {
		t.published = s.sealed.layers[i]
	}
	return s.sealed, nil
}

// update is what happens to one store in a batch.
type update struct {
	table *table
	clear bool   // first of all
	below []byte // then all keys less than this go; nil: none
	items []*item
	after record // what is noted of the store
}

func (t *table) planCommit(tx *sealed, l *layer, next map[string]int64) *update {
	u := &update{table: t, after: t.record, items: l.sorted()}
	if offset, ok := next[t.spec.Name]; ok {
		u.after.checkpoint = offset
	}
	if t.keep > 0 {
		u.after.observed = max(t.record.observed, tx.observed)
	}
	u.expire(t.horizonAt(tx.observed))
	return u
}

// expire removes the segments that are gone, also from what is about to be written.
func (u *update) expire(horizon int64) {
	t := u.table
	if horizon == unknown || t.spec.Kind != KindWindow && t.spec.Kind != KindSession {
		return
	}
	segment := t.cut.start(horizon)
	if segment > t.expired {
		u.below = appendTime(slices.Clone(t.number), segment)
		t.expired = segment
	}
	first, _ := slices.BinarySearchFunc(u.items, u.below, func(it *item, key []byte) int { return bytes.Compare(it.key, key) })
	u.items = u.items[first:]
}

// apply writes updates in one atomic batch, then shows them to readers. The caller holds applying; then
// runs under view and mu.
func (s *State) apply(verb string, plan []*update, then func()) error {
	if s.disk != nil {
		s.disk.begin(batchSize(plan))
	}
	for _, u := range plan {
		if err := u.write(s.disk); err != nil {
			return s.fail(verb, u.table.spec.Name, err)
		}
	}
	if s.disk != nil {
		if err := s.disk.end(); err != nil {
			return s.failWith(fmt.Errorf("%s state %q: %w", verb, s.opt.Dir, damage(s.opt.Dir, err)))
		}
	}
	s.view.Lock()
	defer s.view.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range plan {
		u.table.ground.publish()
		u.table.record = u.after
	}
	then()
	s.change.Broadcast()
	return nil
}

// batchSize is about how many bytes the batch will have, so that it need not grow.
func batchSize(plan []*update) int {
	n := 1 << 10
	for _, u := range plan {
		for _, it := range u.items {
			n += len(it.key) + len(it.value) + 16
		}
	}
	return n
}

func (u *update) write(d *disk) error {
	if u.clear {
		if err := u.table.ground.clear(); err != nil {
			return err
		}
	}
	if err := u.table.ground.write(u.below, u.items); err != nil {
		return err
	}
	if _, ok := u.table.ground.(*diskTable); !ok || u.after == u.table.record {
		return nil
	}
	if u.after.current != u.table.record.current {
		if err := d.noteCurrent(u.table.spec.Name, u.after.current); err != nil {
			return err
		}
	}
	return d.note(u.table.spec.Name, u.after)
}

// Abort forgets the open transaction, and the sealed one unless it is being committed: then it waits for that.
func (s *State) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.decided && s.Err() == nil {
		s.change.Wait()
	}
	s.observed = s.observedGround
	s.sealed = nil
	s.change.Broadcast()
	for _, t := range s.tables {
		t.sealed = nil
		t.fresh()
	}
	s.forgetMarks()
}

// Close ends the State. It waits for a Commit and for reads of queries under way, and must be called when the writer has
// stopped. Open and sealed writes are forgotten, and the memory of stores in memory is free, whoever still has the State.
func (s *State) Close() error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if !s.endReads() {
		return nil
	}
	for _, t := range s.tables {
		t.free()
	}
	if s.disk == nil {
		return nil
	}
	if err := s.disk.close(); err != nil {
		return fmt.Errorf("close state %q: %w", s.opt.Dir, err)
	}
	return nil
}

// endReads lets no further read begin and waits for those under way. It says whether it was the first to do so.
func (s *State) endReads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.change.Broadcast()
	for s.readers > 0 {
		s.change.Wait()
	}
	return true
}
