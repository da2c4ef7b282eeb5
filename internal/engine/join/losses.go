package join

import (
	"sync/atomic"

	"ravenswood.dev/internal/engine/processor"
)

// Reason is why a record was dropped.
type Reason string

// The reasons.
const (
	NoKey        Reason = "no-key"         // it has no key, or none can be derived from it
	NoValue      Reason = "no-value"       // a stream's record without a value has nothing to join
	NoForeignKey Reason = "no-foreign-key" // its value names no foreign key
	Late         Reason = "late"           // its window is closed and it met nobody; it was sent to the port "late" too
	Stale        Reason = "stale"          // an answer to a value that has been replaced since; a newer answer follows
	Failed       Reason = "failed"         // the joiner failed for a record that was waiting for a partner
)

// Dropped is told of every record that is dropped. It is called on the task's goroutine and must not block.
type Dropped func(Reason)

// Dropper is an optional power of a processor.Context: to count dropped records. It is used by processors whose config
// has no Dropped.
type Dropper interface {
	Dropped(reason string)
}

// Counted is what a processor that may drop records can say; it may be asked at any time, by any goroutine.
type Counted interface {
	// Late is the number of records that came too late.
	Late() uint64
	// Dropped is the number of records that were dropped for any other reason but being stale.
	Dropped() uint64
}

// losses is the part of a processor that counts what it drops.
type losses struct {
	listener      Dropped
	late, dropped atomic.Uint64
}

var _ Counted = (*losses)(nil)

// tell says who listens: the config's function, else the context if it can.
func (l *losses) tell(c processor.Context, d Dropped) {
	if l.listener = d; d != nil {
		return
	}
	l.listener = func(Reason) {}
	if counter, ok := c.(Dropper); ok {
		l.listener = func(r Reason) { counter.Dropped(string(r)) }
	}
}

func (l *losses) lose(r Reason) {
	switch r {
	case Late:
		l.late.Add(1)
	case Stale:
	default:
		l.dropped.Add(1)
	}
	l.listener(r)
}

// Late implements Counted.
func (l *losses) Late() uint64 { return l.late.Load() }

// Dropped implements Counted.
func (l *losses) Dropped() uint64 { return l.dropped.Load() }
