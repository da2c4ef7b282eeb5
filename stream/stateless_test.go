package stream_test

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

type texts = stream.Stream[string, string]

func TestOperatorsWithoutState(t *testing.T) {
	long := func(_, v string) bool { return len(v) > 1 }
	letters := func(v string) iter.Seq[string] { return slices.Values(strings.Split(v, "")) }
	for _, c := range []struct {
		name, in, want string
		write          func(s texts) texts
	}{
		{"filter keeps what is true", "a=x b=yy c=zzz", "b=yy c=zzz", func(s texts) texts { return s.Filter(long) }},
		{"map changes key and value", "a=x", "A=x!", func(s texts) texts {
			return stream.Map(s, func(k, v string) (string, string) { return strings.ToUpper(k), v + "!" })
		}},
		{"map leaves a deletion one", "a=-", "A=-", func(s texts) texts {
			return stream.Map(s, func(k, v string) (string, string) { return strings.ToUpper(k), v + "!" })
		}},
		{"map values", "a=x b=-", "a=X b=-", func(s texts) texts { return stream.MapValues(s, strings.ToUpper) }},
		{"flat map values", "a=xyz b=-", "a=x a=y a=z", func(s texts) texts { return stream.FlatMapValues(s, letters) }},
		{"flat map", "a=xy", "x=a y=a", func(s texts) texts {
			return stream.FlatMap(s, func(k, v string) iter.Seq2[string, string] {
				return func(yield func(string, string) bool) {
					for _, l := range v {
						if !yield(string(l), k) {
							return
						}
					}
				}
			})
		}},
		{"rekey", "a=x b=-", "x=x =-", func(s texts) texts {
			return stream.Rekey(s, func(_, v string) string { return v })
		}},
		{"transform emits what it likes", "a=x b=yy", "b=yy b=-", func(s texts) texts {
			return stream.Transform(s, func(r stream.Record[string, string], emit func(stream.Record[string, string]) error) error {
				if len(r.Value) < 2 {
					return nil
				}
				if err := emit(r); err != nil {
					return err
				}
				r.Deleted = true
				return emit(r)
			})
		}},
		{"merge of branches", "a=x b=yy c=zzz", "a=[x] b=(yy) c=(zzz)", func(s texts) texts {
			b := s.Branch(long)
			round := stream.MapValues(b[0], func(v string) string { return "(" + v + ")" })
			return round.Merge(stream.MapValues(b[1], func(v string) string { return "[" + v + "]" }))
		}},
		{"merge with itself doubles", "a=x", "a=x a=x", func(s texts) texts { return s.Merge(s) }},
		{"merge with a part of itself", "a=x b=yy", "a=x b=yy b=yy", func(s texts) texts { return s.Merge(s.Filter(long)) }},
		{"nothing between two topics", "a=x b=-", "a=x b=-", func(s texts) texts { return s }},
		{"repartition", "a=x b=y", "a=x b=y", func(s texts) texts { return s.Repartition(4) }},
		{"codecs in between", "a=x", "a=x", func(s texts) texts {
			quoted := s.WithCodecs(stream.JSON[string](), stream.JSON[string]())
			return quoted.Repartition(0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := drive(t, c.in, func(_ *stream.Topology, s texts) texts { return c.write(s) })
			want(t, "records", got, c.want)
		})
	}
}

func TestPeekAndForEachSeeEveryRecord(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	var peeked, done []string
	s := stream.From(topo, in)
	s.Peek(func(r stream.Record[string, string]) { peeked = append(peeked, r.Value) }).To(out)
	s.ForEach(func(r stream.Record[string, string]) error { done = append(done, r.Value); return nil })
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), "a=x b=y")
	if !slices.Equal(peeked, []string{"x", "y"}) || !slices.Equal(done, peeked) {
		t.Errorf("peek saw %v, for-each %v", peeked, done)
	}
}

func TestATopologyMayEndInForEachOnly(t *testing.T) {
	topo, in := stream.New("t"), text("in")
	var done []string
	stream.From(topo, in).ForEach(func(r stream.Record[string, string]) error { done = append(done, r.Value); return nil })
	send(streamtest.Input(streamtest.New(t, topo), in), "a=x b=y")
	if !slices.Equal(done, []string{"x", "y"}) {
		t.Errorf("for-each saw %v", done)
	}
}

func TestHeadersTimeAndOriginAreKept(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	stream.Rekey(stream.MapValues(stream.From(topo, in), strings.ToUpper), func(_, v string) string { return v }).To(out)
	d := streamtest.New(t, topo)
	r := stream.Record[string, string]{Key: "a", Value: "x", Time: at(7)}.WithHeader("h", []byte("1"))
	streamtest.Input(d, in).SendRecord(r)
	got := streamtest.Output(d, out).Records()[0]
	if h, _ := got.Header("h"); string(h) != "1" || !got.Time.Equal(at(7)) {
		t.Errorf("record is %+v, want header h and the time %v", got, at(7))
	}
}

func TestTimedSetsTheEventTime(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	stream.From(topo, in).Timed(func(stream.Record[string, string]) time.Time { return at(42) }).To(out)
	d := streamtest.New(t, topo)
	streamtest.Input(d, in).Send("a", "x")
	if got := streamtest.Output(d, out).Records()[0].Time; !got.Equal(at(42)) {
		t.Errorf("time is %v", got)
	}
}

func TestThroughATopicThatOthersWriteToo(t *testing.T) {
	topo, in, middle, out := stream.New("t"), text("in"), text("middle"), text("out")
	stream.MapValues(stream.From(topo, in).Through(middle), strings.ToUpper).To(out)
	d := streamtest.New(t, topo)
	streamtest.Input(d, in).Send("a", "x")
	streamtest.Input(d, middle).Send("b", "y")
	want(t, "records", shown(streamtest.Output(d, out).Records()), "a=X b=Y")
}

func TestAnErrorOrPanicMakesADeadLetter(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name, node, says string
		write            func(s texts) texts
	}{
		{"an error", "check", `run map-values "check": refused`, func(s texts) texts {
			return stream.TryMapValues(s, func(_, v string) (string, error) {
				if v == "bad" {
					return "", refused
				}
				return v, nil
			}, stream.Named("check"))
		}},
		{"a panic", "filter", `run "filter": panic: bad`, func(s texts) texts {
			return s.Filter(func(_, v string) bool {
				if v == "bad" {
					panic(v)
				}
				return true
			})
		}},
		{"a panic behind another operator", "peek", `run "filter": panic: bad`, func(s texts) texts {
			return s.Peek(func(stream.Record[string, string]) {}).Filter(func(_, v string) bool {
				if v == "bad" {
					panic(v)
				}
				return true
			})
		}},
		{"a time that the log cannot keep", "timed", `run timed "timed": the time 9999-12-31T00:00:00Z is not between 1970 and 2262`, func(s texts) texts {
			return s.Timed(func(r stream.Record[string, string]) time.Time {
				if r.Value == "bad" {
					return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
				}
				return r.Time
			})
		}},
		{"a processor's panic", "process", `run "process": panic: bad`, func(s texts) texts {
			return stream.Process(s, func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
				return func(r stream.Record[string, string]) error {
					c.Emit(r.Key, r.Value)
					if r.Value == "bad" {
						panic(r.Value)
					}
					return nil
				}
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo, in, out := stream.New("t"), text("in"), text("out")
			c.write(stream.From(topo, in)).To(out)
			d := streamtest.New(t, topo)
			send(streamtest.Input(d, in), "a=x b=bad c=z")
			want(t, "records", shown(streamtest.Output(d, out).Records()), "a=x c=z")
			dead := d.DeadLetters()
			if len(dead) != 1 || dead[0].Node != c.node || dead[0].Err.Error() != c.says || dead[0].Origin.Offset != 1 {
				t.Errorf("dead letters %+v, want one of %q that says %q", dead, c.node, c.says)
			}
		})
	}
}

func TestWhatACodecCannotReadIsADeadLetter(t *testing.T) {
	topo, in, out := stream.New("t"), numbers("in"), numbers("out")
	stream.From(topo, in).Filter(func(string, int64) bool { return true }).To(out)
	d := streamtest.New(t, topo)
	streamtest.Input(d, in).SendRaw([]byte("a"), []byte("three"))
	if dead := d.DeadLetters(); len(dead) != 1 || !strings.Contains(dead[0].Err.Error(), "want 8 bytes, have 5") {
		t.Errorf("dead letters %+v", dead)
	}
}

func TestFusedOperatorsAreOneBolt(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	s := stream.MapValues(stream.From(topo, in).Filter(func(string, string) bool { return true }), strings.ToUpper)
	s.To(out)
	s.To(text("copy"))
	s.Peek(func(stream.Record[string, string]) {}).To(text("third"))
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Bolts) != 1 || plan.Bolts[0].Name != "filter" {
		t.Errorf("bolts are %d, first %q, want one of name filter", len(plan.Bolts), plan.Bolts[0].Name)
	}
}

func TestWhatKeepsItsKeyIsNotRepartitionedWithWhatDoesNot(t *testing.T) {
	topo, in := stream.New("t"), text("in")
	s := stream.From(topo, in).Filter(func(string, string) bool { return true })
	kept := s.GroupByKey().Count(stream.Named("kept"))
	moved := stream.GroupBy(s, func(_, v string) string { return v }).Count(stream.Named("moved"))
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var topics []string
	for _, topic := range plan.Topics {
		if strings.HasSuffix(topic.Name, ".repartition") {
			topics = append(topics, topic.Name)
		}
	}
	if !slices.Equal(topics, []string{"t.moved.repartition"}) {
		t.Errorf("internal topics %v, want one before moved only", topics)
	}
	d := streamtest.New(t, topo, streamtest.Partitions(4))
	send(streamtest.Input(d, in), "a=x b=x a=y")
	for name, c := range map[string]struct{ got, want map[string]int64 }{
		"kept":  {streamtest.Entries(d, kept), map[string]int64{"a": 2, "b": 1}},
		"moved": {streamtest.Entries(d, moved), map[string]int64{"x": 2, "y": 1}},
	} {
		if !maps.Equal(c.got, c.want) {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
}

func TestStreamTimeFollowsTimed(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	s := stream.From(topo, in).Timed(func(r stream.Record[string, string]) time.Time { return at(float64(len(r.Value))) })
	w := s.GroupByKey().Windowed(stream.Tumbling(2 * time.Second))
	stream.CountWindows(w)
	w.Late().To(out)
	d := streamtest.New(t, topo)
	rows := streamtest.Input(d, in)
	for i, v := range []string{"x", "xxx", "xxxx", "x"} {
		rows.Send("a", v, at(float64(1000-i)))
	}
	want(t, "late", shown(streamtest.Output(d, out).Records()), "a=x")
}
