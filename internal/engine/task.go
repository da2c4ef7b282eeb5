package engine

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// task is one partition in work: the order of its records, their lanes, and how far it may be committed. It is the pure
// core of the engine: no goroutine, no clock, no client; the worker tells it what happened and does what it answers.
//
//	read ──add──▶ ring (offset order) ──lane free──▶ running ──complete──▶ done
//	                 │                                                      │
//	                 │ key parked                          front of the ring done: release
//	                 ▼                                                      ▼
//	               parked ◀──complete(parked)──        outcomes in offset order, mark moves up
//
// Invariants, checked by check:
//
//	committed <= mark <= next
//	every entry before the front of the ring is released, the front is not done
//	a lane runs at most one entry; entries of a lane run and finish in offset order
//	a key with parked records runs only its first parked record
type task struct {
	id     partition
	ctx    context.Context // ends when the partition is given up; for the lanes, the core does not look at it
	cancel context.CancelFunc
	input  *topology.Input
	unit   *unit // of a stage with state; nil otherwise

	ring      []*entry // in offset order; ring[0] is the oldest unfinished record
	mark      int64    // everything below is released; what a commit may name
	next      int64    // next offset expected from the log
	committed int64    // what the last commit named, -1 if nothing was committed yet
	bytes     int64    // of entries in the ring
	paused    bool     // reading is stopped until there is room
	nothing   int64    // below this there is nothing to be read, though next is less
	silent    bool     // of a unit: was waited for long; see doubt

	lanes       map[uint64]*lane
	parked      map[uint64]*parking
	parkedCount int
}

type partition struct {
	topic string
	n     int32
}

// lane is the queue of one key. It exists only while an entry of the key is running.
type lane struct{ waiting []*entry }

// parking is a key whose first record could not be worked on within its budget; its later records wait behind it.
type parking struct {
	entries []*entry // in offset order
	since   time.Time
	due     time.Time // when the first entry may be tried again
	running bool
	cause   *boltError
}

// entry is one record on its way through a topology.
type entry struct {
	rec     record.Record
	raw     *kgo.Record // as read: what is parked or becomes a dead letter
	task    *task
	lane    uint64
	size    int64
	started time.Time         // when it was read
	targets []topology.Target // where it goes first: what follows its spout

	status status
	place  place // which bolt it is at, for status; written by whoever runs it
	// What became of it: outputs, or err with parked or dead.
	outcome outcome
	outputs []output
	inline  [1]output // room for the usual single output
	err     *boltError

	released bool // its park record is on the log (or was found there), so it may be tried again
	retried  bool // it runs from its parking, not from the ring

	replayID    string // of a dead letter that came back
	replayInput string // the spout it had come in by
}

// output is a record on its way to a sink, or to a late bolt until its entry is released.
type output struct {
	to  topology.Target
	rec *record.Record
}

type status uint8

// The states of an entry. Only the functions of this file change them.
const (
	waiting status = iota // in a ring, behind its lane or its parked key
	running               // in its lane, or being retried from its parking
	done                  // has an outcome; final unless the outcome is parked
)

type outcome uint8

const (
	delivered outcome = iota // outputs are to be written
	parked                   // to be written to the parked topic, to be tried again later
	dead                     // to be written to the dead-letter topic
	abandoned                // the task ended while it ran; the next owner of the partition reads it again
)

// newTask makes a task that has read nothing yet; begin says where it starts.
func newTask(id partition, input *topology.Input) *task {
	return &task{
		id: id, input: input, mark: -1, next: -1, committed: -1,
		lanes: make(map[uint64]*lane), parked: make(map[uint64]*parking),
	}
}

// begin sets where the task starts: at what the group had committed, or without that at the first record read.
func (t *task) begin(committed, first int64) {
	t.committed = committed
	t.mark, t.next = committed, committed
	if committed < 0 {
		t.mark, t.next = first, first
	}
}

// add takes the next record of the partition and says whether it may run now.
func (t *task) add(e *entry) (run bool) {
	t.next = e.raw.Offset + 1
	t.ring = append(t.ring, e)
	t.bytes += e.size
	if p := t.parked[e.lane]; p != nil {
		t.followParked(p, e)
		return false
	}
	if l := t.lanes[e.lane]; l != nil {
		l.waiting = append(l.waiting, e)
		return false
	}
	t.lanes[e.lane] = &lane{}
	e.status = running
	return true
}

// addDone takes the next record of the partition together with its outcome: the way of topologies that never wait.
func (t *task) addDone(e *entry) {
	t.next = e.raw.Offset + 1
	t.ring = append(t.ring, e)
	t.bytes += e.size
	e.status = done
}

// complete takes the outcome of a running entry and returns the entry of its lane that may run next, if any.
func (t *task) complete(e *entry, now time.Time, every time.Duration) (next *entry) {
	if e.retried {
		return t.completeRetry(e, now, every)
	}
	e.status = done
	l := t.lanes[e.lane]
	if e.outcome == parked {
		p := &parking{since: now, due: now.Add(every), cause: e.err, entries: []*entry{e}}
		t.parked[e.lane] = p
		t.parkedCount++
		for _, follower := range l.waiting {
			t.followParked(p, follower)
		}
		l.waiting = nil
	}
	if len(l.waiting) == 0 {
		delete(t.lanes, e.lane)
		return nil
	}
	next, l.waiting = l.waiting[0], l.waiting[1:]
	next.status = running
	return next
}

// followParked parks an entry behind the parked key it belongs to.
func (t *task) followParked(p *parking, e *entry) {
	e.status, e.outcome = done, parked
	e.err = p.cause
	p.entries = append(p.entries, e)
	t.parkedCount++
}

// completeRetry takes the outcome of a parked entry that was tried again. Still parked: the key waits on. Otherwise the
// entry leaves and the next one of the key may run; when the key has none left it flows again.
func (t *task) completeRetry(e *entry, now time.Time, every time.Duration) (next *entry) {
	p := t.parked[e.lane]
	e.status, p.running = done, false
	if e.outcome == parked {
		p.cause, p.due = e.err, now.Add(every)
		return nil
	}
	p.entries = p.entries[1:]
	t.parkedCount--
	if len(p.entries) == 0 {
		delete(t.parked, e.lane)
		return nil
	}
	p.since, p.due = now, now
	return t.retry(p, now)
}

// restore puts back a record that was found in the parked topic. Records come in offset order.
func (t *task) restore(e *entry, since, now time.Time) {
	e.status, e.outcome, e.released = done, parked, true
	p := t.parked[e.lane]
	if p == nil {
		p = &parking{since: since, due: now, cause: e.err}
		t.parked[e.lane] = p
	}
	p.entries = append(p.entries, e)
	t.parkedCount++
}

// due returns the parked entries to be tried now. An entry whose park record is not written yet is never tried: after a
// crash it would be read from the input again, and its results would be there twice.
func (t *task) due(now time.Time) (run []*entry) {
	for _, p := range t.parked {
		if e := t.retry(p, now); e != nil {
			run = append(run, e)
		}
	}
	return run
}

func (t *task) retry(p *parking, now time.Time) *entry {
	e := p.entries[0]
	if p.running || !e.released || now.Before(p.due) {
		return nil
	}
	p.running = true
	e.status, e.retried = running, true
	e.outputs, e.err, e.outcome = e.inline[:0], nil, delivered
	return e
}

// release removes the finished front of the ring and returns it in offset order; the mark moves to its end.
func (t *task) release(into []*entry) []*entry {
	n := 0
	for n < len(t.ring) && t.ring[n].status == done {
		e := t.ring[n]
		t.ring[n] = nil
		t.mark = e.raw.Offset + 1
		t.bytes -= e.size
		into = append(into, e)
		n++
	}
	t.ring = t.ring[n:]
	if len(t.ring) == 0 {
		t.ring = nil // lets the released entries of a burst go
	}
	return into
}

// releaseFront removes the finished front of the ring; the mark moves behind it.
func (t *task) releaseFront() *entry {
	e := t.ring[0]
	t.ring[0] = nil
	t.ring = t.ring[1:]
	if len(t.ring) == 0 {
		t.ring = nil
	}
	t.mark = e.raw.Offset + 1
	t.bytes -= e.size
	return e
}

// oldest returns the record that holds the mark back, or nil.
func (t *task) oldest() *entry {
	if len(t.ring) == 0 {
		return nil
	}
	return t.ring[0]
}

// ready says whether the task may be read at all: the stores of its unit are restored.
func (t *task) ready() bool { return t.unit == nil || t.unit.phase == operating }

// meta is what is committed with the task's offset.
func (t *task) meta() string {
	if t.unit == nil || t.unit.late == nil {
		return ""
	}
	return streamTimeMeta(t.unit.late.StreamTime())
}
