package kafka_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

func admin(t *testing.T, cfg kafka.Config) *kafka.Admin {
	t.Helper()
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestCheckSaysWhoAnswers(t *testing.T) {
	c, err := kafka.Check(within(t, 10*time.Second), start(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.ID == "" || c.Brokers != 1 || c.Version == "" || !c.TransactionsV2 {
		t.Fatalf("got %+v", c)
	}
}

func TestCheckFindsTheClusterBesideABrokerThatHangs(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	cfg := start(t)
	cfg.Brokers = append(cfg.Brokers, silent.Addr().String())
	var checks sync.WaitGroup
	for range 6 { // whom the client asks first is chance
		checks.Go(func() {
			if _, err := kafka.Check(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
	checks.Wait()
}

func TestCheckNamesTheAddressesNobodyAnswersAt(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for name, addr := range map[string]string{"refusing": refusing.Addr().String(), "silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := kafka.Check(t.Context(), kafka.Config{Brokers: []string{addr}})
			var unreachable *kafka.UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(begun); took > 8*time.Second {
				t.Fatalf("took %s", took)
			}
			t.Log(err)
		})
	}
}

func TestEnsureTopicsMakesWhatIsMissingAndOnlyThat(t *testing.T) {
	a, ctx := admin(t, start(t)), within(t, 10*time.Second)
	wishes := []kafka.TopicWish{
		{Name: "b", Partitions: 3, Config: map[string]string{"cleanup.policy": "compact", "retention.ms": "1000"}},
		{Name: "a", Partitions: 1},
	}
	created, err := a.EnsureTopics(ctx, wishes)
	if err != nil || !slices.Equal(created, []string{"a", "b"}) {
		t.Fatalf("created %v, %v", created, err)
	}
	created, err = a.EnsureTopics(ctx, append(wishes, kafka.TopicWish{Name: "c", Partitions: 2}))
	if err != nil || !slices.Equal(created, []string{"c"}) {
		t.Fatalf("second time created %v, %v", created, err)
	}
	topics, err := a.Topics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b := topics["b"]; b.Partitions != 3 || b.Replicas != 1 || b.Config["cleanup.policy"] != "compact" || b.Config["retention.ms"] != "1000" {
		t.Fatalf("topic b is %+v", b)
	}
	if topics["a"].Partitions != 1 || topics["c"].Partitions != 2 || len(topics) != 3 {
		t.Fatalf("topics are %+v", topics)
	}
}

func TestEnsureTopicsReportsAllProblemsAndMakesNothing(t *testing.T) {
	a, ctx := admin(t, start(t)), within(t, 10*time.Second)
	if _, err := a.EnsureTopics(ctx, []kafka.TopicWish{{Name: "x", Partitions: 4}, {Name: "y", Partitions: 4}}); err != nil {
		t.Fatal(err)
	}
	_, err := a.EnsureTopics(ctx, []kafka.TopicWish{{Name: "new", Partitions: 1}, {Name: "x", Partitions: 8}, {Name: "y", Partitions: 2}})
	if _, ok := errors.AsType[*kafka.PartitionsError](err); !ok {
		t.Fatalf("got %v", err)
	}
	want := "ensure topic \"x\": it has 4 partitions, not 8\nensure topic \"y\": it has 4 partitions, not 2"
	if err.Error() != want {
		t.Fatalf("got  %v\nwant %v", err, want)
	}
	if topics, err := a.Topics(ctx); err != nil || len(topics) != 2 {
		t.Fatalf("topics are %v, %v", topics, err)
	}
	_, err = a.EnsureTopics(ctx, []kafka.TopicWish{{Name: "bad name", Partitions: 1}, {Name: "good", Partitions: 1}, {Name: "also/bad", Partitions: 1}})
	if err == nil || strings.Count(err.Error(), "create topic") != 2 {
		t.Fatalf("got %v", err)
	}
}

func TestAlterConfigsChangesOneSettingOnly(t *testing.T) {
	a, ctx := admin(t, start(t)), within(t, 10*time.Second)
	wish := kafka.TopicWish{Name: "t", Partitions: 1, Config: map[string]string{"retention.ms": "5000", "cleanup.policy": "compact"}}
	if _, err := a.EnsureTopics(ctx, []kafka.TopicWish{wish}); err != nil {
		t.Fatal(err)
	}
	if err := a.AlterConfigs(ctx, "t", map[string]string{"retention.ms": "9000"}); err != nil {
		t.Fatal(err)
	}
	topics, err := a.Topics(ctx)
	if err != nil || topics["t"].Config["retention.ms"] != "9000" || topics["t"].Config["cleanup.policy"] != "compact" {
		t.Fatalf("topics are %v, %v", topics, err)
	}
	if err := a.AlterConfigs(ctx, "nowhere", map[string]string{"retention.ms": "1"}); err == nil {
		t.Fatal("a missing topic was changed")
	}
}

func TestStableOffsetsStopBelowAnOpenTransaction(t *testing.T) {
	cfg := start(t)
	createTopic(t, cfg, "t", 2, nil)
	a, ctx := admin(t, cfg), within(t, 10*time.Second)
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	txn := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("x"))
	produce(t, plain, "t", 0, "a", "b")
	begin(t, txn)
	produce(t, txn, "t", 0, "c")
	produce(t, plain, "t", 0, "d")
	check := func(when string, wantStable, wantEnd int64) {
		t.Helper()
		stable, err1 := a.StableOffsets(ctx, "t")
		ends, err2 := a.EndOffsets(ctx, "t")
		starts, err3 := a.StartOffsets(ctx, "t")
		p0, p1 := kafka.TopicPartition{Topic: "t", Partition: 0}, kafka.TopicPartition{Topic: "t", Partition: 1}
		if err := errors.Join(err1, err2, err3); err != nil || stable[p0] != wantStable || ends[p0] != wantEnd || starts[p0] != 0 || len(stable) != 2 || stable[p1] != 0 {
			t.Fatalf("%s: stable %v, ends %v, starts %v, %v", when, stable, ends, starts, err)
		}
	}
	check("open", 2, 4)
	end(t, txn, kgo.TryCommit)
	check("ended", 5, 5) // with the marker
	if none, err := a.StableOffsets(ctx); err != nil || len(none) != 0 {
		t.Fatalf("no topics asked for: %v, %v", none, err)
	}
	if _, err := a.StableOffsets(ctx, "nowhere"); err == nil {
		t.Fatal("a missing topic has offsets")
	}
}

func TestCommittedOffsetsAreReadAndDeleted(t *testing.T) {
	cfg := start(t)
	createTopic(t, cfg, "t", 2, nil)
	createTopic(t, cfg, "u", 1, nil)
	a, ctx := admin(t, cfg), within(t, 10*time.Second)
	if none, err := a.CommittedOffsets(ctx, "g"); err != nil || len(none) != 0 {
		t.Fatalf("unknown group: %v, %v", none, err)
	}
	offsets := kadm.Offsets{}
	for i, tp := range []kafka.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}, {Topic: "u", Partition: 0}} {
		offsets.Add(kadm.Offset{Topic: tp.Topic, Partition: tp.Partition, At: int64(i), LeaderEpoch: -1, Metadata: fmt.Sprint("m", i)})
	}
	if err := kadm.NewClient(connect(t, cfg)).CommitAllOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
	got, err := a.CommittedOffsets(ctx, "g")
	if want := (kafka.Committed{Offset: 1, Metadata: "m1"}); err != nil || len(got) != 3 || got[kafka.TopicPartition{Topic: "t", Partition: 1}] != want {
		t.Fatalf("got %v, %v", got, err)
	}
	if groups, err := a.Groups(ctx); err != nil || len(groups) != 1 || groups[0].Name != "g" {
		t.Fatalf("groups are %v, %v", groups, err)
	}
	if err := a.DeleteGroupOffsets(ctx, "g", "t"); err != nil {
		t.Fatal(err)
	}
	got, err = a.CommittedOffsets(ctx, "g")
	if err != nil || len(got) != 1 {
		t.Fatalf("after deleting t: %v, %v", got, err)
	}
}

func TestDeleteRecordsMovesWhereThePartitionBegins(t *testing.T) {
	cfg := start(t)
	a := admin(t, cfg)
	createTopic(t, cfg, "purged", 2, nil)
	client := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	produce(t, client, "purged", 0, "a", "b", "c")
	produce(t, client, "purged", 1, "d")
	zero, one := kafka.TopicPartition{Topic: "purged"}, kafka.TopicPartition{Topic: "purged", Partition: 1}
	for _, below := range []map[kafka.TopicPartition]int64{nil, {zero: 2, one: 0}, {zero: 2}, {zero: 1}} {
		if err := a.DeleteRecords(t.Context(), below); err != nil {
			t.Fatalf("%v: %v", below, err)
		}
	}
	starts, err := a.StartOffsets(t.Context(), "purged")
	if err != nil || starts[zero] != 2 || starts[one] != 0 {
		t.Errorf("it begins at %v, %v", starts, err)
	}
	for _, c := range []struct {
		name  string
		below map[kafka.TopicPartition]int64
		want  string
	}{
		{"behind the end", map[kafka.TopicPartition]int64{zero: 9, one: 1}, `delete records of topic "purged" partition 0: OFFSET_OUT_OF_RANGE`},
		{"what the protocol takes for everything", map[kafka.TopicPartition]int64{zero: -1}, `delete records of topic "purged" partition 0: there is no offset -1`},
	} {
		if err := a.DeleteRecords(t.Context(), c.below); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if starts, err = a.StartOffsets(t.Context(), "purged"); err != nil || starts[one] != 1 {
		t.Errorf("one problem kept another partition as it was: %v, %v", starts, err)
	}
}
