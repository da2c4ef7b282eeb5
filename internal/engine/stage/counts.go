package stage

import (
	"maps"
	"sync"
	"sync/atomic"

	"ravenswood.dev/internal/engine/processor"
)

// Counts is what the late step has counted of one bolt, over all tasks that share it. It only grows, and is safe for
// concurrent use. A record that is worked on again after a failed commit is counted again.
type Counts struct {
	Records        atomic.Int64 // given to the bolt
	Errors         atomic.Int64 // that failed there
	ScheduleErrors atomic.Int64 // calls of scheduled functions that failed

	mu      sync.Mutex
	dropped map[string]int64 // by reason; GUARDED_BY(mu)
}

// The reasons with a meaning of their own; the others are those of who drops.
const (
	ReasonLate       = "late"       // the record came too late; it was sent to the port "late" too
	ReasonIncomplete = "incomplete" // the record has no key or no value, and its bolt does not say which
	reasonStale      = "stale"      // nothing is lost: a newer answer follows
)

// Dropped is how many records were not passed on, by reason.
func (c *Counts) Dropped() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.dropped)
}

func (c *Counts) drop(reason string, n uint64) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == nil {
		c.dropped = make(map[string]int64)
	}
	c.dropped[reason] += int64(n)
}

// counted is a processor that counts what it does not pass on.
type counted interface {
	Late() uint64
	Dropped() uint64
}

// countedIn finds the one that counts in a processor made of others, which says by Unwrap what is in it.
func countedIn(p processor.Processor) counted {
	for p != nil {
		if c, ok := p.(counted); ok {
			return c
		}
		around, ok := p.(interface{ Unwrap() processor.Processor })
		if !ok {
			return nil
		}
		p = around.Unwrap()
	}
	return nil
}

// tally keeps in step what a processor counts itself and what it tells with a reason: it may do either or both.
type tally struct {
	processor     counted // nil if it does not count
	late, dropped uint64  // taken over so far
}

// Dropped takes note of a record that the processor at work does not pass on. It is a power that a Context need not have.
func (n *node) Dropped(reason string) {
	switch reason {
	case reasonStale:
		return
	case ReasonLate:
		n.tally.late++
	default:
		n.tally.dropped++
	}
	n.counts.drop(reason, 1)
}

// takeOver adds what the processor has counted and not told.
func (n *node) takeOver() {
	if n.tally.processor == nil {
		return
	}
	late, dropped := n.tally.processor.Late(), n.tally.processor.Dropped()
	if late > n.tally.late {
		n.counts.drop(ReasonLate, late-n.tally.late)
		n.tally.late = late
	}
	if dropped > n.tally.dropped {
		n.counts.drop(ReasonIncomplete, dropped-n.tally.dropped)
		n.tally.dropped = dropped
	}
}

// Tally brings the Counts of the task's bolts up to date with what their processors have counted. Close does it, too.
func (t *Task) Tally() {
	for _, n := range t.nodes {
		if n != nil {
			n.takeOver()
		}
	}
}
