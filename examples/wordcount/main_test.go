package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
	"ravenswood.dev/stream/tables"
	"ravenswood.dev/test/kafka/apache"
)

// TestWordsAreCountedWhateverTheirCase tells the story in virtual time, without a broker.
func TestWordsAreCountedWhateverTheirCase(t *testing.T) {
	d := streamtest.New(t, wordcount(), streamtest.Partitions(3))
	in, out := streamtest.Input(d, lines), streamtest.Output(d, counts)
	in.Send("1", "To be or  not to be")
	in.Send("1", "")
	d.Restart()
	in.Send("2", "To do")
	got := make(map[string]int64)
	for _, r := range out.Records() {
		if r.Value != got[r.Key]+1 {
			t.Errorf("%s goes from %d to %d", r.Key, got[r.Key], r.Value)
		}
		got[r.Key] = r.Value
	}
	if want := (map[string]int64{"to": 3, "be": 2, "or": 1, "not": 1, "do": 1}); !maps.Equal(got, want) {
		t.Errorf("counts are %v, want %v", got, want)
	}
}

// TestCountsGoOnAfterARestart runs the program's topology twice on the embedded broker, over one folder.
func TestCountsGoOnAfterARestart(t *testing.T) { restart(t) }

// TestCountsGoOnAfterARestartOnApacheKafka is the same on a cluster.
func TestCountsGoOnAfterARestartOnApacheKafka(t *testing.T) {
	kafka := apache.ForTest(t, "Apache Kafka takes some seconds to start", apache.Options{})
	restart(t, kafka.Addrs()...)
}

func restart(t *testing.T, brokers ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, round := range []struct {
		line string
		want map[string]int64
	}{
		{"to be or not to be", map[string]int64{"to": 2, "be": 2, "or": 1, "not": 1}},
		{"To do", map[string]int64{"to": 3, "be": 2, "or": 1, "not": 1, "do": 1}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		said := make(chan error, 1)
		err := wordcount().Run(ctx, stream.Options{Brokers: brokers, Dir: dir, AdminAddr: "127.0.0.1:0", Ready: func(r stream.Running) {
			go func() {
				defer cancel()
				said <- errors.Join(talk(ctx, r.Brokers(), round.line, round.want), listed(ctx, r.Admin()))
			}()
		}})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := <-said; err != nil {
			t.Fatalf("%q does not make the counts %v: %v", round.line, round.want, err)
		}
	}
}

// listed looks whether the table says that its values are whole numbers, so that people see them as such.
func listed(ctx context.Context, admin string) error {
	list, err := tables.NewClient(tables.Options{}, admin).Tables(ctx, "wordcount")
	if err == nil && (len(list) != 1 || list[0].Values != tables.Int64) {
		err = fmt.Errorf("the tables are %+v", list)
	}
	return err
}

// talk writes a line, and reads what was ever counted until it comes to what is wanted.
func talk(ctx context.Context, brokers []string, line string, want map[string]int64) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(counts.Name()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: lines.Name(), Value: []byte(line)}).FirstErr(); err != nil {
		return err
	}
	for got := make(map[string]int64); !maps.Equal(got, want); {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = int64(binary.BigEndian.Uint64(r.Value))
		})
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
