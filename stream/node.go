package stream

import (
	"fmt"
	"reflect"
	"regexp"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// node is one operator as it was written. Operators without state are fused to bolts by build; each of the others is a
// bolt of its own.
type node struct {
	t      *Topology
	kind   nodeKind
	op     string // what it does: the stem of its name if it was given none
	named  string // the name it was given
	name   string // the name it has; set by build
	from   []input
	outs   []output
	taken  bool                   // somebody takes what it gives
	last   bool                   // nothing needs to follow
	late   bool                   // its outputs behind the first are late records, by input
	cut    bool                   // not fused with what feeds it
	hasty  bool                   // it goes by time and takes nothing that is behind
	shape  func() component.Shape // nil: nothing special
	topic  *topicDecl             // of spouts and sinks
	latest bool                   // of spouts

	calls  []function // of the user
	value  any        // the codec of what is made of a join's pairs, as an option gave it
	pairs  *node      // the join whose pairs it makes results of
	rekeys bool
	view   bool                                             // an operator of a table
	viewed bool                                             // through which somebody reads the table
	link   func(next [][]any) any                           // without state: makes its step of the steps that follow, by port
	open   func(component.Env) (processor.Processor, error) // with state
	call   func() component.Bolt                            // without state, waits for the world outside: not fused
}

// function is one that the user gave an operator.
type function struct {
	name string // of the parameter, as the operator's comment has it
	f    any
}

// calling notes functions of the user, so that build can tell which are nil.
func (s Stream[K, V]) calling(all ...function) Stream[K, V] {
	s.madeBy().calls = append(s.madeBy().calls, all...)
	return s
}

func (s Table[K, V]) calling(all ...function) Table[K, V] {
	s.madeBy().calls = append(s.madeBy().calls, all...)
	return s
}

type nodeKind uint8

const (
	spoutNode nodeKind = iota
	freeNode           // without state: fused
	boltNode           // a bolt of its own
	sinkNode
)

// source is one output of a node.
type source struct {
	n    *node
	port int
}

// input is what feeds a node, and how the node wants its records written if they come as bytes.
type input struct {
	source
	want *shape
}

// output is one output of a node: how its records are written if they leave as bytes, and its name.
type output struct {
	name  string
	shape *shape
	side  bool // it is fine if nobody takes it
}

// shape is a pair of codecs, and the steps between typed records and bytes that can be made of them.
type shape struct {
	keyID, valueID     int // 0: there is no codec
	keyType, valueType string
	format             record.Format          // of the values, for who looks at stores from outside
	enter              func(next any) enter   // bytes to next, a step
	leave              func(port int) any     // a step that writes to a port of the bolt
	same               func(next [][]any) any // links an operator that changes nothing
}

// enter takes a record into a bolt.
type enter func(x *run, r *record.Record) error

// step works on one record between fused operators.
type step[K, V any] func(x *run, it *item[K, V]) error

// run is a record's way through a bolt.
type run struct {
	emit component.Emit
	at   *node // whose function is called
}

func shapeOf[K, V any](t *Topology, key Codec[K], value Codec[V]) *shape {
	s := &shape{keyType: reflect.TypeFor[K]().String(), valueType: reflect.TypeFor[V]().String()}
	if key != nil {
		s.keyID = t.codecID(key)
	}
	if value != nil {
		s.valueID = t.codecID(value)
	}
	if f, ok := any(value).(interface{ format() record.Format }); ok {
		s.format = f.format()
	}
	s.enter = func(next any) enter {
		first := next.(step[K, V])
		return func(x *run, r *record.Record) error {
			it, err := readItem(s, key, value, r)
			if err != nil {
				return err
			}
			return first(x, &it)
		}
	}
	s.leave = func(port int) any { return writer(s, port, key, value) }
	s.same = func(next [][]any) any { return fan[K, V](next[0]) }
	return s
}

// fan makes one step of many. Steps may not change what they are given.
func fan[K, V any](next []any) step[K, V] {
	steps := make([]step[K, V], len(next))
	for i, n := range next {
		steps[i] = n.(step[K, V])
	}
	if len(steps) == 1 {
		return steps[0]
	}
	return func(x *run, it *item[K, V]) error {
		for _, s := range steps {
			if err := s(x, it); err != nil {
				return err
			}
		}
		return nil
	}
}

// fanAny is fan where the types are not known.
func (s *shape) fanAny(next []any) any { return s.same([][]any{next}) }

// Names become parts of those of topics, stores and consumer groups: the rules are those of topology files.
var (
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$`)
	topologyName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

const nameMax = 100

// add puts a node into the topology. Inputs of other topologies are a problem.
func (t *Topology) add(n *node, o options) *node {
	n.t, n.named = t, o.name
	t.fixed(n.label())
	t.checkName(n.label(), o)
	for _, in := range n.from {
		t.own(in.n.t, n.label())
	}
	t.nodes = append(t.nodes, n)
	return n
}

// own reports what belongs to another topology.
func (t *Topology) own(other *Topology, label string) {
	if other != t {
		t.problem(CodeForeignStream, label, "write both into one topology, or connect them by a topic",
			"read %s: it takes from a stream or table of topology %q", label, other.name)
	}
}

func (t *Topology) checkName(label string, o options) {
	if o.isNamed && !goodName(o.name) {
		t.problem(CodeNameInvalid, label, nameHint, "read name %q: it cannot be a name", o.name)
	}
}

var nameHint = fmt.Sprintf("want letters, digits, '-' and '_', beginning and ending with a letter or digit, at most %d characters", nameMax)

func goodName(name string) bool { return len(name) <= nameMax && nodeName.MatchString(name) }

// label names a node in messages, also before it has a name.
func (n *node) label() string {
	switch {
	case n.name != "":
		return fmt.Sprintf("%s %q", n.op, n.name)
	case n.named != "":
		return fmt.Sprintf("%s %q", n.op, n.named)
	}
	return n.op
}

// codecID gives equal codecs equal numbers, from 1.
func (t *Topology) codecID(c any) int {
	for i, known := range t.codecIDs {
		if same(known, c) {
			return i + 1
		}
	}
	t.codecIDs = append(t.codecIDs, c)
	return len(t.codecIDs)
}

// codec is the codec of a number, nil of 0.
func (t *Topology) codec(id int) any {
	if id == 0 {
		return nil
	}
	return t.codecIDs[id-1]
}
