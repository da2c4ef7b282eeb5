package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// BenchmarkReadBatches is a restore without a store: 100-byte values with 16-byte keys, from the embedded broker.
func BenchmarkReadBatches(b *testing.B) {
	const records, partitions = 1_000_000, 2
	started, err := broker.Start(b.Context(), broker.Options{Dir: b.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = started.Close() }()
	cfg := kafka.Config{Brokers: []string{started.Addr()}, Log: slog.New(slog.DiscardHandler)}
	for _, codec := range []struct {
		name string
		opt  kgo.CompressionCodec
	}{{"plain", kgo.NoCompression()}, {"snappy", kgo.SnappyCompression()}} {
		b.Run(codec.name, func(b *testing.B) {
			fill(b, cfg, codec.name, codec.opt, partitions, records)
			for b.Loop() {
				n := 0
				ranges := map[int32]kafka.Range{0: {To: records / partitions}, 1: {To: records / partitions}}
				err := kafka.ReadBatches(b.Context(), cfg, codec.name, ranges, func(batch kafka.Batch) error {
					n += len(batch.Records)
					return nil
				})
				if err != nil || n != records {
					b.Fatal(n, err)
				}
			}
			b.SetBytes(records * 116)
		})
	}
}

func fill(b *testing.B, cfg kafka.Config, topic string, codec kgo.CompressionCodec, partitions int32, records int) {
	b.Helper()
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	if _, err := a.EnsureTopics(b.Context(), []kafka.TopicWish{{Name: topic, Partitions: int(partitions)}}); err != nil {
		b.Fatal(err)
	}
	client, err := kgo.NewClient(append(cfg.Options(), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for i := range records {
		value := make([]byte, 100)
		copy(value, fmt.Sprintf("value %d of many, which are alike but not the same", i))
		client.Produce(context.WithoutCancel(b.Context()), &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Key: fmt.Appendf(nil, "key%013d", i), Value: value}, nil)
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
