// Package stream is the SDK: a typed topology, written in Go, that runs on a laptop and unchanged on an Apache Kafka
// cluster.
//
//	lines := stream.Topic("lines", stream.String(), stream.String())
//	counts := stream.Topic("counts", stream.String(), stream.Int64())
//
//	t := stream.New("wordcount")
//	words := stream.FlatMapValues(stream.From(t, lines), strings.FieldsSeq)
//	totals := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("totals"))
//	totals.To(counts)
//	err := t.Run(ctx, stream.Options{})
//
// A Topology is written once, from one goroutine, and is fixed by its first Check, Plan or Run. Streams, tables and groups are
// descriptions: nothing flows before Run. What is wrong with a topology is gathered while it is written and told all
// at once by Check and Run.
//
// Functions given to operators are called from one goroutine at a time within a task, and from several tasks at once.
// They should be free of effects: a record may be worked on again after a crash, though its results count once. Values
// are handed on without copying, so nobody may change what a pointer, slice or map in them leads to. A function that
// returns an error or panics makes its record a dead letter; it never stops the process.
//
// Do not assume an order between records of different keys, nor that fields of your own processors outlive a restart:
// what must last belongs into a store.
package stream

import (
	"fmt"
	"strings"

	"ravenswood.dev/internal/topology"
)

// Topology is a graph of streams and tables under a name. The name is that of its consumer group and the first part of
// the names of its internal topics: it must stay the same as long as its state matters.
type Topology struct {
	name     string
	nodes    []*node
	spouts   map[string]*node // by topic
	sinks    map[string]*node // by topic
	topics   map[string]*topicDecl
	shapes   map[string][]*shape // how each topic is read and written
	codecs   map[any]any         // codec by type, as given to Use
	codecIDs []any               // every codec met; its number is the index + 1
	problems []Problem

	built *built // by the first Check, Plan or Run
}

// New begins a topology.
func New(name string) *Topology {
	t := &Topology{
		name: name, spouts: map[string]*node{}, sinks: map[string]*node{},
		topics: map[string]*topicDecl{}, shapes: map[string][]*shape{}, codecs: map[any]any{},
	}
	if len(name) > nameMax || !topologyName.MatchString(name) || strings.Contains(name, "..") {
		t.problem(CodeNameInvalid, "", fmt.Sprintf("want lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most %d characters", nameMax),
			"read topology name %q: it cannot be part of the names of topics and groups", name)
	}
	return t
}

// Name is the name of the topology.
func (t *Topology) Name() string { return t.name }

// Problem is one thing wrong with a topology.
type Problem struct {
	Code    string // stable, kebab-case
	Node    string // the operator it is about; may be empty
	Message string
	Hint    string // what to do; may be empty
}

func (p Problem) String() string {
	if p.Hint == "" {
		return p.Message
	}
	return p.Message + " (" + p.Hint + ")"
}

// The codes of problems found here; the others are those of `raven lint`.
const (
	CodeCodecMissing  = "codec-missing"  // keys or values must be written as bytes and nobody said how
	CodeCodecMismatch = "codec-mismatch" // an option's codec is for another type
	CodeNameInvalid   = "name-invalid"   // a name with characters that names cannot have
	CodeDuplicateName = "duplicate-name" // two operators or stores of one name
	CodeUnusedStream  = "unused-stream"  // nobody takes what an operator gives
	CodeOptionUnused  = "option-unused"  // an option that means nothing to this operator
	CodeTopicConflict = "topic-conflict" // one topic, declared in two ways
	CodeForeignStream = "foreign-stream" // streams of two topologies meet
	CodeValueInvalid  = "value-invalid"  // a number or function that cannot be
	CodeAlreadyBuilt  = "already-built"  // written after the topology was fixed
)

// BuildError says everything that is wrong with a topology.
type BuildError struct {
	Topology string
	Problems []Problem
}

func (e *BuildError) Error() string {
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.String())
	}
	return fmt.Sprintf("build topology %q: %s", e.Topology, strings.Join(all, "; "))
}

// Check says everything that is wrong with the topology, as a *BuildError; nil means that it can run.
func (t *Topology) Check() error {
	_, err := t.build()
	return err
}

// Plan is the topology as the engine runs it, for package streamtest and tools of this repository.
func (t *Topology) Plan() (*topology.Plan, error) {
	b, err := t.build()
	if err != nil {
		return nil, err
	}
	return b.plan, nil
}

// fixed reports what is written into a topology that has been built: it would have no part in it.
func (t *Topology) fixed(label string) {
	if t.built == nil {
		return
	}
	t.problem(CodeAlreadyBuilt, label, "write all of it before the first Check, Plan or Run", "read %s: topology %q was built without it", label, t.name)
	t.built.err = &BuildError{Topology: t.name, Problems: t.problems}
}

func (t *Topology) problem(code, node, hint, format string, args ...any) {
	t.problems = append(t.problems, Problem{Code: code, Node: node, Hint: hint, Message: fmt.Sprintf(format, args...)})
}
