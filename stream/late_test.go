package stream_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// TestWhatComesTooLateIsCountedAndGoesToTheSide goes through everything that works in windows or within a time: late records are not in
// the result, they are counted, and each source has its own.
func TestWhatComesTooLateIsCountedAndGoesToTheSide(t *testing.T) {
	const s = time.Second
	type topics = stream.TopicOf[string, string]
	plus := func(_, _ string, so int64) int64 { return so + 1 }
	zero := func() int64 { return 0 }
	sum := stream.Merging(func(a, b int64) int64 { return a + b })
	both := func(l, r string) string { return l + r }
	name := stream.Named("it")
	keyed := func(topo *stream.Topology, in topics) stream.Grouped[string, string] {
		return stream.GroupBy(stream.From(topo, in), func(k, _ string) string { return k })
	}
	counted := func(w stream.Windows, opts ...stream.Option) func(*stream.Topology, topics, topics) (l, r texts) {
		return func(topo *stream.Topology, left, _ topics) (l, r texts) {
			g := keyed(topo, left)
			n := stream.AggregateWindows(g.Windowed(w), stream.Int64(), zero, plus, append(opts, name, sum)...)
			return stream.LateOf(n, g), r
		}
	}
	cogrouped := func(w stream.Windows, opts ...stream.Option) func(*stream.Topology, topics, topics) (l, r texts) {
		return func(topo *stream.Topology, left, right topics) (l, r texts) {
			a, b := keyed(topo, left), stream.From(topo, right).GroupByKey()
			all := stream.And(stream.Cogroup(a, plus), b, plus).Windowed(w)
			n := all.Aggregate(stream.Int64(), zero, append(opts, name, sum)...)
			return stream.LateOf(n, a), stream.LateOf(n, b)
		}
	}
	cases := map[string]func(topo *stream.Topology, left, right topics) (l, r texts){
		"deduplicate": func(topo *stream.Topology, left, _ topics) (l, r texts) {
			in := stream.From(topo, left)
			first, late := stream.Deduplicate(in, 5*s, 5*s, func(r stream.Record[string, string]) string { return r.Value }, name)
			first.ForEach(func(stream.Record[string, string]) error { return nil })
			return late, r
		},
		"inner join of streams": func(topo *stream.Topology, left, right topics) (l, r texts) {
			a, b := stream.From(topo, left), stream.From(topo, right)
			j := stream.JoinStreams(a, b, stream.Within(5*s), both, name)
			j.To(text("pairs"))
			return stream.LateOf(j, a), stream.LateOf(j, b)
		},
		"left join of streams": func(topo *stream.Topology, left, right topics) (l, r texts) {
			a, b := stream.From(topo, left), stream.From(topo, right)
			j := stream.LeftJoinStreams(a, b, stream.Within(5*s), func(l string, r *string) string { return l + or(r) }, name)
			j.To(text("pairs"))
			return stream.LateOf(j, a), stream.LateOf(j, b)
		},
		"outer join of streams": func(topo *stream.Topology, left, right topics) (l, r texts) {
			a, b := stream.From(topo, left), stream.From(topo, right)
			j := stream.OuterJoinStreams(a, b, stream.Within(5*s), func(l, r *string) string { return or(l) + or(r) }, name)
			j.To(text("pairs"))
			return stream.LateOf(j, a), stream.LateOf(j, b)
		},
	}
	for kind, w := range map[string]stream.Windows{
		"tumbling": stream.Tumbling(5 * s), "hopping": stream.Hopping(5*s, 2*s), "sliding": stream.Sliding(5 * s), "session": stream.Session(5 * s),
	} {
		cases[kind+", changes"], cases[kind+", final"] = counted(w), counted(w, stream.OnlyFinal())
		cases[kind+" cogroup, changes"], cases[kind+" cogroup, final"] = cogrouped(w), cogrouped(w, stream.OnlyFinal())
	}
	for what, write := range cases {
		t.Run(what, func(t *testing.T) {
			topo, left, right := stream.New("t"), text("left"), text("right")
			l, r := write(topo, left, right)
			l.To(text("late-left"))
			sides := []string{"left"}
			if r != (texts{}) {
				r.To(text("late-right"))
				sides = append(sides, "right")
			}
			d := streamtest.New(t, topo)
			for i, side := range sides {
				in := streamtest.Input(d, text(side))
				in.Send("a", "in time", at(float64(100+i)))
				in.Send("a", "late "+side, at(10))
				in.Send("a", "in time again", at(float64(100+i)))
			}
			for _, side := range sides {
				want(t, "late records", shown(streamtest.Output(d, text("late-"+side)).Records()), "a=late "+side)
			}
			if n := d.LeftOut("it")["late"]; n != int64(len(sides)) {
				t.Errorf("%d late records are counted, want %d", n, len(sides))
			}
		})
	}
}

func TestLateOfSaysWhatItCannotGive(t *testing.T) {
	for what, c := range map[string]struct {
		write func(topo *stream.Topology, s texts)
		want  string
	}{
		"no windows": {func(_ *stream.Topology, s texts) {
			stream.LateOf(s.GroupByKey().Count(stream.Named("n")), s).To(text("late"))
		}, `nothing comes too late for count "n"`},
		"something was done to it": {func(topo *stream.Topology, s texts) {
			j := stream.JoinStreams(s, stream.From(topo, text("b")), stream.Within(time.Second), func(a, b string) string { return a + b })
			stream.LateOf(j.Filter(func(string, string) bool { return true }, stream.Named("some")), s).To(text("late"))
		}, `nothing comes too late for filter "some"`},
		"Final of another table": {func(_ *stream.Topology, s texts) {
			windows := stream.CountWindows(s.GroupByKey().Windowed(stream.Tumbling(time.Second)))
			others := stream.CountWindows(s.GroupByKey().Windowed(stream.Tumbling(time.Hour)))
			last := stream.Final(windows, stream.Named("last"))
			stream.LateOf(last, windows).ForEach(func(stream.Record[stream.Windowed[string], int64]) error { return nil })
			stream.LateOf(last, others)
		}, `final "last" is not made from this source`},
		"another source": {func(topo *stream.Topology, s texts) {
			j := stream.JoinStreams(s, stream.From(topo, text("b")), stream.Within(time.Second), func(a, b string) string { return a + b }, stream.Named("j"))
			j.To(text("out"))
			stream.LateOf(j, stream.From(topo, text("c"))).To(text("late"))
		}, `join-streams "j" is not made from this source`},
	} {
		topo := stream.New("t")
		c.write(topo, stream.From(topo, text("in")))
		var wrong *stream.BuildError
		if err := topo.Check(); !errors.As(err, &wrong) || !slices.ContainsFunc(wrong.Problems, func(p stream.Problem) bool {
			return p.Code == stream.CodeValueInvalid && strings.Contains(p.Message, c.want)
		}) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

// TestBothSidesOfAStreamJoinedWithItselfAreLate: each record comes in twice.
func TestBothSidesOfAStreamJoinedWithItselfAreLate(t *testing.T) {
	topo, in := stream.New("t"), text("in")
	s := stream.From(topo, in)
	j := stream.JoinStreams(s, s, stream.Within(time.Second).After(0), func(a, b string) string { return a + b }, stream.Named("j"))
	j.To(text("out"))
	stream.LateOf(j, s).To(text("late"))
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), "a=x@10 a=y@1")
	want(t, "late records", shown(streamtest.Output(d, text("late")).Records()), "a=y a=y")
	if got := d.LeftOut("j"); !maps.Equal(got, map[string]int64{"late": 2}) {
		t.Error(fmt.Sprint("left out: ", got))
	}
}
