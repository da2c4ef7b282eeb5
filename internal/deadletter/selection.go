package deadletter

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Selection says which letters are meant: those that meet every condition that is set.
type Selection struct {
	IDs    []string  // exactly these; each must be there
	Bolt   string    // given up on by this bolt or sink
	Input  string    // came in by this spout
	Class  string    // transient, permanent or outage
	Key    []byte    // of this key; nil means any
	Since  time.Time // given up on at or after
	Until  time.Time // given up on before
	States []State   // empty means Waiting, or any state if IDs are given
	Limit  int       // at most so many, the first in order; 0 means all
}

func (s Selection) states() []State {
	switch {
	case len(s.States) > 0:
		return s.States
	case len(s.IDs) > 0:
		return []State{Waiting, Replayed, Dropped}
	}
	return []State{Waiting}
}

// admits checks what cannot change any more once the letter is written.
func (s Selection) admits(id string, l *Letter) bool {
	return (len(s.IDs) == 0 || slices.Contains(s.IDs, id)) &&
		(s.Bolt == "" || s.Bolt == l.Bolt) &&
		(s.Input == "" || s.Input == l.Input) &&
		(s.Class == "" || s.Class == l.Class) &&
		(s.Key == nil || bytes.Equal(s.Key, l.Key)) &&
		(s.Since.IsZero() || !l.Last.Before(s.Since)) &&
		(s.Until.IsZero() || l.Last.Before(s.Until))
}

// rank is a letter's place in the order in which letters are listed and replayed: records of one key come out as they
// went in. They went in by their origin, which stays the same when a replayed record dies again; a delivery's
// records, whose origins lie on several partitions, by the topic it reads.
type rank struct {
	partition     int32 // of the source, and so of the topic the letter goes back to
	topic         string
	line          int32
	first, second int64
	bolt          string
}

func (l *Letter) rank() rank {
	r := rank{partition: l.Source.Partition, second: l.Source.Offset, bolt: l.Bolt}
	if l.delivery() {
		r.topic, r.first = l.Source.Topic, l.Source.Offset
	} else {
		r.topic, r.line, r.first = l.Origin.Topic, l.Origin.Partition, l.Origin.Offset
	}
	return r
}

func (r rank) compare(o rank) int {
	return cmp.Or(
		cmp.Compare(r.partition, o.partition),
		strings.Compare(r.topic, o.topic),
		cmp.Compare(r.line, o.line),
		cmp.Compare(r.first, o.first),
		cmp.Compare(r.second, o.second),
		strings.Compare(r.bolt, o.bolt),
	)
}

// delivery says that a sink gave up on the letter's record.
func (l *Letter) delivery() bool { return strings.HasPrefix(l.Input, deliveryPrefix) }

// UnknownError says that there is no letter of that id.
type UnknownError struct{ ID string }

func (e *UnknownError) Error() string { return fmt.Sprintf("find dead letter %q: there is none", e.ID) }

// SettledError says that a letter was replayed or dropped before. Nothing was done.
type SettledError struct {
	ID    string
	State State
	At    time.Time
}

func (e *SettledError) Error() string {
	return fmt.Sprintf("take up dead letter %q: it was %s at %s", e.ID, e.State, e.At.Format(time.RFC3339))
}
