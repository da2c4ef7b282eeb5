package stream_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
)

func TestFunctionsThatAreNilAreToldAtBuildTime(t *testing.T) {
	type S = string
	one := func() int64 { return 1 }
	add := func(_, _ S, so int64) int64 { return so }
	both := func(a, b S) S { return a + b }
	key := func(_, v S) S { return v }
	in := stream.Within(time.Minute)
	hour := stream.Tumbling(time.Hour)
	for _, c := range []struct {
		name, node, says string
		write            func(topo *stream.Topology, s texts)
	}{
		{"filter", "filter", "keep", func(_ *stream.Topology, s texts) { s.Filter(nil) }},
		{"with a name", "mine", "keep", func(_ *stream.Topology, s texts) { s.Filter(nil, stream.Named("mine")) }},
		{"peek", "peek", "look", func(_ *stream.Topology, s texts) { s.Peek(nil) }},
		{"for each", "for-each", "do", func(_ *stream.Topology, s texts) { s.ForEach(nil) }},
		{"map", "map", "f", func(_ *stream.Topology, s texts) { stream.Map[S, S, S, S](s, nil) }},
		{"flat map", "flat-map", "f", func(_ *stream.Topology, s texts) { stream.FlatMap[S, S, S, S](s, nil) }},
		{"transform", "transform", "f", func(_ *stream.Topology, s texts) { stream.Transform[S, S, S, S](s, nil) }},
		{"map values", "map-values", "f", func(_ *stream.Topology, s texts) { stream.MapValues[S, S, S](s, nil) }},
		{"map values with errors", "map-values", "f", func(_ *stream.Topology, s texts) { stream.TryMapValues[S, S, S](s, nil) }},
		{"flat map values", "flat-map-values", "f", func(_ *stream.Topology, s texts) {
			stream.FlatMapValues(s, (func(S) iter.Seq[S])(nil))
		}},
		{"rekey", "rekey", "f", func(_ *stream.Topology, s texts) { stream.Rekey[S, S, S](s, nil) }},
		{"timed", "timed", "f", func(_ *stream.Topology, s texts) { s.Timed(nil) }},
		{"branch", "branch", "conditions[1]", func(_ *stream.Topology, s texts) { s.Branch(func(_, _ S) bool { return true }, nil) }},
		{"call", "call", "f", func(_ *stream.Topology, s texts) {
			stream.Call(s, (func(context.Context, stream.Record[S, S]) (S, error))(nil))
		}},
		{"process", "process", "open", func(_ *stream.Topology, s texts) { stream.Process[S, S, S, S](s, nil) }},
		{"group by", "group-by", "f", func(_ *stream.Topology, s texts) { stream.GroupBy[S, S, S](s, nil).Count() }},
		{"reduce", "reduce", "f", func(_ *stream.Topology, s texts) { s.GroupByKey().Reduce(nil) }},
		{"aggregate's empty", "aggregate", "empty", func(_ *stream.Topology, s texts) {
			stream.Aggregate(s.GroupByKey(), stream.Int64(), nil, add)
		}},
		{"aggregate's add", "aggregate", "add", func(_ *stream.Topology, s texts) {
			stream.Aggregate(s.GroupByKey(), stream.Int64(), one, nil)
		}},
		{"cogroup's add", "cogroup", "add", func(_ *stream.Topology, s texts) {
			all := stream.And(stream.Cogroup(s.GroupByKey(), add), s.GroupByKey(), nil)
			all.Aggregate(stream.Int64(), one)
		}},
		{"cogroup's empty", "cogroup", "empty", func(_ *stream.Topology, s texts) {
			stream.Cogroup(s.GroupByKey(), add).Aggregate(stream.Int64(), nil)
		}},
		{"reduce in windows", "reduce", "f", func(_ *stream.Topology, s texts) {
			stream.ReduceWindows(s.GroupByKey().Windowed(hour), nil)
		}},
		{"aggregate in windows", "aggregate", "empty", func(_ *stream.Topology, s texts) {
			stream.AggregateWindows(s.GroupByKey().Windowed(hour), stream.Int64(), nil, add)
		}},
		{"cogroup in windows", "cogroup", "empty", func(_ *stream.Topology, s texts) {
			stream.Cogroup(s.GroupByKey(), add).Windowed(hour).Aggregate(stream.Int64(), nil)
		}},
		{"deduplicate", "deduplicate", "id", func(_ *stream.Topology, s texts) { stream.Deduplicate(s, time.Hour, time.Hour, nil) }},
		{"a table's filter", "filter", "keep", func(_ *stream.Topology, s texts) { s.ToTable().Filter(nil) }},
		{"a table's map", "map-table", "f", func(_ *stream.Topology, s texts) { stream.MapTable[S, S, S](s.ToTable(), nil) }},
		{"a table's group", "group-table", "f", func(_ *stream.Topology, s texts) {
			stream.GroupTableBy[S, S, S, S](s.ToTable(), nil).Count()
		}},
		{"a table's reduce", "reduce", "remove", func(_ *stream.Topology, s texts) {
			stream.GroupTableBy(s.ToTable(), func(k, v S) (S, S) { return v, k }).Reduce(both, nil)
		}},
		{"a table's aggregate", "aggregate", "remove", func(_ *stream.Topology, s texts) {
			stream.AggregateTable(stream.GroupTableBy(s.ToTable(), func(k, v S) (S, S) { return v, k }), stream.Int64(), one, add, nil)
		}},
		{"join", "join", "f", func(_ *stream.Topology, s texts) { stream.Join[S, S, S, S](s, s.ToTable(), nil) }},
		{"join with a name", "mine", "f", func(_ *stream.Topology, s texts) {
			stream.Join[S, S, S, S](s, s.ToTable(), nil, stream.Named("mine"))
		}},
		{"left join", "join", "f", func(_ *stream.Topology, s texts) { stream.LeftJoin[S, S, S, S](s, s.ToTable(), nil) }},
		{"global join", "join-global", "f", func(topo *stream.Topology, s texts) {
			stream.JoinGlobal[S, S, S, S, S](s, stream.GlobalOf(topo, text("g")), key, nil)
		}},
		{"left global join's key", "join-global", "key", func(topo *stream.Topology, s texts) {
			stream.LeftJoinGlobal(s, stream.GlobalOf(topo, text("g")), nil, func(a S, _ *S) S { return a })
		}},
		{"tables", "join-tables", "f", func(_ *stream.Topology, s texts) { stream.JoinTables[S, S, S, S](s.ToTable(), s.ToTable(), nil) }},
		{"left tables", "join-tables", "f", func(_ *stream.Topology, s texts) { stream.LeftJoinTables[S, S, S, S](s.ToTable(), s.ToTable(), nil) }},
		{"outer tables", "join-tables", "f", func(_ *stream.Topology, s texts) {
			stream.OuterJoinTables[S, S, S, S](s.ToTable(), s.ToTable(), nil)
		}},
		{"foreign key", "join-foreign", "key", func(_ *stream.Topology, s texts) { stream.JoinForeign(s.ToTable(), s.ToTable(), nil, both) }},
		{"left foreign", "join-foreign", "f", func(_ *stream.Topology, s texts) {
			stream.LeftJoinForeign[S, S, S, S, S](s.ToTable(), s.ToTable(), key, nil)
		}},
		{"streams", "join-streams", "f", func(_ *stream.Topology, s texts) { stream.JoinStreams[S, S, S, S](s, s, in, nil) }},
		{"left streams", "join-streams", "f", func(_ *stream.Topology, s texts) { stream.LeftJoinStreams[S, S, S, S](s, s, in, nil) }},
		{"outer streams", "join-streams", "f", func(_ *stream.Topology, s texts) { stream.OuterJoinStreams[S, S, S, S](s, s, in, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo := stream.New("t")
			c.write(topo, stream.From(topo, text("in")))
			wrong, ok := errors.AsType[*stream.BuildError](topo.Check())
			says := "its function " + c.says + " is nil"
			if !ok || !slices.ContainsFunc(wrong.Problems, func(p stream.Problem) bool {
				return p.Code == stream.CodeValueInvalid && p.Node == c.node && strings.Contains(p.Message, `"`+c.node+`"`) && strings.HasSuffix(p.Message, says) && p.Hint != ""
			}) {
				t.Errorf("problems %v, want one of %q that says %q", wrong, c.node, says)
			}
		})
	}
}

func TestOptionsGivenNilAreToldAtBuildTime(t *testing.T) {
	for _, c := range []struct {
		name, says string
		write      func(topo *stream.Topology, s texts)
	}{
		{"a codec of keys", "read rekey: the option WithKey was given nil", func(_ *stream.Topology, s texts) {
			stream.Rekey(s, func(_, v string) string { return v }, stream.WithKey[string](nil))
		}},
		{"a codec of values", "read map-values: the option WithValue was given nil", func(_ *stream.Topology, s texts) {
			stream.MapValues(s, func(v string) string { return v }, stream.WithValue[string](nil))
		}},
		{"a merger", "read aggregate: the option Merging was given nil", func(_ *stream.Topology, s texts) {
			stream.AggregateWindows(s.GroupByKey().Windowed(stream.Session(time.Minute)), stream.Int64(), func() int64 { return 0 },
				func(_, _ string, so int64) int64 { return so }, stream.Merging[int64](nil))
		}},
		{"the codec of a type", "use a codec for string: it is nil", func(topo *stream.Topology, s texts) {
			stream.Use[string](topo, nil)
			stream.MapValues(s, func(v string) string { return v })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo := stream.New("t")
			c.write(topo, stream.From(topo, text("in")))
			wrong, ok := errors.AsType[*stream.BuildError](topo.Check())
			if !ok || !slices.ContainsFunc(wrong.Problems, func(p stream.Problem) bool {
				return p.Code == stream.CodeValueInvalid && p.Message == c.says && p.Hint != ""
			}) {
				t.Errorf("problems %v, want one that says %q", wrong, c.says)
			}
		})
	}
}
