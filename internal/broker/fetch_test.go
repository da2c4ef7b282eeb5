package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// TestCommittedReadersNeverSeeAbortedRecords reads with a limit for the whole answer that is reached in the middle of a
// partition: the cluster itself leaves out there which transactions were aborted.
func TestCommittedReadersNeverSeeAbortedRecords(t *testing.T) {
	b := start(t, options(t.TempDir()))
	const partitions, rounds = 8, 20
	createTopic(t, b.Addr(), "mixed", partitions)
	client := connect(t, b.Addr(), kgo.TransactionalID("mixed"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	for round := range rounds {
		writeTransaction(t, client, fmt.Sprintf("committed %d", round), partitions, kgo.TryCommit)
		writeTransaction(t, client, fmt.Sprintf("aborted %d", round), partitions, kgo.TryAbort)
	}
	for name, reader := range map[string]func(*testing.T, *broker.Broker, func(*kgo.Record)){
		"a consumer": func(t *testing.T, b *broker.Broker, visit func(*kgo.Record)) {
			consume(t, b.Addr(), partitions*rounds, visit)
		},
		"reading to the end": func(t *testing.T, b *broker.Broker, visit func(*kgo.Record)) {
			err := kafka.ReadToEnd(t.Context(), kafka.Config{Brokers: []string{b.Addr()}}, "mixed", nil, func(r *kgo.Record) error {
				visit(r)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			committed := 0
			reader(t, b, func(r *kgo.Record) {
				if !strings.HasPrefix(string(r.Key), "committed") {
					t.Errorf("partition %d offset %d: %s", r.Partition, r.Offset, r.Key)
				}
				committed++
			})
			if committed != partitions*rounds {
				t.Errorf("%d committed records, want %d", committed, partitions*rounds)
			}
		})
	}
}

// writeTransaction writes 200 KB to each partition, so that 16 MB and more lie there after some rounds.
func writeTransaction(t *testing.T, client *kgo.Client, key string, partitions int32, end kgo.TransactionEndTry) {
	t.Helper()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		client.Produce(t.Context(), &kgo.Record{Topic: "mixed", Partition: p, Key: []byte(key), Value: make([]byte, 200<<10)}, nil)
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
}

func consume(t *testing.T, addr string, want int, visit func(*kgo.Record)) {
	t.Helper()
	client := connect(t, addr, kgo.ConsumeTopics("mixed"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(2<<20), kgo.FetchMaxPartitionBytes(900<<10))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for got := 0; got < want && ctx.Err() == nil; {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got++
			visit(r)
		})
	}
}
