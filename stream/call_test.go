package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestACallGivesValuesAndLeavesTheRest(t *testing.T) {
	got := drive(t, "a=1 b=2 a=- b=3", func(_ *stream.Topology, in stream.Stream[string, string]) stream.Stream[string, string] {
		return stream.Call(in, func(_ context.Context, r stream.Record[string, string]) (string, error) { return r.Key + r.Value, nil })
	})
	want(t, "results", got, "a=a1 b=b2 a=- b=b3")
}

func TestACallThatPanicsOrRefusesForGoodMakesADeadLetter(t *testing.T) {
	topo := stream.New("t")
	stream.Call(stream.From(topo, text("in")), func(_ context.Context, r stream.Record[string, string]) (string, error) {
		if r.Value == "panic" {
			panic("no")
		}
		return "", stream.Permanent(errors.New("never"))
	}).To(text("out"))
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, text("in")), "a=panic b=2")
	if dead := d.DeadLetters(); len(dead) != 2 || dead[0].Node != "call" {
		t.Errorf("dead letters: %v, want both records", dead)
	}
}

// What comes of state is handed over by a topic, so that a call never keeps state waiting, and a call may be followed by
// state.
func TestACallStandsBeforeAndBehindState(t *testing.T) {
	topo := stream.New("t")
	counted := stream.From(topo, text("in")).GroupByKey().Count().Changes()
	called := stream.Call(counted, func(_ context.Context, r stream.Record[string, int64]) (int64, error) { return 10 * r.Value, nil })
	called.GroupByKey().Reduce(func(so, next int64) int64 { return so + next }).To(numbers("out"))
	d := streamtest.New(t, topo, streamtest.Partitions(3))
	send(streamtest.Input(d, text("in")), "a=x a=x b=x")
	want(t, "sums", shown(streamtest.Output(d, numbers("out")).Records()), "a=10 a=30 b=10")
}

// On a broker: calls of different keys wait at the same time, and one that fails is tried again.
func TestCallsWaitAtOnceAndAreTriedAgain(t *testing.T) {
	const keys = 4
	var waiting sync.WaitGroup
	waiting.Add(keys)
	var failed atomic.Int32
	topo := stream.New("calls")
	out := text("called").Partitions(1)
	called := stream.Call(stream.From(topo, text("lines").Partitions(1)), func(ctx context.Context, r stream.Record[string, string]) (string, error) {
		if r.Value == "again" {
			if failed.Add(1) == 1 {
				return "", errors.New("not now")
			}
			return "done", nil
		}
		waiting.Done()
		met := make(chan struct{})
		go func() { waiting.Wait(); close(met) }()
		select {
		case <-met:
			return "met", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	called.To(out)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	got := map[string]string{}
	err := topo.Run(ctx, stream.Options{Dir: t.TempDir(), Ready: func(r stream.Running) {
		go func() {
			defer cancel()
			ask(ctx, t, r.Brokers(), got, keys+1)
		}()
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		want(t, key, got[key], "met")
	}
	want(t, "e", got["e"], "done")
	if failed.Load() != 2 {
		t.Errorf("called %d times, want 2", failed.Load())
	}
}

// ask writes the lines and reads so many results.
func ask(ctx context.Context, t *testing.T, brokers []string, got map[string]string, n int) {
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("called"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for _, key := range []string{"e", "a", "b", "c", "d"} {
		value := "wait"
		if key == "e" {
			value = "again"
		}
		c.Produce(ctx, &kgo.Record{Topic: "lines", Key: []byte(key), Value: []byte(value)}, nil)
	}
	for len(got) < n && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got[string(r.Key)] = string(r.Value) })
	}
}
