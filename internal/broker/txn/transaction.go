package txn

import (
	"container/list"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// State is where a transactional id stands.
//
//	                       Join, AddPartitions, AddOffsets
//	            ┌─────────────────────────────────────────────────────────┐
//	            │                                                         │
//	InitProducerId ─▶ Empty ──Join, Add…──▶ Ongoing ──EndTxn commit──▶ PrepareCommit ──Decided──▶ CompleteCommit
//	                   │ ▲                  ▲  │ ▲                        │
//	                   │ │                  │  │ └──────Undecided─────────┤
//	                   │ └─InitProducerId───┼──┼──────────────────────────┼──── CompleteCommit, CompleteAbort
//	                   │                    │  │                          │
//	                   │      Join, Add…    │  └─EndTxn abort, timeout, ──▶ PrepareAbort ──Decided──▶ CompleteAbort
//	                   │                    │    InitProducerId of another
//	                   │                    └── CompleteCommit, CompleteAbort
//	                   └─EndTxn abort, epoch grows with every transaction ──▶ PrepareAbort
//
//	Empty, CompleteCommit, CompleteAbort ──idle for too long──▶ Dead
type State uint8

const (
	// Empty : the producer was initialised and has not begun a transaction. Next: Ongoing, PrepareAbort, Empty, Dead.
	Empty State = iota + 1
	// Ongoing : partitions or groups belong to the transaction, and it has a deadline. Next: PrepareCommit, PrepareAbort.
	Ongoing
	// PrepareCommit : the decision was handed out and may or may not be durable; nobody can join. Next: CompleteCommit when
	// all is done, or back when the decision could not be written.
	PrepareCommit
	// PrepareAbort : as PrepareCommit. Next: CompleteAbort, or back.
	PrepareAbort
	// CompleteCommit : every marker of the last transaction is written. Next: Ongoing, PrepareAbort, Empty, Dead.
	CompleteCommit
	// CompleteAbort : as CompleteCommit.
	CompleteAbort
	// Dead : the id is forgotten. Final.
	Dead
)

// stateNames are Kafka's, by State.
var stateNames = [...]string{"", "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead"}

// String is Kafka's name of the state.
func (s State) String() string { return stateNames[s] }

// ParseState is the state of that name.
func ParseState(name string) (State, bool) {
	i := slices.Index(stateNames[:], name)
	return State(max(i, 0)), i > 0
}

// prepared says that a decision is on its way.
func (s State) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// resting says that no transaction is there to end.
func (s State) resting() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// Producer is a producer id with its epoch.
type Producer struct {
	ID    int64
	Epoch int16
}

// NoProducer stands for none, as in a request that names no producer.
var NoProducer = Producer{ID: -1, Epoch: -1}

// epochLast is the last epoch that a client is given. The one after it is for the marker that ends its transaction.
const epochLast = math.MaxInt16 - 1

// exhausted says that the next step needs another producer id.
func (p Producer) exhausted() bool { return p.Epoch >= epochLast }

// raised is the producer one epoch later, which never passes the largest.
func (p Producer) raised() Producer {
	if p.Epoch < math.MaxInt16 {
		p.Epoch++
	}
	return p
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

func (p TopicPartition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// transaction is one transactional id. Its state moves only by the become functions in this file.
type transaction struct {
	standing
	id      string
	before  *standing // while prepared: what Undecided goes back to
	decide  *Decide   // while prepared: what was handed out
	written bool      // while prepared: the decision is in the journal, its first offsets known

	early Producer // whose end of nothing was put off, see putOff; NoProducer: nobody's

	deadline int           // place in the heap of deadlines while Ongoing, -1: in none
	rest     *list.Element // place among the resting ids while resting, nil: in none
}

// standing is what an id is, apart from where it is kept.
type standing struct {
	state      State
	producer   Producer
	lastEpoch  int16 // the epoch before, which the owner may still name when an answer got lost; -1: nobody may
	previousID int64 // the producer id before this one, -1: none
	nextID     int64 // while prepared at the last epoch: the producer id that comes with the end, -1: none
	timeout    time.Duration
	partitions map[TopicPartition]struct{}
	groups     map[string]struct{}
	start      time.Time // of the open transaction; zero: none
	updated    time.Time
}

// copied is the standing with maps of its own.
func (s standing) copied() *standing {
	s.partitions, s.groups = maps.Clone(s.partitions), maps.Clone(s.groups)
	return &s
}

// clear leaves nothing in the transaction.
func (s *standing) clear() {
	s.partitions, s.groups, s.start = map[TopicPartition]struct{}{}, map[string]struct{}{}, time.Time{}
}

// becomeEmpty gives the id to a producer.
func (t *transaction) becomeEmpty(p Producer, lastEpoch int16, timeout time.Duration, now time.Time) {
	t.from(Empty, CompleteCommit, CompleteAbort)
	if p.ID != t.producer.ID {
		t.previousID = t.producer.ID
	}
	t.state, t.producer, t.lastEpoch, t.timeout, t.updated = Empty, p, lastEpoch, timeout, now
	t.clear()
}

// becomeOngoing begins a transaction.
func (t *transaction) becomeOngoing(now time.Time) {
	t.from(Empty, CompleteCommit, CompleteAbort)
	t.state, t.start, t.updated = Ongoing, now, now
}

// becomePrepareCommit decides for the records. Markers carry marker.
func (t *transaction) becomePrepareCommit(marker Producer, lastEpoch int16, nextID int64, now time.Time) {
	t.from(Ongoing)
	t.prepare(PrepareCommit, marker, lastEpoch, nextID, now)
}

// becomePrepareAbort decides against the records, of which there may be none.
func (t *transaction) becomePrepareAbort(marker Producer, lastEpoch int16, nextID int64, now time.Time) {
	t.from(Ongoing, Empty, CompleteCommit, CompleteAbort)
	if t.state != Ongoing {
		t.clear()
	}
	t.prepare(PrepareAbort, marker, lastEpoch, nextID, now)
}

func (t *transaction) prepare(s State, marker Producer, lastEpoch int16, nextID int64, now time.Time) {
	t.before = t.copied()
	if t.state != Ongoing {
		t.start = now
	}
	t.state, t.producer, t.lastEpoch, t.nextID, t.updated = s, marker, lastEpoch, nextID, now
}

// becomeComplete follows the last marker.
func (t *transaction) becomeComplete() {
	t.from(PrepareCommit, PrepareAbort)
	if t.state == PrepareCommit {
		t.state = CompleteCommit
	} else {
		t.state = CompleteAbort
	}
	if t.nextID >= 0 {
		t.previousID, t.producer, t.nextID = t.producer.ID, Producer{ID: t.nextID}, -1
	}
	t.before, t.decide, t.written = nil, nil, false
	t.clear()
}

// becomeUndecided goes back to before the decision, which nobody was told and no journal holds.
func (t *transaction) becomeUndecided() {
	t.from(PrepareCommit, PrepareAbort)
	t.standing = *t.before
	t.before, t.decide, t.written = nil, nil, false
}

// becomeDead is the end of the id.
func (t *transaction) becomeDead(now time.Time) {
	t.from(Empty, CompleteCommit, CompleteAbort)
	t.clear()
	t.state, t.updated = Dead, now
}

// from asserts where a move begins.
func (t *transaction) from(origins ...State) {
	if !slices.Contains(origins, t.state) {
		panic(fmt.Sprintf("transactional id %q is %v, not one of %v", t.id, t.state, origins))
	}
}
