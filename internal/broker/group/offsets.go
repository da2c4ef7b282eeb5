package group

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Topic is a topic as it is: one that was deleted and made anew has another ID, and none of the old offsets.
type Topic struct {
	Name string
	ID   [16]byte
}

// Resolve finds the topic that a request names, by name or (name empty) by id, and how many partitions it has. The error is
// what the answer says about each partition asked for: no such topic, or not allowed.
type Resolve func(name string, id [16]byte) (t Topic, partitions int32, err *kerr.Error)

// Offset is where a group stands in a partition.
type Offset struct {
	Offset      int64
	LeaderEpoch int32 // of the record before it, -1: not told
	Metadata    string
	At          time.Time
}

// Bounds and defaults of Offsets.
const (
	// DefaultRetention is how long the offsets of a group without members are kept: ten years, which means for ever, but
	// not past the day when somebody wonders. Kafka's week is too short for us: a topology that did not run over the
	// holidays must go on where it was, not begin anew.
	DefaultRetention = 10 * 365 * 24 * time.Hour
	// DefaultMaxMetadata bounds the words that a client may leave with an offset. Kafka's.
	DefaultMaxMetadata = 4096
	// maxEntryBytes bounds what one entry of the journal takes before it is JSON (which at worst makes six of one).
	maxEntryBytes = 2 << 20
)

// Offsets are the committed offsets of all groups, and those that wait for the end of their transaction.
//
// Every commit has a place in the order of all commits. A transaction's offsets count from where they were sent, not from
// where the transaction ended: if the group commits past them in between, that stays.
type Offsets struct {
	maxMetadata int
	groups      map[string]*ledger
	last        uint64 // place of the last commit
}

// NewOffsets makes an empty one. maxMetadata bounds the metadata of a commit; 0 means DefaultMaxMetadata.
func NewOffsets(maxMetadata int) *Offsets {
	fill(&maxMetadata, DefaultMaxMetadata)
	return &Offsets{maxMetadata: maxMetadata, groups: map[string]*ledger{}}
}

// ledger is what one group has committed.
type ledger struct {
	committed map[slot]commit
	pending   map[int64]map[slot]commit // by producer id
	epochs    map[int64]int16           // of the producers in pending
}

type slot struct {
	topic     Topic
	partition int32
}

type commit struct {
	Offset
	place uint64
}

func compareSlots(a, b slot) int {
	return cmp.Or(cmp.Compare(a.topic.Name, b.topic.Name), slices.Compare(a.topic.ID[:], b.topic.ID[:]),
		cmp.Compare(a.partition, b.partition))
}

func (o *Offsets) ledger(group string) *ledger {
	l := o.groups[group]
	if l == nil {
		l = &ledger{map[slot]commit{}, map[int64]map[slot]commit{}, map[int64]int16{}}
		o.groups[group] = l
	}
	return l
}

// tidy forgets a ledger with nothing in it.
func (o *Offsets) tidy(group string) {
	if l := o.groups[group]; l != nil && len(l.committed) == 0 && len(l.pending) == 0 {
		delete(o.groups, group)
	}
}

// Has reports whether the group has committed anything, be it pending.
func (o *Offsets) Has(group string) bool { return o.groups[group] != nil }

// Groups are the groups that have committed anything, sorted.
func (o *Offsets) Groups() []string { return slices.Sorted(maps.Keys(o.groups)) }

// Get is the committed offset of a partition.
func (o *Offsets) Get(group string, t Topic, partition int32) (Offset, bool) {
	l := o.groups[group]
	if l == nil {
		return Offset{}, false
	}
	c, ok := l.committed[slot{t, partition}]
	return c.Offset, ok
}

// Unstable reports whether an open transaction may still change the offset of a partition.
func (o *Offsets) Unstable(group string, t Topic, partition int32) bool {
	l := o.groups[group]
	return l != nil && l.unstable(slot{t, partition})
}

func (l *ledger) unstable(s slot) bool {
	for _, p := range l.pending {
		if _, ok := p[s]; ok {
			return true
		}
	}
	return false
}

// Producers are the producers with pending offsets and their epochs.
func (o *Offsets) Producers() iter.Seq2[int64, int16] {
	return func(yield func(int64, int16) bool) {
		for _, l := range o.groups {
			for id, epoch := range l.epochs {
				if !yield(id, epoch) {
					return
				}
			}
		}
	}
}

// End applies or drops what a producer's transaction has pending. The journal has it by the entry of the transaction's end.
func (o *Offsets) End(producer int64, committed bool) {
	for group, l := range o.groups {
		for s, c := range l.pending[producer] {
			if now, ok := l.committed[s]; committed && (!ok || now.place < c.place) {
				l.committed[s] = c
			}
		}
		l.forget(producer)
		o.tidy(group)
	}
}

func (l *ledger) forget(producer int64) {
	delete(l.pending, producer)
	delete(l.epochs, producer)
}

// DropTopic forgets the offsets of a topic that is no more. The journal has it by the entry of the topic's end.
func (o *Offsets) DropTopic(id [16]byte) {
	gone := func(s slot, _ commit) bool { return s.topic.ID == id }
	for group, l := range o.groups {
		maps.DeleteFunc(l.committed, gone)
		for producer, p := range l.pending {
			if maps.DeleteFunc(p, gone); len(p) == 0 {
				l.forget(producer)
			}
		}
		o.tidy(group)
	}
}

// DropGroup is the entry that deletes all offsets of a group, pending ones, too.
func (o *Offsets) DropGroup(group string) OffsetsEntry {
	return OffsetsEntry{Group: group, Drop: true}
}

// Expire tells which offsets are older than retention: those of groups that have been empty as long. emptySince tells
// since when a group has had no members; not ok: it has some. A group that never had members counts from its commits.
// The entries are to be written and applied.
func (o *Offsets) Expire(now time.Time, retention time.Duration,
	emptySince func(group string) (time.Time, bool)) []OffsetsEntry {
	var out []OffsetsEntry
	for _, group := range o.Groups() {
		since, ok := emptySince(group)
		if !ok {
			continue
		}
		before := now.Add(-retention)
		if since.After(before) {
			continue
		}
		b := newBuilder(OffsetsEntry{Group: group, At: now, Delete: true})
		l := o.groups[group]
		for _, s := range slices.SortedFunc(maps.Keys(l.committed), compareSlots) {
			if !l.committed[s].At.After(before) && !l.unstable(s) {
				b.add(s, Offset{})
			}
		}
		if !b.entry.Empty() {
			out = append(out, b.entry)
		}
	}
	return out
}
