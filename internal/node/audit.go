package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Audit is what came of the events of one topology, counted from the log and from the sinks themselves, never from
// counters that the topology kept.
type Audit struct {
	Topology   string      `json:"topology"`
	Sent       int64       `json:"sent"`       // events in the input topics
	Sinks      []SinkAudit `json:"sinks"`      // those that must hold every event
	Dead       int64       `json:"dead"`       // events among the dead letters
	Lost       int64       `json:"lost"`       // events that a sink should hold and does not, and that are not dead letters
	Duplicated int64       `json:"duplicated"` // events that a sink holds more often than they were sent
	NoID       int64       `json:"noId"`       // input records without the field that tells events apart
	FirstMS    *int64      `json:"firstMs"`    // from the start of the process to the first result; null if there was none
}

// SinkAudit is one sink's share of an Audit.
type SinkAudit struct {
	Sink       string `json:"sink"`
	Kind       string `json:"kind"`   // topic, sql, ...
	Events     int64  `json:"events"` // different events it holds
	Lost       int64  `json:"lost"`
	Duplicated int64  `json:"duplicated"`
	Unknown    int64  `json:"unknown"` // events that were never sent, as far as the input topics still know
}

// tally counts events by their identity. Digests stand for the identities, so that memory is some fifty bytes an event
// whatever they look like.
type tally map[[16]byte]int32

func (t tally) add(id string) {
	sum := sha256.Sum256([]byte(id))
	t[[16]byte(sum[:16])]++
}

// compare holds a sink's events against those that were sent.
func compare(sent, dead, have tally) (s SinkAudit) {
	for id, wanted := range sent {
		missing := int64(wanted - have[id])
		s.Lost += max(missing-int64(dead[id]), 0)
		s.Duplicated += max(-missing, 0)
	}
	for id := range have {
		if sent[id] == 0 {
			s.Unknown++
		}
	}
	s.Events = int64(len(have))
	return s
}

// audited is a topology with the declaration of its audit.
type audited struct {
	plan *topology.Plan
	spec api.Audit
}

func (n *Node) audits() []audited {
	var all []audited
	for _, p := range n.plans {
		if t, ok := n.set.Topology(p.Name); ok && t.Spec.Audit != nil {
			all = append(all, audited{p, *t.Spec.Audit})
		}
	}
	return all
}

// wants says whether the sink must hold every event.
func (a audited) wants(sink string) bool {
	return len(a.spec.Sinks) == 0 || slices.Contains(a.spec.Sinks, sink)
}

// outputs lists the topics among the sinks that must hold every event.
func (a audited) outputs() []string {
	var topics []string
	for _, s := range a.plan.Sinks {
		if !s.Internal && a.wants(s.Name) {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

func (n *Node) auditedOutputs() []string {
	var topics []string
	for _, a := range n.audits() {
		topics = append(topics, a.outputs()...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Audit counts what became of the events of every topology that says how its events are told apart.
func (n *Node) Audit(ctx context.Context) ([]Audit, error) {
	var all []Audit
	for _, a := range n.audits() {
		counted, err := n.audit(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("audit topology %q: %w", a.plan.Name, err)
		}
		all = append(all, counted)
	}
	return all, nil
}

func (n *Node) audit(ctx context.Context, a audited) (Audit, error) {
	out := Audit{Topology: a.plan.Name}
	sent, dead := tally{}, tally{}
	for _, in := range a.plan.Inputs {
		if in.Name == "" {
			continue // replayed dead letters were sent before
		}
		noID, err := countTopic(ctx, n.kafka, in.Topic, a.spec.ID, sent)
		if err != nil {
			return out, err
		}
		out.NoID += noID
	}
	if _, err := countTopic(ctx, n.kafka, a.plan.DeadLetters, a.spec.ID, dead); err != nil {
		return out, err
	}
	sinks, err := n.auditSinks(ctx, a, sent, dead)
	if err != nil {
		return out, err
	}
	out.Sinks, out.Sent, out.Dead = sinks, total(sent), total(dead)
	for _, s := range sinks {
		out.Lost += s.Lost
		out.Duplicated += s.Duplicated
	}
	out.FirstMS = n.firstOf(a)
	return out, nil
}

func total(t tally) (n int64) {
	for _, times := range t {
		n += int64(times)
	}
	return n
}

func (n *Node) auditSinks(ctx context.Context, a audited, sent, dead tally) ([]SinkAudit, error) {
	var all []SinkAudit
	for _, s := range a.plan.Sinks {
		if s.Internal || !a.wants(s.Name) {
			continue
		}
		have := tally{}
		if _, err := countTopic(ctx, n.kafka, s.Topic, a.spec.ID, have); err != nil {
			return nil, err
		}
		all = append(all, named(compare(sent, dead, have), s.Name, "topic"))
	}
	for _, d := range a.plan.Deliveries {
		if !a.wants(d.Name) {
			continue
		}
		have := tally{}
		err := n.countSink(ctx, a.plan, d, a.spec.ID, have)
		if errors.Is(err, errors.ErrUnsupported) {
			n.options.Log.Info("a sink cannot tell what it holds; it is left out of the audit", "sink", d.Name)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, named(compare(sent, dead, have), d.Name, d.Component.Spec.Name))
	}
	return all, nil
}

func named(s SinkAudit, sink, kind string) SinkAudit {
	s.Sink, s.Kind = sink, kind
	return s
}

// countTopic counts the committed records of a topic by their identity.
func countTopic(ctx context.Context, cfg kafka.Config, topic, idPath string, into tally) (noID int64, err error) {
	path, err := document.ParsePath(idPath)
	if err != nil {
		return 0, err
	}
	err = kafka.ReadToEnd(ctx, cfg, topic, nil, func(r *kgo.Record) error {
		if id, ok := identity(r.Value, path); ok {
			into.add(id)
		} else {
			noID++
		}
		return nil
	})
	return noID, err
}

// identity is the text of the field that tells events apart.
func identity(value []byte, path document.Path) (id string, ok bool) {
	if document.Valid(value) != nil {
		return "", false
	}
	raw, ok := document.Get(value, path)
	if !ok {
		return "", false
	}
	if text, err := document.Text(raw); err == nil {
		return text, true
	}
	return string(raw), true
}

// countSink asks the outside system itself, through an instance of the sink opened for this.
func (n *Node) countSink(ctx context.Context, p *topology.Plan, d topology.Delivery, idPath string, into tally) error {
	sink, err := d.Component.NewSink(d.Config, component.Env{
		Topology: p.Name, Name: d.Name, Log: n.options.Log, Dir: p.Dir, StateDir: componentStateDir(n.options.Data, p.Name, d.Name),
	})
	if err != nil {
		return fmt.Errorf("open sink %q: %w", d.Name, err)
	}
	return errors.Join(countHeld(ctx, sink, idPath, into), sink.Close())
}

func countHeld(ctx context.Context, sink component.Sink, idPath string, into tally) error {
	auditor, ok := sink.(component.Auditor)
	if !ok {
		return errors.ErrUnsupported
	}
	return auditor.Each(ctx, idPath, func(id string) error {
		into.add(id)
		return nil
	})
}

// firstOf is when the first result of the topology was there.
func (n *Node) firstOf(a audited) *int64 {
	var first *int64
	for _, topic := range a.outputs() {
		if after, ok := n.firsts.of(topic); ok && (first == nil || after.Milliseconds() < *first) {
			ms := after.Milliseconds()
			first = &ms
		}
	}
	return first
}
