package tables_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

// openCluster runs a broker and a Log of it.
func openCluster(t *testing.T) (*tables.Cluster, kafka.Config) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg := kafka.Config{Brokers: []string{b.Addr()}, Log: log}
	cluster, err := tables.OpenCluster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cluster.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster, cfg
}

func connect(t *testing.T, cfg kafka.Config, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(cfg.Options(), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, cfg kafka.Config, name string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(connect(t, cfg)).CreateTopic(t.Context(), partitions, 1, nil, name); err != nil {
		t.Fatal(err)
	}
}

// TestEndsAreBehindTheLastRecord lists what stands behind the last record of a partition: a reader that has read all
// records stands before it, and a wait for it would never end.
func TestEndsAreBehindTheLastRecord(t *testing.T) {
	cluster, cfg := openCluster(t)
	txn := connect(t, cfg, kgo.TransactionalID("w"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	write := func(topic string, n int, how kgo.TransactionEndTry) {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := txn.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := txn.EndTransaction(t.Context(), how); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name string
		fill func(topic string)
		from int64
		want int64
	}{
		{"nothing", func(string) {}, 0, 0},
		{"a committed transaction", func(topic string) { write(topic, 3, kgo.TryCommit) }, 0, 3},
		{"a reader that has read it", func(topic string) { write(topic, 3, kgo.TryCommit) }, 3, 3},
		{"an aborted one behind it", func(topic string) { write(topic, 3, kgo.TryCommit); write(topic, 2, kgo.TryAbort) }, 1, 3},
		{"only aborted ones", func(topic string) { write(topic, 3, kgo.TryAbort) }, 0, 0},
		{"many aborted ones behind it", func(topic string) {
			write(topic, 1, kgo.TryCommit)
			for range 5 {
				write(topic, 30, kgo.TryAbort)
			}
		}, 0, 1},
	}
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			topic := "t" + string(rune('a'+i))
			createTopic(t, cfg, topic, 1)
			tc.fill(topic)
			got, err := cluster.Ends(t.Context(), topic, map[int32]int64{0: tc.from})
			if err != nil || !maps.Equal(got, map[int32]int64{0: tc.want}) {
				t.Errorf("got %v, %v, want %d", got, err, tc.want)
			}
		})
	}
}

func TestEndsWaitForAnOpenTransaction(t *testing.T) {
	cluster, cfg := openCluster(t)
	createTopic(t, cfg, "open", 1)
	txn := connect(t, cfg, kgo.TransactionalID("w"))
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := txn.ProduceSync(t.Context(), &kgo.Record{Topic: "open", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := cluster.Ends(short, "open", map[int32]int64{0: 0}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := txn.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got, err := cluster.Ends(t.Context(), "open", map[int32]int64{0: 0}); err != nil || got[0] != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRecordsGoWhereTheirKeysBelong(t *testing.T) {
	cluster, cfg := openCluster(t)
	createTopic(t, cfg, "in", 8)
	two := int32(2)
	token, written, err := tables.Write(t.Context(), cluster, "in", []client.Record{{Key: []byte("k"), Value: []byte("1")}, {Key: []byte("k"), Partition: &two}})
	if err != nil || len(written) != 2 || written[1].Partition != 2 {
		t.Fatalf("got %v, %+v, %v", token, written, err)
	}
	if _, _, err := tables.Write(t.Context(), cluster, "in", []client.Record{{Key: []byte("old"), Time: at(1)}}); err != nil {
		t.Errorf("a record of long ago: %v", err)
	}
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	r := &kgo.Record{Topic: "in", Key: []byte("k"), Value: []byte("2")}
	if err := plain.ProduceSync(t.Context(), r).FirstErr(); err != nil || r.Partition != written[0].Partition {
		t.Errorf("another client put the key into %d, %v, ours into %d", r.Partition, err, written[0].Partition)
	}
	if _, _, err := tables.Write(t.Context(), cluster, "nowhere", []client.Record{{}}); !errors.Is(err, tables.ErrNoTopic) {
		t.Errorf("got %v", err)
	}
	if _, err := cluster.Stable(t.Context(), "nowhere"); !errors.Is(err, tables.ErrNoTopic) {
		t.Errorf("got %v", err)
	}
	nine := int32(9)
	if _, _, err := tables.Write(t.Context(), cluster, "in", []client.Record{{Partition: &nine}}); err == nil {
		t.Error("a partition that there is not was written to")
	}
}

func TestFollowVisitsWhatIsCommitted(t *testing.T) {
	cluster, cfg := openCluster(t)
	createTopic(t, cfg, "log", 2)
	if _, _, err := tables.Write(t.Context(), cluster, "log", []client.Record{{Key: []byte("a"), Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	stable, err := cluster.Stable(t.Context(), "log")
	if err != nil || len(stable) != 2 {
		t.Fatalf("got %v, %v", stable, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- cluster.Follow(ctx, "log", stable, func(r *kgo.Record) error {
			seen <- string(r.Value)
			return nil
		})
	}()
	if _, _, err := tables.Write(t.Context(), cluster, "log", []client.Record{{Key: []byte("a"), Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-seen:
		if got != "2" {
			t.Errorf("got %s", got)
		}
	case <-time.After(long):
		t.Error("waited in vain")
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
