// Package topology turns what people wrote into a checked plan: which topics, groups and tasks there are and where a
// record goes next. It is pure: no I/O, no clock, the same resources always give the same plan.
//
// Everything outside the log is kept at arm's length by an internal topic, so that the engine's core only ever moves
// records from topics to topics in one transaction:
//
//	file, generate, …  ──feed──▶ internal topic ─┐
//	topic spout ─────────────────────────────────┼─▶ bolts ─▶ topic sink
//	replayed dead letters ─▶ internal topic ─────┘      └───▶ internal topic ──delivery──▶ sql, file, …
//
// A feed stores its position with the records it writes, a delivery stores offsets with the rows it writes: each hop is
// exactly-once by itself, and what a database holds is exactly what was committed to the log.
package topology

import (
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
)

// Plan is one topology, checked and ready to run. It does not change after it is made.
type Plan struct {
	Name     string
	Team     string
	Dir      string // folder of the resource file, for relative paths in settings
	Delivery api.Delivery
	Workers  int
	Commit   time.Duration
	Drain    time.Duration
	Limits   api.Limits
	Retry    api.Retry

	Group       string // consumer group of the workers
	DeadLetters string // topic of records given up on
	Parked      string // compacted topic of records that wait for their key
	Replay      string // topic through which dead letters come back; also one of Inputs

	Inputs     []Input
	Stages     []Stage // what is worked on together, upstream first
	Globals    []Global
	Tables     []Table // what can be asked for, sorted by name
	Standbys   int     // copies of each stage's stores that are kept warm on other processes
	Bolts      []Bolt  // each after what feeds it
	Sinks      []Sink
	Feeds      []Feed
	Deliveries []Delivery
	Topics     []Topic // every topic the plan needs, sorted by name

	origins []origin // of what the bolts work on, by bolt
}

// Input is a topic the workers read.
type Input struct {
	Name   string // the spout's name; empty for the replay topic
	Topic  string
	Format record.Format
	Start  string   // earliest or latest
	Next   []Target // empty for the replay topic: a replayed record names its own place
	Stage  int      // into Plan.Stages
	// Repartition says that the topic is written by another stage of this topology and read by nobody else: records
	// carry their origin, and what is read and committed is purged.
	Repartition bool

	asked int // partitions of a repartition topic that a bolt asks for; 0: as the others of its stage
}

// Stage is a sub-topology: the bolts that records reach from its inputs without passing a topic. A stage with stores has
// one task per partition number, which owns that partition of all inputs (they have equally many) and of all stores; in
// one without, every partition of every input is a task by itself.
type Stage struct {
	Name     string // stays the same between versions of the topology as long as its stores do: names folders
	Inputs   []int  // into Plan.Inputs
	Bolts    []int  // into Plan.Bolts, each after what feeds it
	Stores   []Store
	Stateful bool
	// Partitions is the number of tasks of a stateful stage as far as the files say; what counts is what the input
	// topics have when the topology starts.
	Partitions int
	Replay     string // topic through which dead letters of the stage come back; one of its inputs
}

// Store is a store of a stage, one instance per task.
type Store struct {
	store.Spec
	Bolt      string // whose it is
	Changelog string // topic; empty if it is not logged
	Source    bool   // the changelog is an input topic: nothing is written to it, restore ends at the committed offset
}

// Global is a table that every process keeps whole.
type Global struct {
	Name   string // of the table, and of its store
	Topic  string
	Store  store.Spec
	Format record.Format
}

// Table is a store that can be asked for under a name.
type Table struct {
	Name   string
	Stage  int // into Plan.Stages; -1: global
	Store  store.Spec
	Format record.Format // of the values
	// Show makes of a value what people see of it; nil: all of it. It returns the value itself or fresh bytes.
	Show func(value []byte) []byte
}

// Bolt is a bolt in the graph.
type Bolt struct {
	Name      string
	Component component.Definition
	Config    any
	Next      [][]Target // by port
	Stage     int        // into Plan.Stages
	// Late says that the bolt runs when records are released, in the order of their task, because it or a bolt before
	// it keeps state; else it runs as soon as its record's lane is free.
	Late bool
}

// Sink is a topic that results are written to: a topic sink's own, or the internal topic of a delivery.
type Sink struct {
	Name     string
	Topic    string
	Internal bool // the topic feeds a delivery or another stage: records carry their origin
	// Repartition says that the topic is an input of another stage of this topology.
	Repartition bool
}

// Target is where a record goes next.
type Target struct {
	Sink  bool // else a bolt
	Index int  // into Plan.Sinks or Plan.Bolts
	Input int  // which of the bolt's sources this is
}

// Feed brings records of an outside spout into an internal topic. It runs where partition 0 of that topic is assigned.
type Feed struct {
	Name      string
	Component component.Definition
	Config    any
	Topic     string
	Group     string // holds the spout's position as offset metadata
}

// Delivery takes an internal topic to an outside sink. It runs in a consumer group of its own.
type Delivery struct {
	Name      string
	Component component.Definition
	Config    any
	Topic     string
	Group     string
	Format    record.Format
}

// Topic is a topic the plan needs.
type Topic struct {
	Name     string
	Spec     api.TopicSpec
	Internal bool // made and owned by the topology
	Declared bool // there is a Topic resource; else it must exist or is made with defaults
	Open     manifest.TopicOpen
}

// saysPartitions says whether somebody has said how many partitions the topic has.
func (t Topic) saysPartitions() bool { return t.Declared && !t.Open.Partitions }

// saysRetention says whether somebody has said how long the topic keeps its records.
func (t Topic) saysRetention() bool { return t.Declared && !t.Open.Retention }

// Blocking says whether any bolt waits for the outside world, so that records run in lanes.
func (p *Plan) Blocking() bool {
	for _, b := range p.Bolts {
		if b.Component.Spec.Blocking {
			return true
		}
	}
	return false
}
