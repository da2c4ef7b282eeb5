// Package store keeps what bolts with state remember: tables, windows, sessions and histories, in layers over disk or
// memory, so that it is never ahead of the log (docs/internals/store.md).
//
// A State holds all stores of one task. One goroutine, the writer, uses its views, Mark, Rollback, Observe, Pending,
// Changes, Seal and Abort. Commit, Load, Reset, Snapshot, Checkpoint, Err, Stats, Close and everything of a Reader may be
// called by any goroutine; Commit, Load, Reset and Snapshot wait for each other.
//
// Nothing of an open transaction is on disk, and nothing a State holds may be thought to survive the loss of power: the
// log is the truth, and Checkpoint says from where it must be read again.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a State is made of.
type Options struct {
	Dir   string // of this State alone; "" keeps everything in memory
	Specs []Spec
	// Identity says whose state this is, such as topology, stage and partition. A directory of another identity is
	// refused.
	Identity string
	// Origins says per store what it was made from, such as the id of its changelog topic. A store of another origin, or
	// of another layout, is emptied when the State is opened: its Checkpoint is -1 then.
	Origins map[string]string
	Log     *slog.Logger
}

// State holds all stores of one task.
type State struct {
	opt    Options
	tables []*table // by name
	byName map[string]*table
	views  map[string]any
	reads  arena // for what the writer reads from the base

	// The writer's.
	observed       int64 // stream time of the open transaction
	observedSealed int64 // and of the one before it
	marked         bool
	markObserved   int64
	undo           []undo

	applying sync.Mutex // held by whoever changes the base

	mu           sync.RWMutex
	free         *sync.Cond // of mu: sealed has become nil
	sealed       *sealed    // GUARDED_BY(mu)
	decided      bool       // GUARDED_BY(mu): sealed is being committed
	observedBase int64      // GUARDED_BY(mu)
	closed       bool       // GUARDED_BY(mu)

	err atomic.Pointer[error]
}

// sealed is a transaction that waits for its decision.
type sealed struct {
	layers   []*layer // by table
	observed int64
}

// undo is what a write replaced.
type undo struct {
	layer  *layer
	before item
}

// Open opens the stores of a task, making those that are new.
func Open(opt Options) (*State, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &State{
		opt: opt, byName: map[string]*table{}, views: map[string]any{},
		observed: unknown, observedSealed: unknown, observedBase: unknown,
	}
	s.free = sync.NewCond(&s.mu)
	if opt.Dir != "" {
		return nil, errors.New("open state: stores on disk are not there yet")
	}
	specs := slices.SortedFunc(slices.Values(opt.Specs), func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	for _, spec := range specs {
		if err := s.add(spec); err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
	}
	return s, nil
}

func (s *State) add(spec Spec) error {
	if s.byName[spec.Name] != nil {
		return fmt.Errorf("two stores of the name %q", spec.Name)
	}
	if spec.Kind != KindKeyValue && spec.Retention <= 0 {
		return fmt.Errorf("the %s store %q needs a retention", spec.Kind, spec.Name)
	}
	t := &table{
		state: s, spec: spec, cut: segmentsOf(spec.Retention), keep: spec.Retention.Milliseconds(),
		base: new(memory), floor: unknown, checkpoint: -1,
	}
	t.fresh()
	s.tables = append(s.tables, t)
	s.byName[spec.Name] = t
	s.views[spec.Name] = newView(t, t, t)
	return nil
}

func newView(t *table, r reading, w writing) any {
	v := view{t.spec.Name, r, w}
	switch t.spec.Kind {
	case KindWindow:
		return &windows{spans{view: v, cut: t.cut}}
	case KindSession:
		return &sessions{spans{view: v, cut: t.cut}}
	case KindVersioned:
		return &versions{v}
	default:
		return &keyValue{v}
	}
}

// KeyValue returns the writer's view of a store: what is committed, with the writes of the open transaction. A name or
// kind that the Specs don't have is a mistake in the program, and panics; so do the other views.
func (s *State) KeyValue(name string) KeyValue { return viewOf[KeyValue](s.views, name) }

// Windows is KeyValue for window stores.
func (s *State) Windows(name string) Windows { return viewOf[Windows](s.views, name) }

// Sessions is KeyValue for session stores.
func (s *State) Sessions(name string) Sessions { return viewOf[Sessions](s.views, name) }

// Versions is KeyValue for versioned stores.
func (s *State) Versions(name string) Versions { return viewOf[Versions](s.views, name) }

func viewOf[V any](views map[string]any, name string) V {
	v, ok := views[name].(V)
	if !ok {
		panic(fmt.Sprintf("store: no store %q of the kind asked for (%T)", name, *new(V)))
	}
	return v
}

// Observe tells all stores how far stream time has come: what is past a retention is gone from now on. A time before
// the greatest so far changes nothing. Rollback and Abort take it back. It is kept with what is committed.
func (s *State) Observe(streamTime time.Time) {
	s.observed = max(s.observed, millis(streamTime))
}

// Mark begins what the next Rollback undoes: the work on one record.
func (s *State) Mark() {
	clear(s.undo)
	s.undo = s.undo[:0]
	s.marked, s.markObserved = true, s.observed
}

// Rollback undoes all writes since Mark. Without a Mark in this transaction it panics.
func (s *State) Rollback() {
	if !s.marked {
		panic("store: rollback without a mark")
	}
	for _, u := range slices.Backward(s.undo) {
		u.layer.restore(u.before)
	}
	s.observed = s.markObserved
	s.Mark()
}

// Pending says how large the open transaction is: its entries, and about what memory it takes.
func (s *State) Pending() (entries int, bytes int64) {
	for _, t := range s.tables {
		e, b := t.open.size()
		entries, bytes = entries+e, bytes+b
	}
	return entries, bytes
}

// Changes visits the writes of the open transaction to logged stores: the last value per key, by store and key. The bytes
// may be kept.
func (s *State) Changes(visit func(Change) error) error {
	for _, t := range s.tables {
		if t.spec.Unlogged {
			continue
		}
		for _, it := range t.open.sorted() {
			c := Change{Store: t.spec.Name, Key: it.key, Value: it.value, Time: timeOf(it.at)}
			if err := visit(c); err != nil {
				return fmt.Errorf("log a change of store %q: %w", t.spec.Name, err)
			}
		}
	}
	return nil
}

// Seal fixes the open transaction and begins the next. It waits until the one before is committed or aborted: the
// engine must see to it that one of these happens.
func (s *State) Seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.sealed != nil && s.Err() == nil {
		s.free.Wait()
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
	s.observedSealed = s.observed
	s.unmark()
}

func (s *State) unmark() {
	clear(s.undo)
	s.undo, s.marked = s.undo[:0], false
}

// Commit moves the sealed transaction into the base, with the changelog offsets up to which it is logged (the next ones
// to read): in one atomic batch. It is for the transaction's success only, and the one thing that may follow that:
// between the broker's answer and the call of Commit there must be no Abort. Readers see the transaction when Commit
// begins. After an error the State is of no use; the log has everything.
func (s *State) Commit(next map[string]int64) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	tx, err := s.decide()
	if err != nil {
		return err
	}
	for i, t := range s.tables {
		if err := t.base.write(t.expired(tx.observed), tx.layers[i].sorted()); err != nil {
			s.fail("commit", t.spec.Name, err)
			return s.Err()
		}
	}
	s.settle(tx, next)
	return nil
}

// decide shows the sealed transaction to readers.
func (s *State) decide() (*sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.Err() != nil:
		return nil, s.Err()
	case s.closed:
		return nil, ErrClosed
	case s.sealed == nil:
		return nil, errors.New("commit state: nothing is sealed")
	}
	s.decided, s.observedBase = true, s.sealed.observed
	for i, t := range s.tables {
		t.published = s.sealed.layers[i]
	}
	return s.sealed, nil
}

// settle lets readers see the base again, which has the transaction now.
func (s *State) settle(_ *sealed, next map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tables {
		t.base.publish()
		t.published = nil
		if offset, ok := next[t.spec.Name]; ok {
			t.checkpoint = offset
		}
	}
	s.sealed, s.decided = nil, false
	s.free.Broadcast()
}

// Abort forgets the open transaction, and the sealed one unless it is being committed: then it waits for that.
func (s *State) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.decided && s.Err() == nil {
		s.free.Wait()
	}
	s.observed = s.observedBase
	s.sealed = nil
	s.free.Broadcast()
	for _, t := range s.tables {
		t.sealed = nil
		t.fresh()
	}
	s.unmark()
}

// Checkpoint returns the changelog offset from which a store must be restored; -1 if it has nothing.
func (s *State) Checkpoint(store string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.byName[store]; t != nil {
		return t.checkpoint
	}
	return -1
}

// Err returns the first failed read or write. The State is of no use after it.
func (s *State) Err() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *State) fail(verb, store string, err error) {
	err = fmt.Errorf("%s store %q: %w", verb, store, err)
	s.err.CompareAndSwap(nil, &err)
}

// ErrClosed says that a State was used after Close.
var ErrClosed = errors.New("the state is closed")

// Close ends the State; it waits for a Commit under way. Open and sealed writes are forgotten.
func (s *State) Close() error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
