package group

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"
)

// OffsetsEntry is what the journal remembers of one change of a group's offsets. It is one entry for all partitions of a
// request, so that a commit is whole or not there.
type OffsetsEntry struct {
	Group    string         `json:"group"`
	At       time.Time      `json:"at,omitzero"`
	Producer *Producer      `json:"producer,omitempty"` // pending until the end of its transaction
	Delete   bool           `json:"delete,omitempty"`   // the partitions named are forgotten
	Drop     bool           `json:"drop,omitempty"`     // everything of the group is forgotten
	Topics   []OffsetsTopic `json:"topics,omitempty"`
}

// Producer is who runs a transaction.
type Producer struct {
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"`
}

// OffsetsTopic is one topic in an OffsetsEntry.
type OffsetsTopic struct {
	Name       string             `json:"name"`
	ID         string             `json:"id"` // hexadecimal
	Partitions []OffsetsPartition `json:"partitions"`
}

// OffsetsPartition is one partition in an OffsetsEntry.
type OffsetsPartition struct {
	Partition   int32     `json:"partition"`
	Offset      int64     `json:"offset"`
	LeaderEpoch int32     `json:"leader_epoch"`
	Metadata    string    `json:"metadata,omitempty"`
	At          time.Time `json:"at,omitzero"`     // if it is not the entry's
	Place       uint64    `json:"place,omitempty"` // in the order of commits; 0: after all before
}

// Empty reports whether the entry changes nothing: it need not be written.
func (e OffsetsEntry) Empty() bool { return !e.Drop && len(e.Topics) == 0 }

// builder gathers an entry. Slots come in the order of their topics.
type builder struct {
	entry OffsetsEntry
	bytes int
}

func newBuilder(e OffsetsEntry) *builder { return &builder{entry: e} }

func (b *builder) add(s slot, o Offset) *OffsetsPartition {
	id := hex.EncodeToString(s.topic.ID[:])
	n := len(b.entry.Topics)
	if n == 0 || b.entry.Topics[n-1].ID != id || b.entry.Topics[n-1].Name != s.topic.Name {
		b.entry.Topics = append(b.entry.Topics, OffsetsTopic{Name: s.topic.Name, ID: id})
		b.bytes += 64 + len(s.topic.Name)
		n++
	}
	t := &b.entry.Topics[n-1]
	t.Partitions = append(t.Partitions, OffsetsPartition{Partition: s.partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch,
		Metadata: o.Metadata})
	b.bytes += 32 + len(o.Metadata)
	return &t.Partitions[len(t.Partitions)-1]
}

// Restore applies an entry: one that was just written, or one of the journal. On error nothing has changed.
func (o *Offsets) Restore(e OffsetsEntry) error {
	ids, err := e.ids()
	if err != nil {
		return err
	}
	if e.Drop {
		delete(o.groups, e.Group)
		return nil
	}
	l := o.ledger(e.Group)
	for i, t := range e.Topics {
		for _, p := range t.Partitions {
			o.apply(l, e, slot{Topic{t.Name, ids[i]}, p.Partition}, p)
		}
	}
	o.tidy(e.Group)
	return nil
}

func (o *Offsets) apply(l *ledger, e OffsetsEntry, s slot, p OffsetsPartition) {
	if e.Delete {
		l.remove(s)
		return
	}
	at := p.At
	if at.IsZero() {
		at = e.At
	}
	c := commit{Offset{p.Offset, p.LeaderEpoch, p.Metadata, at}, p.Place}
	if c.place == 0 {
		c.place = o.last + 1
	}
	o.last = max(o.last, c.place)
	into := l.committed
	if e.Producer != nil {
		into = l.of(*e.Producer)
	}
	into[s] = c
}

// remove forgets a partition. What is pending there is older than its removal.
func (l *ledger) remove(s slot) {
	delete(l.committed, s)
	for producer, p := range l.pending {
		if delete(p, s); len(p) == 0 {
			l.forget(producer)
		}
	}
}

func (l *ledger) of(p Producer) map[slot]commit {
	if l.pending[p.ID] == nil {
		l.pending[p.ID] = map[slot]commit{}
	}
	l.epochs[p.ID] = p.Epoch
	return l.pending[p.ID]
}

func (e OffsetsEntry) ids() ([][16]byte, error) {
	out := make([][16]byte, len(e.Topics))
	for i, t := range e.Topics {
		b, err := hex.DecodeString(t.ID)
		if err != nil || len(b) != 16 {
			return nil, fmt.Errorf("restore offsets of group %q: topic %q: id %q is not 32 hexadecimal digits", e.Group, t.Name, t.ID)
		}
		out[i] = [16]byte(b)
	}
	return out, nil
}

// Snapshot gives entries that make the same offsets in an empty Offsets, in the order in which they must be restored: one
// or, where one would be too large, several for each group, and for each producer with pending offsets.
func (o *Offsets) Snapshot(add func(OffsetsEntry) error) error {
	for _, group := range o.Groups() {
		l := o.groups[group]
		if err := snapshot(OffsetsEntry{Group: group}, l.committed, add); err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(l.pending)) {
			e := OffsetsEntry{Group: group, Producer: &Producer{id, l.epochs[id]}}
			if err := snapshot(e, l.pending[id], add); err != nil {
				return err
			}
		}
	}
	return nil
}

func snapshot(e OffsetsEntry, commits map[slot]commit, add func(OffsetsEntry) error) error {
	b := newBuilder(e)
	for _, s := range slices.SortedFunc(maps.Keys(commits), compareSlots) {
		c := commits[s]
		p := b.add(s, c.Offset)
		p.At, p.Place = c.At, c.place
		if b.bytes < maxEntryBytes {
			continue
		}
		if err := add(b.entry); err != nil {
			return err
		}
		b = newBuilder(e)
	}
	if b.entry.Empty() {
		return nil
	}
	return add(b.entry)
}
