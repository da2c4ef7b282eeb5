// Package component is the contract between the engine and the spouts, bolts and sinks.
//
// A component is data plus code. Its Definition declares, as data, what it is called, one sentence of what it does,
// its settings type (whose field tags give names, defaults, examples and docs) and examples that one test parses and
// runs; parser, linter, JSON Schema, reference page and `raven components` come from that.
//
// The life of a component:
//
//  1. describe: the Definition is registered in an explicit list (package all); there is no init.
//  2. decode: package manifest fills the settings type from a file, strictly, with defaults.
//  3. check: Definition.Check reports everything wrong with the settings that can be known without running.
//  4. open: Definition.NewBolt, NewSpout or NewSink makes an instance from settings and an Env.
//  5. run: Process, Next or Deliver is called as their comments say.
//  6. close: if the instance is an io.Closer, Close is called once, after the last call has returned.
package component

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// Kind is the side of a topology a component stands on.
type Kind string

// The kinds.
const (
	KindSpout Kind = "spout"
	KindBolt  Kind = "bolt"
	KindSink  Kind = "sink"
)

// Spec is a component as data.
type Spec struct {
	Kind     Kind
	Name     string    // the key in a topology file: "transform"
	Summary  string    // one sentence, for lists and the reference
	Doc      string    // prose for the reference page in Markdown; usually embedded from a .md file beside the code
	Outputs  []string  // names of a bolt's fixed outputs beyond the first, which has no name; see also Definition.Ports
	Blocking bool      // the bolt waits for the outside world: records run in lanes, each key in order, keys in parallel
	Internal bool      // the topic spout and sink: the engine is their code, New* are nil
	Examples []Example // parsed by a test and shown in the reference
}

// Example is a node of a topology, as YAML, with a title.
type Example struct {
	Title string
	YAML  string // the component's key and settings only: "transform: {set: {...}}"
}

// Definition is a component: Spec, settings type and constructors. Make one with Bolt, Spout, Sink or Topic.
type Definition struct {
	Spec Spec
	// NewConfig returns a pointer to a zero settings struct; its tags are the declaration (see package api).
	NewConfig func() any
	// Check reports what is wrong with decoded settings; nil means nothing can be.
	Check func(config any) []Problem
	// Ports names a bolt's outputs as its settings define them; nil means Spec.Outputs. Port 0 is the unnamed
	// output if the first name is empty.
	Ports func(config any) []string
	// Uses names the services the settings refer to, so that the linter can check them; nil means none.
	Uses func(config any) []string
	// Format says what the records of a spout hold; nil means JSON. Of a bolt: what it keeps, and gives to its first
	// output; nil means what it got.
	Format func(config any) record.Format

	// Times says whether the settings of a spout or bolt take the times of records out of what these hold. A spout
	// that can do so reads what lasts, such as files: its records may be of years ago. Nil means no.
	Times func(config any) bool

	// Shape says what a bolt does to keys and what state it keeps; nil means nothing and none.
	Shape func(config any) Shape

	NewBolt  func(config any, env Env) (Bolt, error)
	NewSpout func(config any, env Env) (Spout, error)
	NewSink  func(config any, env Env) (Sink, error)
	// NewProcessor makes a bolt with state, instead of NewBolt; it is called once per task.
	NewProcessor func(config any, env Env) (processor.Processor, error)

	// Show makes of a value that the bolt keeps what people see of it, when the table is asked; nil: all of it. It
	// returns the value itself or fresh bytes, and may be called concurrently.
	Show func(value []byte) []byte
}

// Shape is what the planner must know of a bolt to place it: see docs/internals/state.md.
type Shape struct {
	// Rekeys says that the bolt emits records under other keys than they came with. What follows and is Keyed gets
	// them through an internal topic.
	Rekeys bool
	// Keyed says that the bolt needs all records of a key in one task. Bolts with stores are keyed.
	Keyed bool
	// Inputs names the sources of a join in their order ("left", "right"); nil means any number of sources, all alike.
	Inputs []string
	// Stores are the bolt's own, to be named within the bolt; the planner puts "<bolt>" or "<bolt>-<name>" before.
	Stores []store.Spec
	// Reads names stores of other bolts that it reads, as they are known in the plan: theirs come into the same stage
	// (and so must be partitioned alike), or are global.
	Reads []string
	// ReadKinds is what each of Reads must be; nil leaves it open.
	ReadKinds []store.Kind
	// AnyKey says that they are read under other keys than the bolt's records have, so they must be global.
	AnyKey bool
	// Repartition asks for an internal topic before the bolt in any case, with that many partitions (0: as planned).
	Repartition bool
	Partitions  int
	// Table says that the bolt turns its one source into a table; its first store is what can be asked for. If the
	// source is a topic spout and the store is a plain key-value store, the topic is the changelog.
	Table bool
	// Private says that nobody else understands what the stores hold: there is nothing to ask for.
	Private bool
	// Global says that the table is kept whole in every process. Such a bolt emits nothing.
	Global bool
}

// Problem is one thing wrong with settings.
type Problem struct {
	Path    string // path within the settings: "set.total"
	Column  int    // 1-based position within the value at Path, 0 if the whole value is meant
	Code    string // stable, kebab-case: "expression-invalid"
	Message string // grammar: verb object "value": cause
	Hint    string // what to do, one sentence, may be empty
}

// Env is what an instance is given beyond its settings.
type Env struct {
	Topology string
	Name     string // the node's name in the topology
	Log      *slog.Logger
	Dir      string   // folder of the resource file, against which relative paths are read
	StateDir string   // folder the instance may keep state in; made before open, private to topology and node
	Services Services // how a bolt calls services; nil while linting
}

// Emit hands a record to what follows a port. The record is given away: clone it before if it is needed again.
type Emit func(port int, r *record.Record)

// Bolt works on records. Process is called from one goroutine at a time unless Spec.Blocking is set; a blocking bolt
// must allow concurrent calls, never two for one key at a time.
//
// Process emits none, one or several records and returns nil, or returns an error; what it emitted before an error is
// thrown away. It must return soon after ctx is done. Errors are classed by Permanent and Outage.
type Bolt interface {
	Process(ctx context.Context, r *record.Record, emit Emit) error
}

// Spout brings records in from outside the log. The engine writes each batch to an internal topic and stores Position
// with it in one transaction, so Open is always told the position of the last batch that is durable.
type Spout interface {
	// Open starts after position, which is nil the first time.
	Open(ctx context.Context, position []byte) error
	// Next returns the next records, at most max, blocking until there is at least one. io.EOF with or without
	// records says that the source has ended for good. A permanent error stops the topology with that error,
	// any other is retried after a pause.
	Next(ctx context.Context, max int) (Batch, error)
	Close() error
}

// Batch is a spout's records and the position after them (at most 4,000 bytes, opaque to the engine).
type Batch struct {
	Records  []*record.Record
	Position []byte
}

// Sink delivers records to a system outside the log, exactly once: it keeps, per partition and in the same
// transaction as what it delivers, the offset to go on from. Calls for different partitions may be concurrent, calls
// for one partition are not.
type Sink interface {
	// Position returns the offset to go on from; ok is false if nothing was ever delivered from the partition.
	Position(ctx context.Context, p Partition) (offset int64, ok bool, err error)
	// Deliver writes the records and moves the partition's position from `from` to `next`, together or not at all.
	// It returns ErrMoved if the stored position is not `from` (somebody else delivers this partition now), a
	// *RejectedError if one record can never be delivered, any other error if trying again makes sense.
	Deliver(ctx context.Context, p Partition, from, next int64, records []*record.Record) error
	Close() error
}

// Auditor is an optional power of Sinks: to tell from outside which events they hold, so that they can be counted against
// what went in.
type Auditor interface {
	// Each visits, for every row the sink holds, the text of the event's field with that path. It returns an error that
	// is errors.ErrUnsupported if the sink does not keep the field.
	Each(ctx context.Context, field string, visit func(text string) error) error
}

// Partition names a partition of the internal topic a sink is fed from.
type Partition struct {
	Topic     string
	Partition int32
	Log       string // the topic's own id: a topic that was deleted and made again begins anew; empty if unknown
}

// ErrMoved says that a partition's stored position is not what the caller believed. The caller must read Position
// again; it must not be returned for failures of the outside system.
var ErrMoved = errors.New("position has moved")

// RejectedError says that one record of a batch can never be delivered; nothing of the batch was.
type RejectedError struct {
	Index int // into the records of the call
	Err   error
}

func (e *RejectedError) Error() string { return e.Err.Error() }
func (e *RejectedError) Unwrap() error { return e.Err }

// Services is how a bolt calls a service by name. Implemented by package router.
type Services interface {
	// Call sends one request to the version the service's route decides on and returns its answer.
	// Errors are classed: Permanent if this request can never succeed (a 4xx answer, an answer that is too large or
	// not JSON), Outage if the service as a whole is down (breaker open, no version reachable), else transient.
	Call(ctx context.Context, c Call) (Answer, error)
	// InFlight is how many calls to the service one process may have in flight.
	InFlight(service string) int
}

// Call is one request to a service.
type Call struct {
	Service        string
	Event          []byte          // the event as JSON: what route rules and split keys look at
	Key            []byte          // the record's key: what a split without a key of its own hashes
	Headers        []record.Header // what route header rules look at, and what is sent as HTTP headers
	Body           []byte          // what is sent; nil sends Event
	IdempotencyKey string          // sent as Idempotency-Key; the same for every attempt of one record at one bolt
	Timeout        time.Duration   // longest time of this attempt; 0 takes the service's
	Version        string          // the version, if Chooser was asked before; empty lets the route decide
}

// Chooser is an optional power of Services: to tell which version a call would go to. A bolt that merges calls (batches,
// caches) asks first, so that it never merges what the route keeps apart, and sets Call.Version to the answer.
type Chooser interface {
	// Choose decides without calling; it neither blocks nor counts.
	Choose(c Call) (version string, err error)
}

// Answer is what a service answered.
type Answer struct {
	Body     []byte // valid JSON
	Version  string // the version that answered; empty for a fallback
	Degraded bool   // the route's fallback answered because the service is down
}

// Class is what a failure means for the record.
type Class uint8

// The classes. The zero value is the careful one.
const (
	Transient Class = iota // may pass: retry in the lane, then park, then dead-letter
	Never                  // this record can never succeed: dead-letter at once
	Down                   // not the record's fault: wait, without using up the record's budget
)

type classed struct {
	error
	class Class
}

func (c classed) Unwrap() error { return c.error }

// Permanent marks an error of one record that no retry can mend: it becomes a dead letter at once.
func Permanent(err error) error { return classed{err, Never} }

// Outage marks an error that is not the record's fault, such as a service that is down: the record waits in its lane
// and does not use up its budget.
func Outage(err error) error { return classed{err, Down} }

// ClassOf says what an error means for its record. The outermost mark counts.
func ClassOf(err error) Class {
	if c, ok := errors.AsType[classed](err); ok {
		return c.class
	}
	return Transient
}

// RetryIn says how long the outside world asked to wait before the next attempt, 0 if it said nothing. An error answers
// by a method RetryIn.
func RetryIn(err error) time.Duration {
	var asked interface{ RetryIn() time.Duration }
	if errors.As(err, &asked) {
		return asked.RetryIn()
	}
	return 0
}
