package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

func readAll(t *testing.T, ctx context.Context, cfg kafka.Config, topic string) ([]string, error) {
	t.Helper()
	var got []string
	err := kafka.ReadToEnd(ctx, cfg, topic, nil, func(r *kgo.Record) error {
		got = append(got, fmt.Sprintf("%d:%s", r.Partition, r.Value))
		return nil
	})
	slices.Sort(got)
	return got, err
}

// TestReadToEndReturnsWhereAWaitForRecordsWouldHang lists the tails that hold nothing a consumer would be given.
func TestReadToEndReturnsWhereAWaitForRecordsWouldHang(t *testing.T) {
	cfg := start(t)
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	txn := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("reader"))
	cases := []struct {
		name string
		fill func(t *testing.T, topic string)
		want []string
	}{
		{"empty topic", func(*testing.T, string) {}, nil},
		{"plain records", func(t *testing.T, topic string) {
			produce(t, plain, topic, 0, "a", "b")
			produce(t, plain, topic, 1, "c")
		}, []string{"0:a", "0:b", "1:c"}},
		{"commit marker at the end", func(t *testing.T, topic string) {
			begin(t, txn)
			produce(t, txn, topic, 0, "a")
			end(t, txn, kgo.TryCommit)
		}, []string{"0:a"}},
		{"only aborted data", func(t *testing.T, topic string) {
			begin(t, txn)
			produce(t, txn, topic, 0, "x", "y")
			end(t, txn, kgo.TryAbort)
		}, nil},
		{"aborted tail behind committed data", func(t *testing.T, topic string) {
			produce(t, plain, topic, 1, "a")
			begin(t, txn)
			produce(t, txn, topic, 1, "x")
			end(t, txn, kgo.TryAbort)
		}, []string{"1:a"}},
		{"many aborted and committed transactions", func(t *testing.T, topic string) {
			for i := range 20 {
				begin(t, txn)
				produce(t, txn, topic, 0, fmt.Sprintf("%02d", i))
				end(t, txn, kgo.TransactionEndTry(i%2 == 0))
			}
		}, []string{"0:00", "0:02", "0:04", "0:06", "0:08", "0:10", "0:12", "0:14", "0:16", "0:18"}},
		{"everything deleted", func(t *testing.T, topic string) {
			produce(t, plain, topic, 0, "x", "y")
			offsets := kadm.Offsets{}
			offsets.AddOffset(topic, 0, 2, -1)
			if _, err := kadm.NewClient(plain).DeleteRecords(t.Context(), offsets); err != nil {
				t.Fatal(err)
			}
		}, nil},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			topic := fmt.Sprintf("t%d", i)
			createTopic(t, cfg, topic, 2, nil)
			c.fill(t, topic)
			got, err := readAll(t, within(t, 10*time.Second), cfg, topic)
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("read %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestReadToEndWaitsForAnOpenTransaction(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%v", commit), func(t *testing.T) {
			cfg := start(t)
			createTopic(t, cfg, "held", 1, nil)
			txn := connect(t, cfg, kgo.TransactionalID("foreign"))
			begin(t, txn)
			produce(t, txn, "held", 0, "a")
			produce(t, connect(t, cfg), "held", 0, "b")

			_, err := readAll(t, within(t, 600*time.Millisecond), cfg, "held")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("with the transaction open: %v; want the deadline", err)
			}
			done := make(chan struct{})
			var got []string
			go func() {
				defer close(done)
				got, err = readAll(t, within(t, 10*time.Second), cfg, "held")
			}()
			end(t, txn, kgo.TransactionEndTry(commit))
			<-done
			want := map[bool][]string{true: {"0:a", "0:b"}, false: {"0:b"}}[commit]
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("read %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestReadToEndLeavesOutWhatCameLater(t *testing.T) {
	cfg := start(t)
	createTopic(t, cfg, "growing", 1, nil)
	client := connect(t, cfg)
	produce(t, client, "growing", 0, "a", "b")
	seen := 0
	err := kafka.ReadToEnd(within(t, 10*time.Second), cfg, "growing", nil, func(*kgo.Record) error {
		produce(t, client, "growing", 0, "later")
		seen++
		return nil
	})
	if err != nil || seen != 2 {
		t.Fatalf("saw %d, %v; want 2", seen, err)
	}
}

func TestReadToEndReportsWhatIsWrong(t *testing.T) {
	cfg := start(t)
	createTopic(t, cfg, "small", 1, nil)
	produce(t, connect(t, cfg), "small", 0, "a")
	stop := errors.New("enough")
	cases := []struct {
		name       string
		topic      string
		partitions []int32
		want       string
	}{
		{"a missing topic", "nowhere", nil, `read topic "nowhere": UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.`},
		{"a missing partition", "small", []int32{7}, `read topic "small": it has no partition 7`},
		{"the visitor's own error", "small", nil, "enough"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := kafka.ReadToEnd(within(t, 10*time.Second), cfg, c.topic, c.partitions, func(*kgo.Record) error { return stop })
			if err == nil || err.Error() != c.want {
				t.Fatalf("got %v; want %s", err, c.want)
			}
		})
	}
}

// TestReadBatchesTellsThatTheLogHasLostWhatWasToBeRead: retention may be faster than a restore.
func TestReadBatchesTellsThatTheLogHasLostWhatWasToBeRead(t *testing.T) {
	cfg := start(t)
	createTopic(t, cfg, "shrinking", 1, nil)
	client := connect(t, cfg, kgo.ProducerBatchCompression(kgo.NoCompression()))
	large := strings.Repeat("v", 900_000)
	for range 20 { // five answers
		produce(t, client, "shrinking", 0, large)
	}
	a := admin(t, cfg)
	var seen []string
	err := kafka.ReadBatches(within(t, 20*time.Second), cfg, "shrinking", map[int32]kafka.Range{0: {From: 0, To: 20}}, func(b kafka.Batch) error {
		if len(seen) == 0 {
			if err := a.DeleteRecords(t.Context(), map[kafka.TopicPartition]int64{{Topic: "shrinking"}: 19}); err != nil {
				return err
			}
		}
		seen = append(seen, fmt.Sprintf("%d to %d, lost %v", len(b.Records), b.Next, b.Lost))
		return nil
	})
	if err != nil || !slices.Contains(seen, "0 to 19, lost true") || seen[len(seen)-1] != "1 to 20, lost false" {
		t.Fatalf("saw %q, %v", seen, err)
	}
	err = kafka.ReadBatches(within(t, 20*time.Second), cfg, "shrinking", map[int32]kafka.Range{0: {From: 25, To: 30}}, func(kafka.Batch) error { return nil })
	if !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("from behind the end: %v", err)
	}
}
