package stream

import (
	"reflect"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/manifest"
)

// TopicOf is a topic with the codecs of its keys and values, declared once and used wherever it is read or written.
type TopicOf[K, V any] struct {
	decl  topicDecl
	key   Codec[K]
	value Codec[V]
}

// topicDecl is a topic as data.
type topicDecl struct {
	name       string
	partitions int
	compacted  bool
	retention  time.Duration
	forever    bool
}

func (d topicDecl) declared() bool {
	return d.open() != manifest.TopicOpen{Partitions: true, Retention: true}
}

// open is what was not said: a topic that exists keeps it.
func (d topicDecl) open() manifest.TopicOpen {
	return manifest.TopicOpen{Partitions: d.partitions <= 0, Retention: !d.compacted && d.retention <= 0 && !d.forever}
}

// Topic declares a topic and how its keys and values are written.
func Topic[K, V any](name string, key Codec[K], value Codec[V]) TopicOf[K, V] {
	return TopicOf[K, V]{decl: topicDecl{name: name}, key: key, value: value}
}

// Name is the topic's name on the log.
func (o TopicOf[K, V]) Name() string { return o.decl.name }

// Key is how the topic's keys are written.
func (o TopicOf[K, V]) Key() Codec[K] { return o.key }

// Value is how the topic's values are written.
func (o TopicOf[K, V]) Value() Codec[V] { return o.value }

// Partitions says how many partitions the topic has: it is made with them if it does not exist, and refused if it has
// others. 0, or nothing said, leaves it open: a topic that exists keeps its own, a new one has 8, or as many as what it is
// joined with.
func (o TopicOf[K, V]) Partitions(n int) TopicOf[K, V] {
	o.decl.partitions = n
	return o
}

// Compacted says that the topic keeps the newest record of each key, for ever, as a table's topic should. Where neither this
// nor Retention is said, a topic that exists stays as it is; a new one is Compacted if a table is made of it, else it keeps
// records for seven days.
func (o TopicOf[K, V]) Compacted() TopicOf[K, V] {
	o.decl.compacted = true
	return o
}

// Retention says how long the topic keeps records; 0 keeps them for ever.
func (o TopicOf[K, V]) Retention(d time.Duration) TopicOf[K, V] {
	o.decl.retention, o.decl.forever = d, d == 0
	return o
}

func (d topicDecl) spec() api.TopicSpec {
	s := api.TopicSpec{Partitions: d.partitions, Retention: api.Duration(d.retention), Cleanup: "delete"}
	if s.Partitions == 0 {
		s.Partitions = 8
	}
	if d.compacted {
		s.Cleanup = "compact"
	} else if d.retention == 0 && !d.forever {
		s.Retention = api.Duration(7 * 24 * time.Hour)
	}
	return s
}

// declare notes a topic and how its records are written, and reports one that is declared in two ways.
func (t *Topology) declare(d topicDecl, as *shape) *topicDecl {
	t.agree(d.name, as)
	if d.partitions < 0 || d.retention < 0 {
		t.problem(CodeValueInvalid, d.name, "", "read topic %q: %d partitions and a retention of %s: neither can be below zero", d.name, d.partitions, d.retention)
	}
	known, ok := t.topics[d.name]
	if !ok {
		t.topics[d.name] = &d
		return &d
	}
	if d.declared() && known.declared() && d != *known {
		t.problem(CodeTopicConflict, d.name, "declare it once", "read topic %q: it is declared in two ways", d.name)
	}
	if d.declared() {
		*known = d
	}
	return known
}

// agree reports a topic that is used with two pairs of codecs: what one of them wrote the other could not read.
func (t *Topology) agree(name string, as *shape) {
	t.shapes[name] = append(t.shapes[name], as)
	if first := t.shapes[name][0]; t.differ(first.keyID, as.keyID) || t.differ(first.valueID, as.valueID) {
		t.problem(CodeTopicConflict, name, "declare it once, with one pair of codecs", "read topic %q: it is used with other codecs too: %T and %T, before %T and %T",
			name, t.codec(as.keyID), t.codec(as.valueID), t.codec(first.keyID), t.codec(first.valueID))
	}
}

// differ says whether two codecs write different bytes, as far as can be known: those that cannot be compared are taken to be
// alike if they are of one type.
func (t *Topology) differ(a, b int) bool {
	if a == b || a == 0 || b == 0 {
		return false
	}
	x, y := reflect.ValueOf(t.codec(a)), reflect.ValueOf(t.codec(b))
	return x.Type() != y.Type() || x.Comparable() && y.Comparable()
}

// Stream is an endless row of records.
type Stream[K, V any] struct {
	t     *Topology
	at    source
	key   Codec[K] // nil if nobody has said
	value Codec[V]
}

func (s Stream[K, V]) input() input { return input{s.at, shapeOf(s.t, s.key, s.value)} }

// From reads a topic. It takes FromLatest.
func From[K, V any](t *Topology, topic TopicOf[K, V], opts ...Option) Stream[K, V] {
	o := t.read("from", opts, optLatest)
	n := t.spout(topic.decl, shapeOf(t, topic.key, topic.value), o)
	return Stream[K, V]{t, source{n, 0}, topic.key, topic.value}
}

// spout is the one node that reads a topic.
func (t *Topology) spout(d topicDecl, as *shape, o options) *node {
	decl := t.declare(d, as)
	if n, ok := t.spouts[d.name]; ok {
		n.latest = n.latest || o.latest
		return n
	}
	if as.keyID == 0 || as.valueID == 0 {
		t.problem(CodeCodecMissing, d.name, "give stream.Topic two codecs", "read topic %q: it has no codec for its keys or its values", d.name)
	}
	n := t.add(&node{kind: spoutNode, op: asName(d.name), topic: decl, latest: o.latest, outs: []output{{shape: as}}}, o)
	t.spouts[d.name] = n
	return n
}

// To writes the stream to a topic; the key picks the partition as every Kafka client does.
func (s Stream[K, V]) To(topic TopicOf[K, V], opts ...Option) {
	o := s.t.read("to", opts)
	as := shapeOf(s.t, topic.key, topic.value)
	if as.keyID == 0 || as.valueID == 0 {
		s.t.problem(CodeCodecMissing, topic.decl.name, "give stream.Topic two codecs", "write topic %q: it has no codec for its keys or its values", topic.decl.name)
		return
	}
	decl := s.t.declare(topic.decl, as)
	n, ok := s.t.sinks[topic.decl.name]
	if !ok {
		n = s.t.add(&node{kind: sinkNode, op: "to-" + asName(topic.decl.name), topic: decl}, o)
		s.t.sinks[topic.decl.name] = n
	} else {
		s.t.fixed(n.label())
	}
	n.from = append(n.from, input{s.at, as})
}

// Through writes the stream to a topic and goes on with what is read from it: other programs can see and extend what
// passes there, and the records are spread by their keys anew.
func (s Stream[K, V]) Through(topic TopicOf[K, V], opts ...Option) Stream[K, V] {
	s.To(topic)
	return From(s.t, topic, opts...)
}

// asName makes a node's name of a topic's.
func asName(topic string) string { return strings.Trim(strings.ReplaceAll(topic, ".", "-"), "-_") }
