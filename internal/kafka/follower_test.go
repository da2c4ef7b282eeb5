package kafka_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// followed is a Follower and what it told.
type followed struct {
	*kafka.Follower

	mu   sync.Mutex
	got  map[kafka.TopicPartition][]string
	lost []string
	fail error // for Batch to answer with
}

func follow(t *testing.T, cfg kafka.Config) *followed {
	t.Helper()
	f := &followed{got: map[kafka.TopicPartition][]string{}}
	follower, err := kafka.NewFollower(kafka.FollowerConfig{Config: cfg, Batch: f.batch, Lost: func(tp kafka.TopicPartition, start int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lost = append(f.lost, fmt.Sprintf("%s/%d now begins at %d", tp.Topic, tp.Partition, start))
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.Follower = follower
	t.Cleanup(follower.Close)
	return f
}

func (f *followed) batch(b kafka.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	tp := kafka.TopicPartition{Topic: b.Topic, Partition: b.Partition}
	for _, r := range b.Records {
		f.got[tp] = append(f.got[tp], string(r.Value))
	}
	return f.fail
}

func (f *followed) values(topic string, partition int32) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.got[kafka.TopicPartition{Topic: topic, Partition: partition}], " ")
}

func (f *followed) has(topic string, partition int32, want string) func() string {
	return func() string {
		if got := f.values(topic, partition); got != want {
			return fmt.Sprintf("of %s/%d it has %q; want %q", topic, partition, got, want)
		}
		return ""
	}
}

func (f *followed) lags(topic string, partition int32, want int64) func() string {
	return func() string {
		lag, ok := f.Positions()[kafka.TopicPartition{Topic: topic, Partition: partition}].Lag()
		if !ok || lag != want {
			return fmt.Sprintf("its lag is %d %v; want %d", lag, ok, want)
		}
		return ""
	}
}

func TestFollowerTellsWhatIsCommittedAndOnlyThat(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "a", 2, nil)
	createTopic(t, cfg, "b", 1, nil)
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	txn := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("writer"))
	produce(t, plain, "a", 0, "1", "2")
	produce(t, plain, "b", 0, "x", "y", "z")

	f := follow(t, cfg)
	f.Add("a", 0, -1)
	f.Add("a", 1, 0)
	f.Add("b", 0, 1)
	becomes(t, f.has("a", 0, "1 2"))
	becomes(t, f.has("b", 0, "y z"))

	begin(t, txn)
	produce(t, txn, "a", 0, "aborted")
	end(t, txn, kgo.TryAbort)
	begin(t, txn)
	produce(t, txn, "a", 0, "3")
	produce(t, txn, "a", 1, "4")
	produce(t, plain, "b", 0, "after")
	becomes(t, f.has("b", 0, "y z after"))
	if got := f.values("a", 0); got != "1 2" {
		t.Errorf("while a transaction is open it has %q", got)
	}
	end(t, txn, kgo.TryCommit)
	becomes(t, f.has("a", 0, "1 2 3"))
	becomes(t, f.has("a", 1, "4"))
	becomes(t, f.lags("a", 0, 0)) // behind the markers
}

func TestFollowerForgetsWhatIsRemovedAndGoesOnWhereItIsTold(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "a", 1, nil)
	plain := connect(t, cfg)
	f := follow(t, cfg)
	f.Add("a", 0, 0)
	produce(t, plain, "a", 0, "1", "2")
	becomes(t, f.has("a", 0, "1 2"))
	f.Remove("a", 0)
	produce(t, plain, "a", 0, "3")
	if _, there := f.Positions()[kafka.TopicPartition{Topic: "a"}]; there {
		t.Error("a removed partition has a position")
	}
	f.Add("a", 0, 1)
	becomes(t, f.has("a", 0, "1 2 2 3"))

	f.mu.Lock()
	f.fail = errors.New("the disk is full")
	f.mu.Unlock()
	produce(t, plain, "a", 0, "4")
	becomes(t, func() string {
		if len(f.Positions()) > 0 {
			return "a partition whose owner failed is followed"
		}
		return ""
	})
}

// TestFollowerIsNotHeldUpByATopicThatIsNotThere: the topic may come later.
func TestFollowerIsNotHeldUpByATopicThatIsNotThere(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "a", 1, nil)
	plain := connect(t, cfg)
	f := follow(t, cfg)
	f.Add("later", 0, -1)
	f.Add("a", 0, -1)
	produce(t, plain, "a", 0, "1")
	becomes(t, f.has("a", 0, "1"))
	createTopic(t, cfg, "later", 1, nil)
	produce(t, plain, "later", 0, "2")
	becomes(t, f.has("later", 0, "2"))
}

func TestFollowerTellsWhenTheLogDoesNotGoOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		from int64
		want string
	}{
		{"its start has moved past the position", 1, "a/0 now begins at 3"},
		{"it ends before the position", 99, "a/0 now begins at 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := start(t)
			createTopic(t, cfg, "a", 1, nil)
			produce(t, connect(t, cfg), "a", 0, "1", "2", "3", "4", "5")
			a := admin(t, cfg)
			if err := a.DeleteRecords(t.Context(), map[kafka.TopicPartition]int64{{Topic: "a"}: 3}); err != nil {
				t.Fatal(err)
			}
			f := follow(t, cfg)
			f.Add("a", 0, c.from)
			becomes(t, func() string {
				f.mu.Lock()
				defer f.mu.Unlock()
				if !slices.Equal(f.lost, []string{c.want}) {
					return fmt.Sprintf("it told of %q; want %q", f.lost, c.want)
				}
				return ""
			})
			if got := f.values("a", 0); got != "" || len(f.Positions()) > 0 {
				t.Errorf("it has %q and follows %v", got, f.Positions())
			}
			f.Add("a", 0, -1)
			becomes(t, f.has("a", 0, "4 5"))
		})
	}
}

func TestFollowerGoesOnWhenTheBrokerIsBack(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	o := broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: quiet}
	b, err := broker.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Addr = b.Addr()
	cfg := kafka.Config{Brokers: []string{o.Addr}, Log: quiet}
	createTopic(t, cfg, "a", 1, nil)
	produce(t, connect(t, cfg), "a", 0, "before")
	f := follow(t, cfg)
	f.Add("a", 0, -1)
	becomes(t, f.has("a", 0, "before"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = broker.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	produce(t, connect(t, cfg), "a", 0, "after")
	becomes(t, f.has("a", 0, "before after"))
}

func TestFollowerOfManyPartitionsReachesAll(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	f := follow(t, cfg)
	for _, topic := range []string{"a", "b", "c"} {
		createTopic(t, cfg, topic, 8, nil)
		for p := range int32(8) {
			f.Add(topic, p, -1)
		}
	}
	// More than one answer of every partition.
	large := strings.Repeat("v", 900_000)
	for _, topic := range []string{"a", "b", "c"} {
		for p := range int32(8) {
			produce(t, plain, topic, p, large, fmt.Sprint(topic, p))
		}
	}
	for _, topic := range []string{"a", "b", "c"} {
		for p := range int32(8) {
			becomes(t, f.has(topic, p, large+" "+fmt.Sprint(topic, p)))
		}
	}
}

func TestFollowerClosesWhileItWaits(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "a", 1, nil)
	f := follow(t, cfg)
	f.Add("a", 0, -1)
	becomes(t, f.lags("a", 0, 0))
	begun := time.Now()
	f.Close()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	follow(t, cfg).Close() // with nothing to follow
}
