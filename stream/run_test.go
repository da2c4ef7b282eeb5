package stream_test

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestARunBringsUpABrokerAndStops(t *testing.T) {
	topo := stream.New("upper")
	stream.MapValues(stream.From(topo, text("lines")), strings.ToUpper).To(text("upper"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ready := false
	err := topo.Run(ctx, stream.Options{Dir: t.TempDir(), Ready: func(r stream.Running) {
		ready = true
		if len(r.Brokers()) != 1 || len(r.Conditions()) != 0 {
			t.Errorf("brokers %v, conditions %v", r.Brokers(), r.Conditions())
		}
		cancel()
	}})
	if err != nil || !ready {
		t.Fatalf("run: %v, ready %v", err, ready)
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		o    stream.Options
		want string
	}{
		{"too many workers", stream.Options{Workers: 100}, "from 1 to 64"},
		{"too long between commits", stream.Options{CommitInterval: time.Hour}, "from 1ms to 30s"},
		{"an admin address for everybody", stream.Options{AdminAddr: "0.0.0.0:0"}, "use a loopback address"},
		{"tables for everybody, told nobody", stream.Options{Tables: stream.TablesOptions{Listen: "0.0.0.0:0", Plain: true}}, `read Options.Tables.Listen "0.0.0.0:0": the other processes have to be told an address that leads here (add Options.Tables.Advertise`},
		{"tables for everybody, without a token", stream.Options{Tables: stream.TablesOptions{Listen: "0.0.0.0:0", Plain: true}}, "must show a token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dir = t.TempDir()
			if err := wordcount().Run(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("run says %v, want %q", err, c.want)
			}
		})
	}
}

func TestTopicsThatExistAndCannotBeJoinedEndTheRun(t *testing.T) {
	dir, three, five := t.TempDir(), text("three"), text("five")
	run := func(write func(*stream.Topology)) error {
		topo := stream.New("t")
		write(topo)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return topo.Run(ctx, stream.Options{Dir: dir, Ready: func(stream.Running) { cancel() }})
	}
	makes := func(topo *stream.Topology) {
		s := stream.From(topo, text("in"))
		s.To(three.Partitions(3))
		s.To(five.Partitions(5))
	}
	if err := run(makes); err != nil {
		t.Fatal(err)
	}
	err := run(func(topo *stream.Topology) {
		stream.Join(stream.From(topo, three), stream.TableOf(topo, five), func(a, b string) string { return a + b }).To(text("out"))
	})
	if err == nil || !strings.Contains(err.Error(), `topic "three": it has 3 partitions`) || !strings.Contains(err.Error(), `call Repartition between topic "three" and bolt "join"`) {
		t.Errorf("run says %v", err)
	}
}

func TestMetricsGoToWhoWantsThem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	metrics := prometheus.NewRegistry()
	var names []string
	err := wordcount().Run(ctx, stream.Options{Dir: t.TempDir(), Metrics: metrics, Ready: func(stream.Running) {
		families, err := metrics.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			names = append(names, f.GetName())
		}
		cancel()
	}})
	if err != nil || !slices.Contains(names, "raven_topology_running") {
		t.Errorf("run: %v; metrics %v", err, names)
	}
}

// wordcount is the topology of the package's own documentation.
func wordcount() *stream.Topology {
	t := stream.New("wordcount")
	words := stream.FlatMapValues(stream.From(t, text("lines")), strings.FieldsSeq)
	totals := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("totals"))
	totals.To(numbers("counts"))
	return t
}

func TestWordCountGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	for _, round := range []struct {
		line string
		want map[string]int64
	}{
		{"to be or not to be", map[string]int64{"to": 2, "be": 2, "or": 1, "not": 1}},
		{"to do", map[string]int64{"to": 3, "be": 2, "or": 1, "not": 1, "do": 1}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		got := make(map[string]int64)
		err := wordcount().Run(ctx, stream.Options{Dir: dir, Ready: func(r stream.Running) {
			go func() {
				defer cancel()
				talk(ctx, t, r.Brokers(), round.line, got, round.want)
			}()
		}})
		cancel()
		if err != nil || !maps.Equal(got, round.want) {
			t.Fatalf("run: %v; counts %v, want %v", err, got, round.want)
		}
	}
}

// talk writes a line and reads the counts until they are as wanted.
func talk(ctx context.Context, t *testing.T, brokers []string, line string, got, want map[string]int64) {
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "lines", Key: []byte("1"), Value: []byte(line)}).FirstErr(); err != nil {
		t.Error(err)
	}
	for !maps.Equal(got, want) && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = int64(binary.BigEndian.Uint64(r.Value))
		})
	}
}

// joins is a topology that uses every kind of internal topic and store.
func joins() *stream.Topology {
	t := stream.New("joins")
	left, right := text("left").Partitions(4), text("right").Partitions(4)
	a, b := stream.TableOf(t, left), stream.TableOf(t, right)
	both := func(l, r string) string { return l + r }
	stream.OuterJoinTables(a, b, func(l, r *string) string { return or(l) + or(r) }).To(text("outer"))
	stream.JoinForeign(a, b, func(_, v string) string { return v[:1] }, both).To(text("foreign"))
	byValue := stream.GroupBy(stream.From(t, left), func(_, v string) string { return v[:1] })
	windows := stream.CountWindows(byValue.Windowed(stream.Tumbling(10 * time.Second).Grace(time.Hour)))
	stream.Map(windows.Changes(), func(w stream.Windowed[string], n int64) (string, string) { return w.String(), decimal(n) }).To(text("windows"))
	stream.JoinStreams(stream.From(t, left), stream.From(t, right), stream.Within(time.Minute), func(l, r string) string { return l + r }).
		GroupByKey().Count(stream.Named("pairs")).To(numbers("pairs"))
	return t
}

func TestABrokerGivesWhatStreamtestGives(t *testing.T) {
	var story []event
	for i := range 120 {
		story = append(story, event{side: i % 2, key: string(rune('a' + i%5)), value: string(rune('a'+i%7)) + decimal(int64(i)), deleted: i%11 == 10, at: at(float64(i / 2))})
	}
	d := streamtest.New(t, joins(), streamtest.Partitions(4))
	ins := []*streamtest.In[string, string]{streamtest.Input(d, text("left")), streamtest.Input(d, text("right"))}
	for _, e := range story {
		if e.deleted {
			ins[e.side].Delete(e.key, e.at)
		} else {
			ins[e.side].Send(e.key, e.value, e.at)
		}
	}
	want := map[string]map[string]string{
		"outer":   last(streamtest.Output(d, text("outer")).Records()),
		"foreign": last(streamtest.Output(d, text("foreign")).Records()),
		"windows": last(streamtest.Output(d, text("windows")).Records()),
		"pairs":   last(streamtest.Output(d, text("pairs")).Records()),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	got := map[string]map[string]string{"outer": {}, "foreign": {}, "windows": {}, "pairs": {}}
	err := joins().Run(ctx, stream.Options{Dir: t.TempDir(), Workers: 2, Ready: func(r stream.Running) {
		go func() {
			defer cancel()
			tellBroker(ctx, t, r.Brokers(), story, got, want)
		}()
	}})
	if err != nil {
		t.Fatal(err)
	}
	for topic := range want {
		if !maps.Equal(got[topic], want[topic]) {
			t.Errorf("%s ends in %q, want %q", topic, got[topic], want[topic])
		}
	}
}

// tellBroker writes a story and reads topics until they end in what is wanted.
func tellBroker(ctx context.Context, t *testing.T, brokers []string, story []event, got, want map[string]map[string]string) {
	topics := slices.Collect(maps.Keys(want))
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics...), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for _, e := range story {
		r := &kgo.Record{Topic: []string{"left", "right"}[e.side], Key: []byte(e.key), Timestamp: e.at}
		if !e.deleted {
			r.Value = []byte(e.value)
		}
		c.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	for !maps.EqualFunc(got, want, maps.Equal[map[string]string]) && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if r.Value == nil {
				delete(got[r.Topic], string(r.Key))
			} else {
				got[r.Topic][string(r.Key)] = string(r.Value)
			}
		})
	}
}
