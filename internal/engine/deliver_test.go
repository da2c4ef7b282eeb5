package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// strictSink is a sink that, as all of them, knows its position and nothing of the offsets of what it is given.
type strictSink struct {
	position int64
	got      []int64
}

func (s *strictSink) Position(context.Context, component.Partition) (int64, bool, error) {
	return s.position, true, nil
}

func (s *strictSink) Deliver(_ context.Context, _ component.Partition, from, next int64, records []*record.Record) error {
	if from != s.position {
		return component.ErrMoved
	}
	if next < from {
		return fmt.Errorf("the position goes back from %d to %d", from, next)
	}
	s.position = next
	for _, r := range records {
		s.got = append(s.got, r.Origin.Offset)
	}
	return nil
}

func (s *strictSink) Close() error { return nil }

// TestDeliveryTakesNothingTwice gives a delivery its partition back while a batch of it is under way: it then reads
// what that batch delivers a second time. Found by test/crash with paused workers.
func TestDeliveryTakesNothingTwice(t *testing.T) {
	batch := func(from, to int64) kgo.FetchTopicPartition {
		var fp kgo.FetchTopicPartition
		fp.Topic = "x"
		for at := from; at < to; at++ {
			fp.Records = append(fp.Records, &kgo.Record{Topic: "x", Offset: at})
		}
		return fp
	}
	for _, c := range []struct {
		name     string
		batches  []kgo.FetchTopicPartition
		position int64
	}{
		{"one after the other", []kgo.FetchTopicPartition{batch(0, 3), batch(3, 6)}, 6},
		{"the same again", []kgo.FetchTopicPartition{batch(0, 3), batch(0, 3)}, 3},
		{"the same and more", []kgo.FetchTopicPartition{batch(0, 3), batch(0, 6)}, 6},
		{"less than before: the position does not go back", []kgo.FetchTopicPartition{batch(0, 6), batch(0, 3)}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &delivery{plan: &topology.Delivery{}, engine: &Engine{}, next: map[component.Partition]int64{}}
			d.next[d.partition("x", 0)] = 0
			sink := &strictSink{}
			for _, fp := range c.batches {
				if err := d.deliver(t.Context(), sink, fp); err != nil {
					t.Fatal(err)
				}
			}
			want := make([]int64, c.position)
			for i := range want {
				want[i] = int64(i)
			}
			if sink.position != c.position || !slices.Equal(sink.got, want) {
				t.Errorf("position %d, delivered %v", sink.position, sink.got)
			}
		})
	}
}
