package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
)

// pairing joins two topics, each a table.
func pairing() *stream.Topology {
	t := stream.New("pairing")
	left, right := stream.TableOf(t, text("left").Partitions(1)), stream.TableOf(t, text("right").Partitions(1))
	stream.JoinTables(left, right, func(l, r string) string { return l + r }).To(text("pairs").Partitions(1))
	return t
}

// After a restart, an input that was read to its end and has nothing new keeps nobody waiting.
func TestAnInputWithNothingNewKeepsNobodyWaitingAfterARestart(t *testing.T) {
	dir := t.TempDir()
	first := pairUp(t, dir, "12", &kgo.Record{Topic: "right", Key: []byte("k"), Value: []byte("2")}, &kgo.Record{Topic: "left", Key: []byte("k"), Value: []byte("1")})
	second := pairUp(t, dir, "32", &kgo.Record{Topic: "left", Key: []byte("k"), Value: []byte("3")})
	if second > first+5*time.Second {
		t.Errorf("a result took %s after a restart, %s before", second, first)
	}
}

// pairUp runs the topology, writes records, and says how long it took until the result came.
func pairUp(t *testing.T, dir, want string, records ...*kgo.Record) (took time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	err := pairing().Run(ctx, stream.Options{Dir: dir, Ready: func(r stream.Running) {
		go func() {
			defer cancel()
			began := time.Now()
			awaitPair(ctx, t, r.Brokers(), want, records)
			took = time.Since(began)
		}()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func awaitPair(ctx context.Context, t *testing.T, brokers []string, want string, records []*kgo.Record) {
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("pairs"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Error(err)
	}
	for got := ""; got != want; {
		if ctx.Err() != nil {
			t.Errorf("the result is %q, want %q", got, want)
			return
		}
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = string(r.Value) })
	}
}
