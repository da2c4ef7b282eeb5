// Package tables answers questions about the tables of running topologies: one key, ranges, prefixes, windows,
// sessions, versions, and what changes from now on.
//
// Any process of a topology answers any question. It finds out which partitions the question concerns, asks who has
// them, itself included, and merges what they say. A process that is asked by another one answers for itself only, so
// a question takes one hop at most.
//
// Only what is committed is ever shown. While a task moves, a copy that is behind may answer; the answer says how far
// behind it is, and whoever does not want that says so.
//
// A Service may be used concurrently. Nothing here writes to a store.
package tables

import (
	"errors"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/topology"
)

// Engine is what asking tables needs of one running topology. Its methods may be called concurrently, at any moment of
// the topology's life, and do not wait for the network.
type Engine interface {
	// Plan is what runs. It does not change.
	Plan() *topology.Plan

	// Owners says who has each partition of a stage, as far as this process was told: element n is partition n. It is
	// as long as the stage has tasks; empty means that nobody knows yet, because the process has just begun.
	Owners(stage int) []Owner

	// View lends what is committed of the stores of one task. Without stale only a task that is owned and running here
	// will do; with stale also one that is still restoring, and a standby's copy. ErrElsewhere says that there is no
	// such copy here, ErrRestoring that it would be stale and that was not wanted.
	View(stage int, partition int32, stale bool) (View, error)

	// Global lends what is committed of a global table, by the table's name. It is never stale in the sense of View:
	// ErrRestoring until it was read whole once.
	Global(table string) (View, error)

	// Position is how far an input partition of a running task of this process has come: the effects of everything
	// below next are committed, and seen by every View taken from now on. For a stage without stores it is what is
	// committed. ok is false if the partition is not owned and running here. Stage is Global, and topic the table's,
	// for a global table.
	Position(stage int, topic string, partition int32) (next int64, ok bool)

	// Changed returns a channel that is closed when any Position or Owners of this process changes next.
	Changed() <-chan struct{}
}

// Global stands for the stage of global tables, as in topology.Table.
const Global = -1

// Why an Engine lends no View.
var (
	ErrElsewhere = errors.New("the task is not here")
	ErrRestoring = errors.New("the task is being restored")
)

// Owner is who has a partition of a stage.
type Owner struct {
	Active   Instance   // runs the task, or restores it; zero if nobody does
	Standbys []Instance // keep a copy, the one that is closest behind first
}

// Instance is a process of the topology.
type Instance struct {
	ID      string
	Address string // what it told its group: host:port of its admin API, or what Announced says; empty: it answers nobody
	Local   bool   // it is this process
}

// View is what is committed of some stores, lent until Release is called. It does not change meanwhile as far as one
// call or one iterator goes; two calls may see different commits. Returned bytes may be kept until Release.
type View struct {
	Stores  Stores
	Stale   *Staleness // nil: it is the running task's own
	Release func()     // never nil; must be called once
}

// Stores gives read access to stores by name. Their writing methods are never called. A store.Reader is one.
type Stores interface {
	// Err says that what was read since the View was lent cannot be trusted: a read that fails finds nothing.
	Err() error
	KeyValue(name string) store.KeyValue
	Windows(name string) store.Windows
	Sessions(name string) store.Sessions
	Versions(name string) store.Versions
}

// Staleness is how far a copy is behind its changelogs.
type Staleness struct {
	Records int64         // offsets between what it holds and what is committed, over all stores of the task; -1: not known
	Behind  time.Duration // age of the newest record it holds, if it is behind; 0: not known
}
