package txn

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Effects is what the caller has to do before it answers, in this order. All fields may be empty.
type Effects struct {
	// Reserve, if it is above 0: producer ids below it are taken. Make it durable in the journal, then call Reserved.
	Reserve int64
	// Save: make each durable in the journal.
	Save []Entry
	// Decide, if it is there: carry it out. See Decide.
	Decide *Decide
}

// Entry is what must last of a transactional id. The latest one counts.
//
// It is saved when a producer is initialised (its epoch must never go back), when a client adds partitions or groups by a
// request of its own (it was told that they are there), and when the id expires. What joins by being written is not
// saved: the log of the partition and the offsets in the journal say so themselves, see RestoreOpen. The end of a
// transaction is saved by its Decide.
type Entry struct {
	Version       int              `json:"v"`
	ID            string           `json:"id"`
	State         string           `json:"state"` // Kafka's name; Dead: the id is forgotten
	ProducerID    int64            `json:"producer"`
	Epoch         int16            `json:"epoch"`
	LastEpoch     int16            `json:"lastEpoch"` // -1: none
	PreviousID    int64            `json:"previous"`  // -1: none
	NextID        int64            `json:"next"`      // -1: none
	TimeoutMillis int64            `json:"timeout"`   // milliseconds
	Partitions    []TopicPartition `json:"partitions,omitempty"`
	Groups        []string         `json:"groups,omitempty"`
	StartMillis   int64            `json:"start,omitempty"` // Unix milliseconds, 0: no transaction
	UpdatedMillis int64            `json:"updated"`         // Unix milliseconds
}

// entryVersion is the version of Entry and Decide.
const entryVersion = 1

// Decide is the one decision about a transaction. The caller, with no lock held at first,
//
//  1. takes the lock of each partition in turn and sets First of that partition, and takes the lock of each group in turn
//     and lets it go: from then on nothing more can join;
//  2. in one step against checkpoints of the journal: appends the Decide, as JSON, to the journal and calls
//     Coordinator.Journaled;
//  3. syncs the journal. From here on the transaction is decided for ever;
//  4. writes a marker into each partition whose First is not -1, and applies (Commit) or drops the pending offsets of this
//     producer in each group;
//  5. calls Coordinator.Decided. Only now may anybody be answered.
//
// If step 2 fails so that the journal surely does not hold the entry, Coordinator.Undecided puts the transaction back. If
// nobody can know (a failed sync), there is no way back: the journal is broken and the process has to start anew.
// If step 4 fails, it is tried again until it succeeds; the transaction stays prepared meanwhile.
type Decide struct {
	ID               string             `json:"id"`
	ProducerID       int64              `json:"producer"`
	Epoch            int16              `json:"epoch"` // of the markers
	CoordinatorEpoch int32              `json:"coordinatorEpoch"`
	Commit           bool               `json:"commit"`
	Bumped           bool               `json:"bumped"` // the records have an older epoch than the markers
	Partitions       []DecidedPartition `json:"partitions,omitempty"`
	Groups           []string           `json:"groups,omitempty"`
	After            Entry              `json:"after"` // the id from here on
	// Owed : only the markers are still to be written; the id went on since. A checkpoint writes such decisions.
	Owed bool `json:"owed,omitempty"`
}

// DecidedPartition is a partition of a decided transaction.
type DecidedPartition struct {
	TopicPartition
	// First is the offset of the first record of the transaction there, which tells it from earlier and later ones of the
	// same producer; -1: it has none. Handed out as -1.
	First int64 `json:"first"`
}

// ParseEntry reads the JSON of an Entry.
func ParseEntry(payload []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(payload, &e); err != nil {
		return Entry{}, fmt.Errorf("read state of a transactional id: %w", err)
	}
	return e, e.check()
}

// ParseDecide reads the JSON of a Decide.
func ParseDecide(payload []byte) (Decide, error) {
	var d Decide
	if err := json.Unmarshal(payload, &d); err != nil {
		return Decide{}, fmt.Errorf("read decision of a transaction: %w", err)
	}
	return d, d.check()
}

func (e Entry) check() error {
	_, known := ParseState(e.State)
	switch {
	case e.Version != entryVersion:
		return fmt.Errorf("read state of transactional id %q: version %d is not known", e.ID, e.Version)
	case e.ID == "":
		return fmt.Errorf("read state of a transactional id: it has no name")
	case !known:
		return fmt.Errorf("read state of transactional id %q: state %q is not known", e.ID, e.State)
	}
	return nil
}

func (d Decide) check() error {
	if err := d.After.check(); err != nil {
		return err
	}
	if s, _ := ParseState(d.After.State); !s.prepared() || d.ID != d.After.ID || (s == PrepareCommit) != d.Commit {
		return fmt.Errorf("read decision of transactional id %q: it does not agree with the state %q of %q", d.ID, d.After.State, d.After.ID)
	}
	return nil
}

// entry is what must last of t.
func (t *transaction) entry() Entry {
	return t.standing.entry(t.id)
}

func (s *standing) entry(id string) Entry {
	return Entry{
		Version: entryVersion, ID: id, State: s.state.String(),
		ProducerID: s.producer.ID, Epoch: s.producer.Epoch, LastEpoch: s.lastEpoch, PreviousID: s.previousID, NextID: s.nextID,
		TimeoutMillis: s.timeout.Milliseconds(), Partitions: s.sortedPartitions(), Groups: s.sortedGroups(),
		StartMillis: millis(s.start), UpdatedMillis: millis(s.updated),
	}
}

// standing is what the entry saved.
func (e Entry) standing() standing {
	s := standing{
		producer: Producer{ID: e.ProducerID, Epoch: e.Epoch}, lastEpoch: e.LastEpoch, previousID: e.PreviousID, nextID: e.NextID,
		timeout: time.Duration(e.TimeoutMillis) * time.Millisecond, updated: moment(e.UpdatedMillis),
	}
	s.state, _ = ParseState(e.State)
	s.clear()
	s.start = moment(e.StartMillis)
	for _, p := range e.Partitions {
		s.partitions[p] = struct{}{}
	}
	for _, g := range e.Groups {
		s.groups[g] = struct{}{}
	}
	return s
}

func (s *standing) sortedPartitions() []TopicPartition {
	all := make([]TopicPartition, 0, len(s.partitions))
	for p := range s.partitions {
		all = append(all, p)
	}
	slices.SortFunc(all, comparePartitions)
	return all
}

func (s *standing) sortedGroups() []string {
	all := make([]string, 0, len(s.groups))
	for g := range s.groups {
		all = append(all, g)
	}
	slices.Sort(all)
	return all
}

func comparePartitions(a, b TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// millis is 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}
