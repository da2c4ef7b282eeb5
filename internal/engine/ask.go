package engine

import (
	"sync"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/topology"
)

var _ tables.Engine = (*Engine)(nil)

// board is what the workers tell those who ask: which tasks run here, how far they have come, who has the others.
type board struct {
	mu       sync.Mutex
	running  map[unitID]*store.State        // GUARDED_BY(mu)
	restores map[unitID]*restoreProgress    // GUARDED_BY(mu)
	next     map[kafka.TopicPartition]int64 // GUARDED_BY(mu)
	owners   map[string][]tables.Owner      // by name of the stage; GUARDED_BY(mu)
	changed  chan struct{}                  // closed and made anew at every change; GUARDED_BY(mu)
}

func newBoard() *board {
	return &board{
		running: make(map[unitID]*store.State), restores: make(map[unitID]*restoreProgress), next: make(map[kafka.TopicPartition]int64),
		owners: make(map[string][]tables.Owner), changed: make(chan struct{}),
	}
}

// tell changes the board and wakes who waits for that.
func (b *board) tell(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	close(b.changed)
	b.changed = make(chan struct{})
}

// Plan is what runs.
func (e *Engine) Plan() *topology.Plan { return e.plan }

// Changed returns a channel that is closed when a position or an owner changes next.
func (e *Engine) Changed() <-chan struct{} {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	return e.board.changed
}

// Owners says who has each partition of a stage, as far as this process was told.
func (e *Engine) Owners(stage int) []tables.Owner {
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	return e.board.owners[e.plan.Stages[stage].Name]
}

// View lends what is committed of the stores of one task.
func (e *Engine) View(stage int, n int32, stale bool) (tables.View, error) {
	id := unitID{stage, n}
	e.board.mu.Lock()
	running, restoring := e.board.running[id], e.board.restores[id]
	e.board.mu.Unlock()
	if running != nil {
		return tables.View{Stores: running.Reader(), Release: func() {}}, nil
	}
	copied, lag := e.standbys.look(id)
	switch {
	case copied == nil && restoring == nil:
		return tables.View{}, tables.ErrElsewhere
	case !stale:
		return tables.View{}, tables.ErrRestoring
	case copied == nil:
		if copied = e.states.look(id); copied == nil {
			return tables.View{}, tables.ErrRestoring
		}
		lag = &tables.Staleness{Records: restoring.left()}
	}
	return tables.View{Stores: copied.Reader(), Stale: lag, Release: func() {}}, nil
}

// Global lends what is read of a global table.
func (e *Engine) Global(table string) (tables.View, error) { return e.globals.view(table) }

// Position is how far an input partition of a running task has come.
func (e *Engine) Position(stage int, topic string, n int32) (next int64, ok bool) {
	if stage == tables.Global {
		return e.globals.position(topic, n)
	}
	e.board.mu.Lock()
	defer e.board.mu.Unlock()
	next, ok = e.board.next[kafka.TopicPartition{Topic: topic, Partition: n}]
	return next, ok
}

// note puts the committed offsets of a session on the board; drop takes those of a partition away.
func (b *board) note(marks kafka.Offsets) {
	b.tell(func() {
		for topic, partitions := range marks {
			for n, at := range partitions {
				b.next[kafka.TopicPartition{Topic: topic, Partition: n}] = at
			}
		}
	})
}

func (b *board) drop(id partition) {
	b.tell(func() { delete(b.next, kafka.TopicPartition{Topic: id.topic, Partition: id.n}) })
}
