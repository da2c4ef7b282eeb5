package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// TestAheadIsWhatACommittedReaderWouldBeGiven asks at offsets behind which the log goes on in all cases but one.
func TestAheadIsWhatACommittedReaderWouldBeGiven(t *testing.T) {
	cfg := start(t)
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	plain, txn := connect(t, cfg), connect(t, cfg, kgo.TransactionalID("foreign"))
	write := func(topic string, decide ...kgo.TransactionEndTry) {
		begin(t, txn)
		produce(t, txn, topic, 0, "in a transaction")
		for _, d := range decide {
			end(t, txn, d)
		}
	}
	for i, c := range []struct {
		name string
		fill func(topic string)
		from int64
		want kafka.Ahead
	}{
		{"the end of the log", func(topic string) { produce(t, plain, topic, 0, "a") }, 1, kafka.Ahead{Offset: 1}},
		{"a record", func(topic string) { produce(t, plain, topic, 0, "a", "b") }, 1, kafka.Ahead{Offset: 1, Record: true}},
		{"a committed transaction", func(topic string) { write(topic, kgo.TryCommit) }, 0, kafka.Ahead{Record: true}},
		{"the marker of a committed transaction", func(topic string) { write(topic, kgo.TryCommit) }, 1, kafka.Ahead{Offset: 2}},
		{"an aborted transaction", func(topic string) { write(topic, kgo.TryAbort) }, 0, kafka.Ahead{Offset: 2}},
		{"a record behind an aborted transaction", func(topic string) { write(topic, kgo.TryAbort); produce(t, plain, topic, 0, "a") }, 0, kafka.Ahead{Offset: 2, Record: true}},
		{"deleted records", func(topic string) {
			produce(t, plain, topic, 0, "a", "b")
			all := kadm.Offsets{}
			all.AddOffset(topic, 0, 2, -1)
			if _, err := kadm.NewClient(plain).DeleteRecords(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		}, 0, kafka.Ahead{Offset: 2}},
		{"an open transaction, and a record behind it", func(topic string) { write(topic); produce(t, plain, topic, 0, "a") }, 0, kafka.Ahead{}}, // the last: it stays open
	} {
		t.Run(c.name, func(t *testing.T) {
			at := kafka.TopicPartition{Topic: fmt.Sprintf("u%d", i)}
			createTopic(t, cfg, at.Topic, 1, nil)
			c.fill(at.Topic)
			got, err := admin.Ahead(within(t, 10*time.Second), map[kafka.TopicPartition]int64{at: c.from})
			if err != nil || len(got) != 1 || got[at] != c.want {
				t.Fatalf("from %d on: %+v (%v), want %+v", c.from, got, err, c.want)
			}
		})
	}
}
