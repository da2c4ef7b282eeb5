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
	if limit := int64(s.plan.Limits.RecordBytes); e.size-entryOverhead > limit {
		e.refuse(fmt.Errorf("read record: %d bytes are above the limit of %d (limits.recordBytes)", e.size-entryOverhead, limit))
		return false
	}
	if e.rec.Format == record.JSON && e.rec.Value != nil {
		if err := document.Valid(e.rec.Value); err != nil {
			e.refuse(fmt.Errorf("read record as json: %w", err))
			return false
		}
	}
	return true
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

// write puts an entry's outcome into the open transaction.
func (s *session) write(live context.Context, e *entry) {
	if e.raw.Attrs.IsControl() {
		return
	}
	if e.outcome == delivered {
		s.checkSizes(e)
	}
	if !e.retried {
		s.pending.in++
	}
	switch e.outcome {
	case delivered:
		for i := range e.outputs {
			s.writeOutput(live, e, &e.outputs[i])
		}
	case parked:
		e.released = true
		s.pending.parked++
		s.tx.Produce(live, s.parkRecord(e))
		e.outputs = nil
		return
	case dead:
		s.pending.dead++
		s.tx.Produce(live, s.deadLetter(e))
	}
	if e.retried {
		s.tx.Produce(live, s.unparkRecord(e))
	}
}

// checkSizes turns an entry with an output that its topic cannot take into a dead letter: written, it would fail the
// transaction, and every transaction after it.
func (s *session) checkSizes(e *entry) {
	for _, o := range e.outputs {
		topic := s.plan.Sinks[o.sink].Topic
		if n, limit := o.rec.Size()+recordOverhead, int(s.w.engine.maxRecord(topic)); n > limit {
			e.outputs, e.outcome = nil, dead
			e.err = &boltError{
				bolt: s.plan.Sinks[o.sink].Name, class: component.Never, attempts: 1, first: e.started,
				err: fmt.Errorf("write topic %q: a record of %d bytes is above the topic's limit of %d", topic, n, limit),
			}
			return
		}
	}
}

// recordOverhead is room for what a batch adds to a record: its header, varints and our origin header.
const recordOverhead = 512

func (s *session) writeOutput(live context.Context, e *entry, o *output) {
	sink, r := &s.plan.Sinks[o.sink], o.rec
	out := &kgo.Record{Topic: sink.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Time}
	if n := len(r.Headers); n > 0 || sink.Internal || e.replayID != "" {
		out.Headers = make([]kgo.RecordHeader, n, n+2)
		for i, h := range r.Headers {
			out.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		}
	}
	if e.replayID != "" {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: record.HeaderReplayed, Value: []byte(e.replayID)})
	}
	if sink.Internal {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: record.HeaderOrigin, Value: []byte(r.Origin.String())})
	} else {
		s.pending.out++
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
