package deadletter_test

import (
	"context"
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
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
)

const deadTopic, replayTopic, resultTopic = "orders.dead-letters", "orders.replay", "orders.results"

// bench is a broker with a topology's topics.
type bench struct {
	t      *testing.T
	cfg    kafka.Config
	client *kgo.Client
	store  *deadletter.Store
}

func newBench(t *testing.T) *bench {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := kafka.Config{Brokers: []string{b.Addr()}, Log: log}
	client, err := kgo.NewClient(append(cfg.Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	_, err = admin.EnsureTopics(t.Context(), []kafka.TopicWish{
		{Name: deadTopic, Partitions: 4}, {Name: replayTopic, Partitions: 4}, {Name: resultTopic, Partitions: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, cfg: cfg, client: client, store: newStore(cfg)}
}

func newStore(cfg kafka.Config) *deadletter.Store {
	return deadletter.New(deadletter.Options{Kafka: cfg, Topology: "orders", Topic: deadTopic, Replay: replayTopic})
}

func (b *bench) context() context.Context {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

// die writes dead letters of one partition with the given key and offsets.
func (b *bench) die(partition int32, key string, offsets ...int64) {
	b.t.Helper()
	for _, o := range offsets {
		b.write(deadletter.Record(deadTopic, partition, []byte(key), fmt.Appendf(nil, "v%d", o), nil, cause(partition, o)))
	}
}

func (b *bench) write(records ...*kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// came reads a topic as "partition key=value" in order of partition and offset.
func (b *bench) came(topic string) (lines []string, records []*kgo.Record) {
	b.t.Helper()
	err := kafka.ReadToEnd(b.context(), b.cfg, topic, nil, func(r *kgo.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortStableFunc(records, func(a, b *kgo.Record) int { return int(a.Partition - b.Partition) })
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%d %s=%s", r.Partition, r.Key, r.Value))
	}
	return lines, records
}

func (b *bench) counts() string {
	b.t.Helper()
	c, err := b.store.Counts(b.context())
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%d waiting, %d replayed, %d dropped", c[deadletter.Waiting], c[deadletter.Replayed], c[deadletter.Dropped])
}

func ids(letters []deadletter.Letter) []string {
	var s []string
	for _, l := range letters {
		s = append(s, strings.TrimPrefix(l.ID(), "in/put/"))
	}
	return s
}

func TestListSelectsAndSorts(t *testing.T) {
	b := newBench(t)
	b.die(1, "a", 7, 3) // written out of order
	b.die(0, "b", 9)
	other := cause(0, 2)
	other.Bolt, other.Class, other.Last = "prices", "transient", other.Last.Add(time.Hour)
	b.write(deadletter.Record(deadTopic, 0, []byte("c"), nil, nil, other))
	b.write(&kgo.Record{Topic: deadTopic, Value: []byte("somebody else's")})
	at := cause(0, 0).Last
	cases := []struct {
		name string
		sel  deadletter.Selection
		want []string
	}{
		{"everything, by source partition and offset", deadletter.Selection{}, []string{"0/2@prices", "0/9@users", "1/3@users", "1/7@users"}},
		{"by bolt", deadletter.Selection{Bolt: "prices"}, []string{"0/2@prices"}},
		{"by class", deadletter.Selection{Class: "permanent"}, []string{"0/9@users", "1/3@users", "1/7@users"}},
		{"by key", deadletter.Selection{Key: []byte("a")}, []string{"1/3@users", "1/7@users"}},
		{"by input", deadletter.Selection{Input: "nothing"}, nil},
		{"since", deadletter.Selection{Since: at.Add(time.Minute)}, []string{"0/2@prices"}},
		{"until", deadletter.Selection{Until: at.Add(time.Minute)}, []string{"0/9@users", "1/3@users", "1/7@users"}},
		{"limited", deadletter.Selection{Limit: 3}, []string{"0/2@prices", "0/9@users", "1/3@users"}},
		{"by id", deadletter.Selection{IDs: []string{"in/put/1/7@users"}}, []string{"1/7@users"}},
		{"replayed ones", deadletter.Selection{States: []deadletter.State{deadletter.Replayed}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			letters, err := b.store.List(b.context(), c.sel)
			if err != nil || !slices.Equal(ids(letters), c.want) {
				t.Fatalf("got %q, %v; want %q", ids(letters), err, c.want)
			}
		})
	}
}

func TestListOfATopologyThatNeverRanIsEmpty(t *testing.T) {
	b := newBench(t)
	s := deadletter.New(deadletter.Options{Kafka: b.cfg, Topology: "new", Topic: "new.dead-letters", Replay: "new.replay"})
	if letters, err := s.List(b.context(), deadletter.Selection{}); err != nil || len(letters) != 0 {
		t.Fatalf("got %v, %v", letters, err)
	}
}

func TestGetShowsTheRecordAsItWas(t *testing.T) {
	b := newBench(t)
	key, value := []byte{0, 1, 255}, []byte{0xff, 0, 10}
	b.write(deadletter.Record(deadTopic, 2, key, value, []kgo.RecordHeader{{Key: "own", Value: []byte{9}}}, cause(2, 5)))
	b.write(deadletter.Record(deadTopic, 2, nil, nil, nil, cause(2, 6)))
	l, err := b.store.Get(b.context(), "in/put/2/5@users")
	if err != nil || string(l.Key) != string(key) || string(l.Value) != string(value) || len(l.Headers) != 1 || l.Cause != cause(2, 5) || l.State != deadletter.Waiting {
		t.Fatalf("got %+v, %v", l, err)
	}
	l, err = b.store.Get(b.context(), "in/put/2/6@users")
	if err != nil || l.Key != nil || l.Value != nil {
		t.Fatalf("got %+v, %v", l, err)
	}
	var unknown *deadletter.UnknownError
	if _, err := b.store.Get(b.context(), "in/put/9/9@users"); !errors.As(err, &unknown) {
		t.Fatalf("got %v", err)
	}
}

func TestReplaySendsRecordsBackInOrderAndMarksThem(t *testing.T) {
	b := newBench(t)
	b.die(1, "b", 8)
	b.die(1, "a", 7, 5, 6)
	b.die(3, "c", 1)
	n, err := b.store.Replay(b.context(), deadletter.Selection{}, false)
	if err != nil || n != 5 {
		t.Fatalf("replayed %d, %v", n, err)
	}
	lines, records := b.came(replayTopic)
	if want := []string{"1 a=v5", "1 a=v6", "1 a=v7", "1 b=v8", "3 c=v1"}; !slices.Equal(lines, want) {
		t.Fatalf("came %q; want %q", lines, want)
	}
	want := map[string]string{
		deadletter.HeaderReplayID: "in/put/1/5@users", deadletter.HeaderReplayInput: "clicks",
		deadletter.HeaderReplayBolt: "users", record.HeaderOrigin: "in/put/1/5",
	}
	at := kafka.Unstamp(records[0])
	for _, h := range records[0].Headers {
		if want[h.Key] != string(h.Value) {
			t.Fatalf("header %s is %q", h.Key, h.Value)
		}
	}
	if len(records[0].Headers) != len(want) || !at.Equal(cause(1, 5).OriginalTime) {
		t.Fatalf("record is %+v", records[0])
	}
	if got := b.counts(); got != "0 waiting, 5 replayed, 0 dropped" {
		t.Fatal(got)
	}
}

// A broker takes no time that is far ahead, and none whose year has five digits can be written down.
func TestARecordComesBackWhateverItsTime(t *testing.T) {
	for name, at := range map[string]time.Time{
		"long ago": time.UnixMilli(1), "tomorrow": time.Now().AddDate(0, 0, 1).Truncate(time.Second), "the end of four digits": time.UnixMilli(253402300799999),
	} {
		t.Run(name, func(t *testing.T) {
			b, c := newBench(t), cause(0, 1)
			c.OriginalTime = at
			b.write(deadletter.Record(deadTopic, 0, nil, []byte("v"), nil, c))
			if n, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil || n != 1 {
				t.Fatalf("replayed %d, %v", n, err)
			}
			if _, records := b.came(replayTopic); len(records) != 1 || !kafka.EventTime(records[0]).Equal(at) || time.Since(records[0].Timestamp).Abs() > time.Minute {
				t.Errorf("came back as %v, want %s", records, at)
			}
		})
	}
}

func TestALetterOfAnyTimeCanBeRead(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(1e15), time.UnixMilli(-1e17), {}} {
		c := cause(0, 1)
		c.OriginalTime = at
		if _, err := deadletter.Parse(deadletter.Record(deadTopic, 0, nil, nil, nil, c)); err != nil {
			t.Errorf("a record of the year %d: %v", at.UTC().Year(), err)
		}
	}
}

func TestReplayKeepsBytesAsTheyWere(t *testing.T) {
	b := newBench(t)
	own := []kgo.RecordHeader{{Key: "x", Value: []byte{0, 1}}, {Key: "x", Value: nil}}
	b.write(deadletter.Record(deadTopic, 0, nil, []byte{0xff, 0}, own, cause(0, 1)))
	b.write(deadletter.Record(deadTopic, 0, []byte{0xfe}, nil, nil, cause(0, 2)))
	if _, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil {
		t.Fatal(err)
	}
	_, got := b.came(replayTopic)
	if len(got) != 2 || got[0].Key != nil || string(got[0].Value) != "\xff\x00" || string(got[1].Key) != "\xfe" || got[1].Value != nil {
		t.Fatalf("came %v", got)
	}
	if h := got[0].Headers; h[0].Key != "x" || string(h[0].Value) != "\x00\x01" || h[1].Key != "x" {
		t.Fatalf("headers are %v", h)
	}
}

func TestReplayTwiceIsRefusedUnlessForced(t *testing.T) {
	b := newBench(t)
	b.die(0, "a", 1, 2)
	one := deadletter.Selection{IDs: []string{"in/put/0/1@users"}}
	if n, err := b.store.Replay(b.context(), one, false); err != nil || n != 1 {
		t.Fatalf("first: %d, %v", n, err)
	}
	var settled *deadletter.SettledError
	both := deadletter.Selection{IDs: []string{"in/put/0/2@users", "in/put/0/1@users"}}
	if n, err := b.store.Replay(b.context(), both, false); n != 0 || !errors.As(err, &settled) || settled.State != deadletter.Replayed {
		t.Fatalf("again: %d, %v", n, err)
	}
	if _, err := b.store.Drop(b.context(), one, false); !errors.As(err, &settled) {
		t.Fatalf("drop: %v", err)
	}
	if lines, _ := b.came(replayTopic); len(lines) != 1 {
		t.Fatalf("came %q", lines)
	}
	if n, err := b.store.Replay(b.context(), one, true); err != nil || n != 1 {
		t.Fatalf("forced: %d, %v", n, err)
	}
	if n, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil || n != 1 {
		t.Fatalf("the rest: %d, %v", n, err)
	}
	if lines, _ := b.came(replayTopic); !slices.Equal(lines, []string{"0 a=v1", "0 a=v1", "0 a=v2"}) {
		t.Fatalf("came %q", lines)
	}
}

func TestDropMarksAndSendsNothing(t *testing.T) {
	b := newBench(t)
	b.die(0, "a", 1, 2)
	if n, err := b.store.Drop(b.context(), deadletter.Selection{Limit: 1}, false); err != nil || n != 1 {
		t.Fatalf("dropped %d, %v", n, err)
	}
	left, err := b.store.List(b.context(), deadletter.Selection{})
	if err != nil || !slices.Equal(ids(left), []string{"0/2@users"}) {
		t.Fatalf("left %q, %v", ids(left), err)
	}
	l, err := b.store.Get(b.context(), "in/put/0/1@users")
	if err != nil || l.State != deadletter.Dropped || l.Changed.IsZero() {
		t.Fatalf("got %+v, %v", l, err)
	}
	if lines, _ := b.came(replayTopic); len(lines) != 0 {
		t.Fatalf("came %q", lines)
	}
}

func TestCopiesOfOneLetterCountOnce(t *testing.T) {
	b := newBench(t)
	b.die(0, "a", 1, 1, 2, 1)
	if n, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil || n != 2 {
		t.Fatalf("replayed %d, %v", n, err)
	}
	b.die(0, "a", 1) // a crash repeats it after the replay
	if got := b.counts(); got != "0 waiting, 2 replayed, 0 dropped" {
		t.Fatal(got)
	}
	again := cause(0, 1)
	again.OriginalTime = again.OriginalTime.Add(time.Second) // the topic was made anew: another record
	b.write(deadletter.Record(deadTopic, 0, []byte("a"), nil, nil, again))
	if got := b.counts(); got != "1 waiting, 1 replayed, 0 dropped" {
		t.Fatal(got)
	}
}

// TestADeathAfterReplayKeepsItsPlace: the replayed record is older than the one that waits, and goes first again.
func TestADeathAfterReplayKeepsItsPlace(t *testing.T) {
	b := newBench(t)
	b.die(0, "a", 10, 20)
	if _, err := b.store.Replay(b.context(), deadletter.Selection{Limit: 1}, false); err != nil {
		t.Fatal(err)
	}
	_, back := b.came(replayTopic)
	again := cause(0, 10)
	again.Source = record.Origin{Topic: replayTopic, Partition: 0, Offset: back[0].Offset}
	b.write(deadletter.Record(deadTopic, 0, back[0].Key, back[0].Value, back[0].Headers, again))
	if _, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil {
		t.Fatal(err)
	}
	lines, records := b.came(replayTopic)
	if !slices.Equal(lines, []string{"0 a=v10", "0 a=v10", "0 a=v20"}) || len(records[1].Headers) != 5 {
		t.Fatalf("came %q, headers %v", lines, records[1].Headers)
	}
}

func TestReplayOfADeliveryGoesBackToTheTopicItReads(t *testing.T) {
	b := newBench(t)
	c := cause(1, 4)
	c.Input, c.Bolt, c.Source.Topic = deadletter.DeliveryInput("latest"), "latest", resultTopic
	b.write(deadletter.Record(deadTopic, 1, []byte("a"), []byte("row"), nil, c))
	if n, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil || n != 1 {
		t.Fatalf("replayed %d, %v", n, err)
	}
	lines, records := b.came(resultTopic)
	if !slices.Equal(lines, []string{"1 a=row"}) || len(records[0].Headers) != 3 {
		t.Fatalf("came %q", lines)
	}
}

func TestReplayOfManyIsDoneInBatches(t *testing.T) {
	b := newBench(t)
	var letters []*kgo.Record
	for i := range 1200 {
		p := int32(i % 4)
		letters = append(letters, deadletter.Record(deadTopic, p, []byte("k"), fmt.Append(nil, i), nil, cause(p, int64(i))))
	}
	b.write(letters...)
	if n, err := b.store.Replay(b.context(), deadletter.Selection{}, false); err != nil || n != 1200 {
		t.Fatalf("replayed %d, %v", n, err)
	}
	_, records := b.came(replayTopic)
	for i, r := range records {
		if i > 0 && records[i-1].Partition == r.Partition && atoi(t, records[i-1].Value) >= atoi(t, r.Value) {
			t.Fatalf("%s came after %s", r.Value, records[i-1].Value)
		}
	}
	if len(records) != 1200 {
		t.Fatalf("came %d", len(records))
	}
}

func atoi(t *testing.T, b []byte) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(string(b), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReplaysAtOnceReplayEveryLetterOnce: whoever begins last fences the others, and goes on where they were stopped.
func TestReplaysAtOnceReplayEveryLetterOnce(t *testing.T) {
	b := newBench(t)
	var letters []*kgo.Record
	for i := range 3000 {
		letters = append(letters, deadletter.Record(deadTopic, 0, []byte("k"), fmt.Append(nil, i), nil, cause(0, int64(i))))
	}
	b.write(letters...)
	var group sync.WaitGroup
	errs, ctx := make([]error, 4), b.context()
	for i := range errs {
		group.Go(func() { _, errs[i] = newStore(b.cfg).Replay(ctx, deadletter.Selection{}, false) })
	}
	group.Wait()
	finished := 0
	for _, err := range errs {
		switch {
		case err == nil:
			finished++
		case !errors.Is(err, deadletter.ErrTakenOver):
			t.Errorf("replay: %v", err)
		}
	}
	lines, _ := b.came(replayTopic)
	if finished == 0 || len(lines) != 3000 {
		t.Fatalf("%d finished, %d records came", finished, len(lines))
	}
	slices.Sort(lines)
	if len(slices.Compact(lines)) != 3000 {
		t.Fatal("a record came twice")
	}
}
