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
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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
	Caches  *Caches // of all States of the process; nil: one of its own
	FS      vfs.FS  // nil: the system's files
	Log     *slog.Logger
}

// State holds all stores of one task.
type State struct {
	opt    Options
	tables []*table // by name
	byName map[string]*table
	views  map[string]any
	reads  arena // for what the writer reads from the ground

	// The writer's.
	observed     int64 // stream time of the open transaction
	marked       bool
	markObserved int64
	undo         []undo
	large        bool // since Mark an entry above the limit of its store was written
	swept        bool // in the open transaction

	disk *disk // nil if everything is in memory

	applying sync.Mutex // held by whoever changes the ground

	// view is held for writing while the layer that readers see changes, and for reading by who must see layer and
	// ground of one moment. Pebble may be called under it, and may call back (damaged), which takes mu: so nothing of
	// Pebble is called under mu.
	view sync.RWMutex // taken after applying and before mu

	mu             sync.Mutex
	change         *sync.Cond // of mu: sealed has become nil, readers 0, or the State has failed
	sealed         *sealed    // GUARDED_BY(mu)
	decided        bool       // GUARDED_BY(mu): sealed is being committed
	observedGround int64      // GUARDED_BY(mu): stream time as readers see it
	readers        int        // GUARDED_BY(mu): reads under way
	closed         bool       // GUARDED_BY(mu)

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

// Resume tells how far stream time had come when the task's offsets were committed. It is for a task that begins, best
// before Load: unlike what Observe says it is no part of a transaction.
func (s *State) Resume(streamTime time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observedGround = max(s.observedGround, millis(streamTime))
	s.observed = max(s.observed, s.observedGround)
}

// Mark begins what the next Rollback undoes: the work on one record.
func (s *State) Mark() {
	clear(s.undo)
	s.undo = s.undo[:0]
	s.marked, s.markObserved, s.large = true, s.observed, false
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

// Changes visits the writes of the open transaction to logged stores: the last value per key, by store and key. Before that
// it forgets a few entries that are gone. The bytes may be kept.
func (s *State) Changes(visit func(Change) error) error {
	s.sweep()
	for _, t := range s.tables {
		if t.spec.Unlogged {
			continue
		}
		for _, it := range t.open.sort() {
			c := Change{Store: t.spec.Name, Key: it.user(), Value: it.value, Time: timeOf(it.at)}
			if err := visit(c); err != nil {
				return fmt.Errorf("log a change of store %q: %w", t.spec.Name, err)
			}
		}
	}
	return nil
}

// Checkpoint returns the changelog offset from which a store must be restored; -1 if it has nothing.
func (s *State) Checkpoint(store string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byName[store]; t != nil {
		return t.record.checkpoint
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

func (s *State) fail(verb, store string, err error) error {
	return s.failWith(fmt.Errorf("%s store %q: %w", verb, store, damage(s.opt.Dir, err)))
}

// failWith keeps the first error, wakes everybody who waits, and returns what is kept.
func (s *State) failWith(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err.CompareAndSwap(nil, &err)
	s.change.Broadcast()
	return s.Err()
}
