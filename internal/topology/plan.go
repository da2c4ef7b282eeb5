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
	Bolts      []Bolt // each after what feeds it
	Sinks      []Sink
	Feeds      []Feed
	Deliveries []Delivery
	Topics     []Topic // every topic the plan needs, sorted by name
}

// Input is a topic the workers read.
type Input struct {
	Name   string // the spout's name; empty for the replay topic
	Topic  string
	Format record.Format
	Start  string   // earliest or latest
	Next   []Target // empty for the replay topic: a replayed record names its own place
}

// Bolt is a bolt in the graph.
type Bolt struct {
	Name      string
	Component component.Definition
	Config    any
	Next      [][]Target // by port
}

// Sink is a topic that results are written to: a topic sink's own, or the internal topic of a delivery.
type Sink struct {
	Name     string
	Topic    string
	Internal bool // the topic feeds a delivery: records carry their origin
}

// Target is where a record goes next.
type Target struct {
	Sink  bool // else a bolt
	Index int  // into Plan.Sinks or Plan.Bolts
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
}

// Blocking says whether any bolt waits for the outside world, so that records run in lanes.
func (p *Plan) Blocking() bool {
	for _, b := range p.Bolts {
		if b.Component.Spec.Blocking {
			return true
		}
	}
	return false
}
