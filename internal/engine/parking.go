package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
)

// restoreParked brings back the parked records of newly assigned partitions. It runs after the predecessor's
// transaction has ended and before anything is read, so what it finds is exactly what belongs to the committed
// offsets.
func (s *session) restoreParked(ctx context.Context, partitions map[string][]int32) error {
	wanted := make(map[int32]bool)
	for _, ns := range partitions {
		for _, n := range ns {
			wanted[n] = true
		}
	}
	ns := make([]int32, 0, len(wanted))
	for n := range wanted {
		if n < s.w.engine.parkedPartitions {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	newest := make(map[record.Origin]*kgo.Record)
	err := kafka.ReadToEnd(ctx, s.w.env.Kafka, s.plan.Parked, ns, func(r *kgo.Record) error {
		source, err := record.ParseOrigin(string(r.Key))
		if err != nil || !slices.Contains(partitions[source.Topic], source.Partition) {
			return nil // another input's partition of the same number
		}
		if len(r.Value) == 0 {
			delete(newest, source)
		} else {
			newest[source] = r
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("restore parked records: %w", err)
	}
	sources := make([]record.Origin, 0, len(newest))
	for source := range newest {
		sources = append(sources, source)
	}
	slices.SortFunc(sources, func(a, b record.Origin) int { return cmp.Compare(a.Offset, b.Offset) })
	now := time.Now()
	for _, source := range sources {
		t := s.tasks[partition{source.Topic, source.Partition}]
		e, since := s.unpark(t, newest[source], source, now)
		t.restore(e, since, now)
	}
	if len(sources) > 0 {
		s.w.log.Info("parked records restored", "records", len(sources))
	}
	return nil
}

// unpark makes the entry again that was parked.
func (s *session) unpark(t *task, r *kgo.Record, source record.Origin, now time.Time) (*entry, time.Time) {
	raw := &kgo.Record{Topic: source.Topic, Partition: source.Partition, Offset: source.Offset}
	if r.Value[0] == parkedValue {
		raw.Value = bytes.Clone(r.Value[1:])
	}
	cause := &boltError{first: now, class: component.Transient}
	since := now
	for _, h := range r.Headers {
		switch h.Key {
		case headerParkKey:
			raw.Key = append([]byte{}, h.Value...)
		case headerParkSince:
			since = millis(h.Value, now)
			cause.first = since
		case headerParkTime:
			raw.Timestamp = timestamp(h.Value, now)
		case headerParkBolt:
			cause.bolt = string(h.Value)
		case headerParkCause:
			cause.err = errors.New(string(h.Value))
		case headerParkTries:
			cause.attempts, _ = strconv.Atoi(string(h.Value))
		default:
			raw.Headers = append(raw.Headers, kgo.RecordHeader{Key: h.Key, Value: bytes.Clone(h.Value)})
		}
	}
	if cause.err == nil {
		cause.err = errors.New("unknown")
	}
	e := &entry{}
	s.fill(e, t, raw, now)
	s.admit(e) // it was admitted once; this reads its replay headers again
	e.err = cause
	return e, since
}

func timestamp(text []byte, otherwise time.Time) time.Time {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return time.UnixMilli(n)
	}
	return otherwise
}

// millis reads a time of ours in the past.
func millis(text []byte, otherwise time.Time) time.Time {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return otherwise
	}
	if t := time.UnixMilli(n); t.Before(otherwise) {
		return t
	}
	return otherwise // the clock was set back meanwhile: nothing began in the future
}
