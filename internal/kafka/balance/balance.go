// Package balance decides which member of a group works on which task, and which members keep copies of a task's stores.
//
// It is pure: members and tasks in, an assignment out, the same for the same input. Everything may be called by any
// goroutine; nothing given to it is kept or changed.
//
// It must not be assumed that an assignment is balanced at once: a task moves only when its next owner has what it needs,
// and only after its owner has given it up. Plan is then called again, by the rebalances that follow.
package balance

import (
	"cmp"
	"strconv"
	"strings"
)

// CaughtUp is the lag, in records, up to which a copy of a task's stores is good enough to take the task over.
const CaughtUp = 10_000

// Task is partition n of every topic of a stage.
type Task struct {
	Stage     string
	Partition int32
}

// String is "stage/partition".
func (t Task) String() string { return t.Stage + "/" + strconv.Itoa(int(t.Partition)) }

// Loose says whether the task is a single partition without state.
func (t Task) Loose() bool { return strings.HasPrefix(t.Stage, loose) }

// Compare orders tasks by stage, then by partition.
func (t Task) Compare(u Task) int {
	return cmp.Or(cmp.Compare(t.Stage, u.Stage), cmp.Compare(t.Partition, u.Partition))
}

// Stage is a stage with state: its topics' partitions of one number belong together.
type Stage struct {
	Name   string
	Topics []string
}

// LooseStage is the stage of a topic that belongs to none: its partitions are shared out one by one. No name of a stage
// has a colon.
func LooseStage(topic string) Stage { return Stage{Name: loose + topic, Topics: []string{topic}} }

const loose = "topic:"

// Assignment is what one member of the group is told. It is about tasks with state only.
type Assignment struct {
	Duties
	// Members are all members of the group with what they have, sorted by ID. Nil if the group is too large to tell
	// everybody everything.
	Members []Peer
}

// Duties are the tasks of one member, each list sorted. A task is in one of them at most.
type Duties struct {
	Active  []Task // it reads their partitions
	Standby []Task // it keeps a copy of their stores
	WarmUp  []Task // it makes a copy of their stores: it is to have them when it has caught up
}

// Peer is a member of the group as others see it.
type Peer struct {
	ID      string // group instance id
	Process string
	Host    string // where it is asked
	Duties
}
