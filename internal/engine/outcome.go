package engine

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// admit says whether a record as read may be worked on; if not, its outcome is a dead letter.
func (s *session) admit(e *entry) bool {
	if e.task.input.Name == "" {
		readReplay(e)
		input := s.inputNamed(e.replayInput)
		if input == nil {
			e.refuse(fmt.Errorf("replay record: the topology has no spout %q any more", e.replayInput))
			return false
		}
		e.rec.Format, e.targets = input.Format, input.Next
	}
	if err := record.CheckTime(e.rec.Time); err != nil {
		e.refuse(fmt.Errorf("read record: %w", err))
		return false
	}
	if limit := int64(s.plan.Limits.RecordBytes); e.size-entryOverhead > limit {
		e.refuse(fmt.Errorf("read record: %d bytes are above the limit of %d (limits.recordBytes)", e.size-entryOverhead, limit))
		return false
	}
	if e.rec.Format == record.JSON && e.rec.Value != nil && !e.task.input.Repartition {
		if err := document.Valid(e.rec.Value); err != nil {
			e.refuse(fmt.Errorf("read record as json: %w", err))
			return false
		}
	}
	return true
}

// originOf takes the origin of a record out of its headers, as another stage has written it.
func originOf(r *record.Record) record.Origin {
	text, ok := r.Header(record.HeaderOrigin)
	if !ok {
		return r.Origin
	}
	r.RemoveHeader(record.HeaderOrigin)
	if o, err := record.ParseOrigin(string(text)); err == nil {
		return o
	}
	return r.Origin
}

func (e *entry) refuse(err error) {
	e.outcome = dead
	e.err = &boltError{bolt: e.task.input.Name, class: component.Never, attempts: 1, first: e.started, err: err}
}

func (s *session) inputNamed(name string) *topology.Input {
	for i := range s.plan.Inputs {
		if in := &s.plan.Inputs[i]; in.Name == name && name != "" {
			return in
		}
	}
	return nil
}

// readReplay gives a replayed dead letter its origin back and the place it goes to.
func readReplay(e *entry) {
	r := &e.rec
	if id, ok := r.Header(deadletter.HeaderReplayID); ok {
		e.replayID = string(id)
	}
	if input, ok := r.Header(deadletter.HeaderReplayInput); ok {
		e.replayInput = string(input)
	}
	if origin, ok := r.Header(record.HeaderOrigin); ok {
		if o, err := record.ParseOrigin(string(origin)); err == nil {
			r.Origin = o
		}
	}
	for _, h := range []string{deadletter.HeaderReplayID, deadletter.HeaderReplayInput, deadletter.HeaderReplayBolt, record.HeaderOrigin} {
		r.RemoveHeader(h)
	}
}

// write puts an entry's outcome into the open transaction, after the late bolts if there are any. Its error ends the
// session.
func (s *session) write(live context.Context, e *entry) error {
	if e.raw.Attrs.IsControl() {
		return nil
	}
	if e.outcome == delivered {
		s.checkOutputs(e)
	}
	if e.outcome == delivered && e.task.unit != nil {
		if err := s.lateStep(e); err != nil {
			return err
		}
	}
	if !e.retried {
		s.pending.in++
	}
	switch e.outcome {
	case delivered:
		for i := range e.outputs {
			s.produce(live, e.outputs[i].to.Index, e.outputs[i].rec, e.replayID)
		}
	case parked:
		e.released = true
		s.pending.parked++
		s.tx.Produce(live, s.parkRecord(e))
		e.outputs = nil
		return nil
	case dead:
		s.pending.dead++
		s.tx.Produce(live, s.deadLetter(e))
	}
	if e.retried {
		s.tx.Produce(live, s.unparkRecord(e))
	}
	return nil
}

// checkOutputs turns an entry with an output that its topic cannot take into a dead letter: written, it would fail the
// transaction, and every transaction after it.
func (s *session) checkOutputs(e *entry) {
	for _, o := range e.outputs {
		if !o.to.Sink {
			continue
		}
		if err := s.checkOutput(o.to.Index, o.rec); err != nil {
			e.outputs, e.outcome = nil, dead
			e.err = &boltError{bolt: s.plan.Sinks[o.to.Index].Name, class: component.Never, attempts: 1, first: e.started, err: err}
			return
		}
	}
}

// checkOutput says whether a sink's topic takes a record.
func (s *session) checkOutput(sink int, r *record.Record) error {
	to := &s.plan.Sinks[sink]
	takes := s.w.engine.limitsOf(to.Topic)
	if err := takes.checkSize(to.Topic, r.Size()+recordOverhead); err != nil {
		return err
	}
	if to.Internal {
		takes.anyAge = true // see stamp
	}
	return takes.checkTime(to.Topic, r.Time, time.Now())
}

// recordOverhead is room for what a batch adds to a record: its header, varints and our origin header.
const recordOverhead = 512

// produce puts a record for a sink into the open transaction.
func (s *session) produce(live context.Context, to int, r *record.Record, replayID string) {
	sink := &s.plan.Sinks[to]
	out := &kgo.Record{Topic: sink.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Time}
	if n := len(r.Headers); n > 0 || sink.Internal || replayID != "" {
		out.Headers = make([]kgo.RecordHeader, n, n+2)
		for i, h := range r.Headers {
			out.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		}
	}
	if replayID != "" {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: record.HeaderReplayed, Value: []byte(replayID)})
	}
	if !sink.Internal {
		s.pending.out++
	} else {
		stamp(out, r.Time)
	}
	if sink.Internal && r.Origin.Topic != "" { // what a schedule emits comes from no record
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: record.HeaderOrigin, Value: []byte(r.Origin.String())})
	}
	s.tx.Produce(live, out)
}

// deadLetter is the record as it was read, with what went wrong.
func (s *session) deadLetter(e *entry) *kgo.Record {
	cause := deadletter.Cause{
		Topology: s.plan.Name, Input: e.task.input.Name, Bolt: e.err.bolt, Class: className(e.err.class), Err: e.err.Error(),
		Attempts: e.err.attempts, First: e.err.first, Last: time.Now(),
		Origin: e.rec.Origin, OriginalTime: e.raw.Timestamp,
		Source: record.Origin{Topic: e.raw.Topic, Partition: e.raw.Partition, Offset: e.raw.Offset},
	}
	if e.replayInput != "" {
		cause.Input = e.replayInput
	}
	if u := e.task.unit; u != nil {
		cause.Replay = u.stage.Replay // where it meets the stores of its key again
	}
	s.w.log.Warn("record became a dead letter", "bolt", e.err.bolt, "source", cause.Source.String(), "attempts", e.err.attempts, "err", e.err.Error())
	return deadletter.Record(s.plan.DeadLetters, e.raw.Partition, e.raw.Key, e.raw.Value, e.raw.Headers, cause)
}

func className(c component.Class) string { return [...]string{"transient", "permanent", "outage"}[c] }

// The headers of a record in the parked topic, beside its own.
const (
	headerParkKey   = record.Prefix + "park-key" // absent for a record without key
	headerParkSince = record.Prefix + "park-since"
	headerParkTime  = record.Prefix + "park-time" // the record's own timestamp, Unix milliseconds
	headerParkBolt  = record.Prefix + "park-bolt"
	headerParkCause = record.Prefix + "park-cause"
	headerParkTries = record.Prefix + "park-attempts"
)

// parkRecord is the record as it was read, under its source as key, so that compaction keeps it until a tombstone of
// the same key says that it has left. The value begins with a byte that tells a tombstone of the user's from a value.
func (s *session) parkRecord(e *entry) *kgo.Record {
	out := &kgo.Record{
		Topic: s.plan.Parked, Partition: e.raw.Partition, Key: sourceKey(e), Timestamp: time.Now(),
		Value: append([]byte{parkedValue}, e.raw.Value...),
	}
	if e.raw.Value == nil {
		out.Value = []byte{parkedTombstone}
	}
	out.Headers = append(out.Headers, e.raw.Headers...)
	add := func(key string, value []byte) {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: key, Value: value})
	}
	if e.raw.Key != nil {
		add(headerParkKey, e.raw.Key)
	}
	add(headerParkSince, strconv.AppendInt(nil, time.Now().UnixMilli(), 10))
	add(headerParkTime, strconv.AppendInt(nil, e.raw.Timestamp.UnixMilli(), 10))
	add(headerParkBolt, []byte(e.err.bolt))
	add(headerParkCause, []byte(clip(e.err.Error(), 1024)))
	add(headerParkTries, strconv.AppendInt(nil, int64(e.err.attempts), 10))
	return out
}

func (s *session) unparkRecord(e *entry) *kgo.Record {
	return &kgo.Record{Topic: s.plan.Parked, Partition: e.raw.Partition, Key: sourceKey(e), Timestamp: time.Now()}
}

const (
	parkedTombstone = 0
	parkedValue     = 1
)

func sourceKey(e *entry) []byte {
	return []byte(record.Origin{Topic: e.raw.Topic, Partition: e.raw.Partition, Offset: e.raw.Offset}.String())
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + " …"
	}
	return s
}
