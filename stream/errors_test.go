package stream_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
)

type opaque struct{ A, B int }

func TestWhatIsWrongIsToldAtBuildTime(t *testing.T) {
	toOpaque := func(string) opaque { return opaque{} }
	end := func(r stream.Record[string, string]) error { return nil }
	idle := func(*stream.Context[string, string]) func(stream.Record[string, string]) error { return end }
	for _, c := range []struct {
		name, code, says string
		write            func(topo *stream.Topology, s texts)
	}{
		{"nothing at all", "unused-stream", "nobody takes its records", func(*stream.Topology, texts) {}},
		{"a result that is forgotten", "unused-stream", `read filter "filter": nobody takes its records`, func(_ *stream.Topology, s texts) {
			s.ForEach(end)
			s.Filter(func(string, string) bool { return true })
		}},
		{"branches that nobody takes", "unused-stream", `read branch "branch"`, func(_ *stream.Topology, s texts) {
			s.Branch(func(string, string) bool { return true })
		}},
		{"a part of a table that is forgotten", "unused-stream", `read filter "filter"`, func(_ *stream.Topology, s texts) {
			s.ToTable().Filter(func(string, string) bool { return true })
		}},
		{"values that leave as bytes without a codec", "codec-missing", "there is no codec for its values of type stream_test.opaque", func(_ *stream.Topology, s texts) {
			stream.MapValues(s, toOpaque).Repartition(0).ForEach(func(stream.Record[string, opaque]) error { return nil })
		}},
		{"keys that leave as bytes without a codec", "codec-missing", "there is no codec for its keys of type stream_test.opaque", func(_ *stream.Topology, s texts) {
			stream.GroupBy(s, func(_, v string) opaque { return toOpaque(v) }).Count()
		}},
		{"an aggregate without a codec", "codec-missing", "there is no codec", func(_ *stream.Topology, s texts) {
			stream.Aggregate(s.GroupByKey(), nil, func() opaque { return opaque{} }, func(_, _ string, so opaque) opaque { return so })
		}},
		{"a topic without codecs", "codec-missing", `write topic "out"`, func(_ *stream.Topology, s texts) {
			s.To(stream.Topic[string, string]("out", nil, nil))
		}},
		{"a codec for another type", "codec-mismatch", "is for another type", func(_ *stream.Topology, s texts) {
			stream.MapValues(s, toOpaque, stream.WithValue(stream.Int64())).ForEach(func(stream.Record[string, opaque]) error { return nil })
		}},
		{"two operators of one name", "duplicate-name", "has this name already", func(_ *stream.Topology, s texts) {
			s.Filter(func(string, string) bool { return true }, stream.Named("x")).Peek(func(stream.Record[string, string]) {}, stream.Named("x")).ForEach(end)
		}},
		{"a name that cannot be", "name-invalid", `read name "a b"`, func(_ *stream.Topology, s texts) {
			s.ForEach(end, stream.Named("a b"))
		}},
		{"an option without use", "option-unused", "no use for the option InMemory", func(_ *stream.Topology, s texts) {
			s.ForEach(end, stream.InMemory())
		}},
		{"a topic with two shapes", "topic-conflict", "declared in two ways", func(_ *stream.Topology, s texts) {
			s.To(text("out").Partitions(3))
			s.To(text("out").Partitions(4))
		}},
		{"a topic with two pairs of codecs", "topic-conflict", "used with other codecs too", func(topo *stream.Topology, s texts) {
			s.ForEach(end)
			stream.From(topo, numbers("in")).ForEach(func(stream.Record[string, int64]) error { return nil })
		}},
		{"a topic written with two pairs of codecs", "topic-conflict", `read topic "out": it is used with other codecs too: stream.stringCodec and stream.int64Codec, before stream.stringCodec and stream.stringCodec`, func(_ *stream.Topology, s texts) {
			s.To(text("out"))
			stream.MapValues(s, func(string) int64 { return 1 }).To(numbers("out"))
		}},
		{"a topic written as another is read", "topic-conflict", `read topic "in"`, func(_ *stream.Topology, s texts) {
			stream.MapValues(s, func(string) int64 { return 1 }).To(numbers("in"))
		}},
		{"partitions below zero", "value-invalid", "-1 partitions", func(_ *stream.Topology, s texts) { s.To(text("out").Partitions(-1)) }},
		{"versions kept for no time", "value-invalid", "Versioned wants a length of time", func(_ *stream.Topology, s texts) {
			s.ToTable(stream.Versioned(0)).To(text("out"))
		}},
		{"a topology's name", "name-invalid", `read topology name "A b"`, func(topo *stream.Topology, _ texts) {
			*topo = *stream.New("A b")
			stream.From(topo, text("in")).ForEach(end)
		}},
		{"a name that is too long", "name-invalid", "it cannot be a name", func(_ *stream.Topology, s texts) {
			s.ForEach(end, stream.Named(strings.Repeat("x", 101)))
		}},
		{"no store", "value-invalid", "one of the stores given to Uses is nil", func(_ *stream.Topology, s texts) {
			var none *stream.KeyValueStore[string, string]
			stream.Process(s, idle, stream.Uses(nil, none))
		}},
		{"a store without codecs", "codec-missing", `read store "mine"`, func(_ *stream.Topology, s texts) {
			stream.Process(s, idle, stream.Uses(stream.NewStore[string, string]("mine", nil, nil)))
		}},
		{"a store's name", "name-invalid", `read store name "a b"`, func(_ *stream.Topology, s texts) {
			stream.Process(s, idle, stream.Uses(stream.NewStore("a b", stream.String(), stream.String())))
		}},
		{"an option without use to a store", "option-unused", `read store "mine": it has no use for the option Versioned`, func(_ *stream.Topology, s texts) {
			stream.Process(s, idle, stream.Uses(stream.NewStore("mine", stream.String(), stream.String(), stream.Versioned(time.Hour))))
		}},
		{"a window store that keeps nothing", "value-invalid", `read store "mine": it cannot keep entries for 0s`, func(_ *stream.Topology, s texts) {
			stream.Process(s, idle, stream.Uses(stream.NewWindowStore("mine", stream.String(), stream.String(), 0)))
		}},
		{"co-partitioning that cannot be", "co-partitioning", "", func(topo *stream.Topology, s texts) {
			other := stream.TableOf(topo, text("other").Partitions(5).Compacted())
			stream.Join(stream.From(topo, text("three").Partitions(3)), other, func(a, b string) string { return a + b }).ForEach(end)
			s.ForEach(end)
		}},
		{"a stream of another topology", "foreign-stream", `topology "other"`, func(_ *stream.Topology, s texts) {
			s.Merge(stream.From(stream.New("other"), text("in"))).ForEach(end)
		}},
		{"a table of another topology", "foreign-stream", `topology "other"`, func(_ *stream.Topology, s texts) {
			table := stream.TableOf(stream.New("other"), text("in"))
			stream.Join(s, table, func(a, b string) string { return a + b }).ForEach(end)
		}},
		{"a global table of another topology", "foreign-stream", `topology "other"`, func(_ *stream.Topology, s texts) {
			table := stream.GlobalOf(stream.New("other"), text("in"))
			stream.JoinGlobal(s, table, func(k, _ string) string { return k }, func(a, b string) string { return a + b }).ForEach(end)
		}},
		{"a store of another topology", "foreign-stream", `that of another topology`, func(_ *stream.Topology, s texts) {
			mine := stream.NewStore("mine", stream.String(), stream.String())
			work := func(*stream.Context[string, string]) func(stream.Record[string, string]) error { return end }
			stream.Process(stream.From(stream.New("other"), text("in")), work, stream.Uses(mine))
			stream.Process(s, work, stream.Uses(mine))
		}},
		{"a window that cannot be", "value-invalid", "the size 0s", func(_ *stream.Topology, s texts) {
			stream.CountWindows(s.GroupByKey().Windowed(stream.Tumbling(0)))
		}},
		{"sessions that cannot be merged", "value-invalid", "sessions need a function to merge", func(_ *stream.Topology, s texts) {
			stream.AggregateWindows(s.GroupByKey().Windowed(stream.Session(time.Minute)), stream.Int64(), func() int64 { return 0 },
				func(_, _ string, so int64) int64 { return so })
		}},
		{"results that are never final", "value-invalid", "not the result of windows", func(topo *stream.Topology, s texts) {
			s.ForEach(end)
			stream.Final(stream.TableOf(topo, stream.Topic("w", stream.WindowedKey(stream.String()), stream.Int64())))
		}},
		{"a span that ends before it begins", "value-invalid", "ends before it begins", func(_ *stream.Topology, s texts) {
			stream.JoinStreams(s, s, stream.Within(-time.Second), func(a, b string) string { return a + b }).ForEach(end)
		}},
		{"an internal topic as output", "internal-topic", "", func(_ *stream.Topology, s texts) {
			s.To(text("t.dead-letters"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo := stream.New("t")
			c.write(topo, stream.From(topo, text("in")))
			err := topo.Check()
			wrong, ok := errors.AsType[*stream.BuildError](err)
			if !ok {
				t.Fatalf("check says %v, want problems", err)
			}
			if !slices.ContainsFunc(wrong.Problems, func(p stream.Problem) bool { return p.Code == c.code && strings.Contains(p.Message, c.says) }) {
				t.Errorf("problems %+v, want one of code %s that says %q", wrong.Problems, c.code, c.says)
			}
		})
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	topo := stream.New("t")
	s := stream.From(topo, text("in"))
	s.Filter(func(string, string) bool { return true }, stream.Named("a b"))
	s.ForEach(func(stream.Record[string, string]) error { return nil }, stream.InMemory())
	wrong, ok := errors.AsType[*stream.BuildError](topo.Check())
	if !ok || len(wrong.Problems) != 3 {
		t.Fatalf("problems are %v, want three", wrong)
	}
	if err := topo.Run(t.Context(), stream.Options{Dir: t.TempDir()}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("run says %v, want the problems on one line", err)
	}
}

func TestACodecGivenOnceServesEverywhere(t *testing.T) {
	topo := stream.New("t")
	stream.Use(topo, stream.JSON[opaque]())
	s := stream.MapValues(stream.From(topo, text("in")), func(v string) opaque { return opaque{A: len(v)} })
	stream.GroupBy(s, func(_ string, v opaque) opaque { return v }).Reduce(func(a, _ opaque) opaque { return a })
	if err := topo.Check(); err != nil {
		t.Error(err)
	}
}

func TestProblemsSayWhatToWrite(t *testing.T) {
	topo := stream.New("t")
	s := stream.From(topo, text("three").Partitions(3))
	other := stream.TableOf(topo, text("five").Partitions(5))
	stream.Join(s, other, func(a, b string) string { return a + b }).To(text("out"))
	says(t, topo.Check(), "call Repartition on one of the streams, or give them equally many partitions")

	topo = stream.New("t")
	sessions := stream.From(topo, text("in")).GroupByKey().Windowed(stream.Session(time.Minute))
	stream.AggregateWindows(sessions, stream.Int64(), func() int64 { return 0 }, func(_, _ string, so int64) int64 { return so + 1 })
	says(t, topo.Check(), "add the option Merging")
}

func says(t *testing.T, err error, hint string) {
	t.Helper()
	wrong, ok := errors.AsType[*stream.BuildError](err)
	if !ok || !strings.Contains(wrong.Problems[0].Hint, hint) {
		t.Errorf("check says %v, want %q", err, hint)
	}
}

// A codec that cannot be compared may be declared twice, also within that of a window's key.
func TestCodecsThatCannotBeComparedMayMeet(t *testing.T) {
	topic := func() stream.TopicOf[stream.Windowed[string], string] {
		return stream.Topic("w", stream.WindowedKey[string](pickyCodec{}), stream.Codec[string](pickyCodec{}))
	}
	topo := stream.New("t")
	a := stream.From(topo, topic())
	a.Merge(stream.From(topo, topic())).To(stream.Topic("out", topic().Key(), topic().Value()))
	if err := topo.Check(); err != nil {
		t.Error(err)
	}
}
