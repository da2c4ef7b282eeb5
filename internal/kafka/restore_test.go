package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// restore reads a partition of a changelog from 0 to its uncommitted end, as a task does, into a map. It returns the
// position it ends at, which is what the task would store.
func restore(ctx context.Context, t *testing.T, cfg kafka.Config, topic string) (rows map[string]string, next int64, err error) {
	t.Helper()
	ends, err := admin(t, cfg).EndOffsets(ctx, topic)
	if err != nil {
		return nil, 0, err
	}
	rows = map[string]string{}
	ranges := map[int32]kafka.Range{0: {To: ends[kafka.TopicPartition{Topic: topic}]}}
	err = kafka.ReadBatches(ctx, cfg, topic, ranges, func(b kafka.Batch) error {
		if b.Next < next {
			t.Errorf("the position goes back from %d to %d", next, b.Next)
		}
		next = b.Next
		for _, r := range b.Records {
			if r.Value == nil {
				delete(rows, string(r.Key))
			} else {
				rows[string(r.Key)] = string(r.Value)
			}
		}
		return nil
	})
	return rows, next, err
}

// TestRestoreEndsWithWhatWasCommittedAndAtTheEnd lists changelogs on which somebody's restore has hung or gone wrong.
func TestRestoreEndsWithWhatWasCommittedAndAtTheEnd(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	plain := connect(t, cfg, kgo.ProducerBatchMaxBytes(2<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	txn := connect(t, cfg, kgo.TransactionalID("worker"))
	put := func(t *testing.T, cl *kgo.Client, topic, key string, value []byte) {
		t.Helper()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte(key), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	transaction := func(t *testing.T, outcome kgo.TransactionEndTry, puts func()) {
		t.Helper()
		begin(t, txn)
		puts()
		end(t, txn, outcome)
	}
	megabyte := bytes.Repeat([]byte("v"), 1<<20)
	cases := []struct {
		name string
		fill func(t *testing.T, topic string)
		want map[string]string
		next int64
	}{
		{"no records", func(*testing.T, string) {}, map[string]string{}, 0},
		{"markers between and behind the records", func(t *testing.T, topic string) {
			for i := range 5 {
				transaction(t, kgo.TransactionEndTry(i != 3), func() { put(t, txn, topic, "k", fmt.Append(nil, i)) })
			}
		}, map[string]string{"k": "4"}, 10},
		{"only aborted data", func(t *testing.T, topic string) {
			transaction(t, kgo.TryAbort, func() { put(t, txn, topic, "k", []byte("v")); put(t, txn, topic, "l", []byte("v")) })
		}, map[string]string{}, 3},
		{"tombstones", func(t *testing.T, topic string) {
			transaction(t, kgo.TryCommit, func() { put(t, txn, topic, "k", []byte("v")); put(t, txn, topic, "l", []byte{}) })
			transaction(t, kgo.TryCommit, func() { put(t, txn, topic, "k", nil) })
		}, map[string]string{"l": ""}, 5},
		{"records of a megabyte", func(t *testing.T, topic string) {
			for i := range 9 { // more than one answer
				put(t, plain, topic, fmt.Sprint("k", i%2), append(slices.Clip(megabyte), byte('0'+i)))
			}
		}, map[string]string{"k0": string(megabyte) + "8", "k1": string(megabyte) + "7"}, 9},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			topic := fmt.Sprintf("changelog%d", i)
			createTopic(t, cfg, topic, 1, map[string]string{"max.message.bytes": fmt.Sprint(4 << 20)})
			c.fill(t, topic)
			rows, next, err := restore(within(t, 20*time.Second), t, cfg, topic)
			if err != nil || len(rows) != len(c.want) {
				t.Fatalf("%d rows, %v; want %d", len(rows), err, len(c.want))
			}
			for k, v := range c.want {
				if got, ok := rows[k]; !ok || got != v {
					t.Errorf("%q is %.20q; want %.20q", k, got, v)
				}
			}
			if next != c.next {
				t.Errorf("it ends at %d; want %d", next, c.next)
			}
		})
	}
}

// TestRestoreWaitsUntilAnOpenTransactionIsDecided: what is decided may reach this partition after the offsets that go with
// it, so the end of what is committed is not the end. A transaction that nobody ends is ended by its successor, or by the
// broker when it has been open for too long.
func TestRestoreWaitsUntilAnOpenTransactionIsDecided(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		timeout time.Duration
		decide  func(t *testing.T, cfg kafka.Config, open *kgo.Client)
		want    string
	}{
		{"by its owner", time.Minute, func(t *testing.T, _ kafka.Config, open *kgo.Client) { end(t, open, kgo.TryCommit) }, "open"},
		{"by a successor of the same id", time.Minute, func(t *testing.T, cfg kafka.Config, _ *kgo.Client) {
			if _, _, err := connect(t, cfg, kgo.TransactionalID("foreign")).ProducerID(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "before"},
		{"by the broker", 1500 * time.Millisecond, func(*testing.T, kafka.Config, *kgo.Client) {}, "before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := start(t)
			createTopic(t, cfg, "changelog", 1, nil)
			produce(t, connect(t, cfg), "changelog", 0, "before")
			open := connect(t, cfg, kgo.TransactionalID("foreign"), kgo.TransactionTimeout(c.timeout))
			begin(t, open)
			produce(t, open, "changelog", 0, "open")

			_, _, err := restore(within(t, 600*time.Millisecond), t, cfg, "changelog")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("with the transaction open: %v; want the deadline", err)
			}
			c.decide(t, cfg, open)
			rows, _, err := restore(within(t, 25*time.Second), t, cfg, "changelog")
			if err != nil || rows["k"] != c.want {
				t.Errorf("restored %v, %v; want %q", rows, err, c.want)
			}
		})
	}
}

// TestNothingIsSkippedOrReadTwiceWhenATransactionIsAbortedWithAFullBuffer: clients have handed out records that they had
// fetched already although the position was set back by the abort (twmb/franz-go#1222).
func TestNothingIsSkippedOrReadTwiceWhenATransactionIsAbortedWithAFullBuffer(t *testing.T) {
	t.Parallel()
	const records, commitEvery = 3000, 700
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	createTopic(t, cfg, "out", 1, nil)
	filler := connect(t, cfg)
	for i := range records {
		filler.Produce(t.Context(), &kgo.Record{Topic: "in", Value: fmt.Append(nil, i)}, nil)
	}
	if err := filler.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	next, aborts := int64(0), 0
	for next < records {
		m := joinGroup(t, cfg, "w0", []string{"in"}, nil)
		at := max(m.copyUpTo(t, next, next+commitEvery), next)
		if err := m.Commit(t.Context(), kafka.Offsets{"in": {0: at}}, noStep); err != nil {
			t.Fatal(err)
		}
		if next = at; next < records { // what is buffered goes on being handed out, then everything is thrown away
			m.copyUpTo(t, next, next+10)
			m.Abort(t.Context())
			aborts++
		}
		m.Close()
	}
	var got []string
	if err := kafka.ReadToEnd(within(t, 20*time.Second), cfg, "out", nil, func(r *kgo.Record) error {
		got = append(got, string(r.Value))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range records {
		want = append(want, fmt.Sprint(i))
	}
	if aborts < 3 || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("after %d aborts there are %d records for %d", aborts, len(got), len(want))
	}
}

// copyUpTo copies records from "in" to "out", from one offset up to another, and returns where it stopped: the client has
// read on by then.
func (m *member) copyUpTo(t *testing.T, from, to int64) (next int64) {
	t.Helper()
	next = from
	ctx := within(t, 20*time.Second)
	for next < to && next < 3000 {
		fetches, err := m.Poll(ctx, int(to-next))
		if err != nil || ctx.Err() != nil {
			t.Fatal(err, ctx.Err())
		}
		for _, r := range fetches.Records() {
			if r.Attrs.IsControl() {
				continue
			}
			if r.Offset != next {
				t.Fatalf("read offset %d; want %d", r.Offset, next)
			}
			m.Produce(ctx, &kgo.Record{Topic: "out", Value: r.Value})
			next = r.Offset + 1
		}
	}
	return next
}
