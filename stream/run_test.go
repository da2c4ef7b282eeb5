package stream_test

import (
	"context"
	"encoding/binary"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
)

func TestARunBringsUpABrokerAndStops(t *testing.T) {
	topo := stream.New("upper")
	stream.MapValues(stream.From(topo, text("lines")), strings.ToUpper).To(text("upper"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ready := false
	err := topo.Run(ctx, stream.Options{Dir: t.TempDir(), Ready: func(r stream.Running) {
		ready = true
		if len(r.Brokers()) != 1 || len(r.Conditions()) != 0 {
			t.Errorf("brokers %v, conditions %v", r.Brokers(), r.Conditions())
		}
		cancel()
	}})
	if err != nil || !ready {
		t.Fatalf("run: %v, ready %v", err, ready)
	}
}

// wordcount is the topology of the package's own documentation.
func wordcount() *stream.Topology {
	t := stream.New("wordcount")
	words := stream.FlatMapValues(stream.From(t, text("lines")), strings.FieldsSeq)
	totals := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("totals"))
	totals.To(numbers("counts"))
	return t
}

func TestWordCountGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	for _, round := range []struct {
		line string
		want map[string]int64
	}{
		{"to be or not to be", map[string]int64{"to": 2, "be": 2, "or": 1, "not": 1}},
		{"to do", map[string]int64{"to": 3, "be": 2, "or": 1, "not": 1, "do": 1}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		got := make(map[string]int64)
		err := wordcount().Run(ctx, stream.Options{Dir: dir, Ready: func(r stream.Running) {
			go func() {
				defer cancel()
				talk(ctx, t, r.Brokers(), round.line, got, round.want)
			}()
		}})
		cancel()
		if err != nil || !maps.Equal(got, round.want) {
			t.Fatalf("run: %v; counts %v, want %v", err, got, round.want)
		}
	}
}

// talk writes a line and reads the counts until they are as wanted.
func talk(ctx context.Context, t *testing.T, brokers []string, line string, got, want map[string]int64) {
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "lines", Key: []byte("1"), Value: []byte(line)}).FirstErr(); err != nil {
		t.Error(err)
	}
	for !maps.Equal(got, want) && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = int64(binary.BigEndian.Uint64(r.Value))
		})
	}
}
