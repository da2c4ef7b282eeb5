package stream_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func length(s string) int64 { return int64(len(s)) }

func decimal(n int64) string { return fmt.Sprint(n) }

func TestAggregatesWithoutWindows(t *testing.T) {
	byValue := func(_, v string) string { return v }
	count := func(tb stream.Table[string, int64]) texts { return stream.MapValues(tb.Changes(), decimal) }
	for _, c := range []struct {
		name, in, want string
		write          func(topo *stream.Topology, s texts) texts
	}{
		{"count by key", "a=x b=x a=y a=-", "a=1 b=1 a=2", func(_ *stream.Topology, s texts) texts { return count(s.GroupByKey().Count()) }},
		{"count by another key", "1=x 2=y 3=x", "x=1 y=1 x=2", func(_ *stream.Topology, s texts) texts {
			return count(stream.GroupBy(s, byValue).Count())
		}},
		{"reduce", "a=x a=y b=z a=w", "a=x a=xy b=z a=xyw", func(_ *stream.Topology, s texts) texts {
			return s.GroupByKey().Reduce(func(so, next string) string { return so + next }).Changes()
		}},
		{"aggregate", "a=xx a=yyy", "a=2 a=5", func(_ *stream.Topology, s texts) texts {
			return count(stream.Aggregate(s.GroupByKey(), stream.Int64(), func() int64 { return 0 },
				func(_, v string, so int64) int64 { return so + int64(len(v)) }))
		}},
		{"cogroup of two streams", "a=x a=yy a=z", "a=x|0 a=x|2 a=xz|2", func(_ *stream.Topology, s texts) texts {
			type both struct {
				Short string
				Long  int64
			}
			b := s.Branch(func(_, v string) bool { return len(v) == 1 })
			lengths := stream.MapValues(b[1], length)
			all := stream.Cogroup(b[0].GroupByKey(), func(_, v string, so both) both { so.Short += v; return so })
			all = stream.And(all, lengths.GroupByKey(), func(_ string, v int64, so both) both { so.Long += v; return so })
			table := all.Aggregate(stream.JSON[both](), func() both { return both{} })
			return stream.MapValues(table.Changes(), func(b both) string { return fmt.Sprintf("%s|%d", b.Short, b.Long) })
		}},
		{"a table grouped by something else", "k1=x k2=x k1=y k2=-", "x=1 x=2 x=1 y=1 x=0", func(_ *stream.Topology, s texts) texts {
			g := stream.GroupTableBy(s.ToTable(), func(k, v string) (string, string) { return v, k })
			return count(g.Count())
		}},
		{"a table reduced with removal", "k1=5 k2=7 k1=1 k2=-", "all=5 all=12 all=7 all=8 all=1", func(_ *stream.Topology, s texts) texts {
			number := func(v string) (n int64) { fmt.Sscan(v, &n); return n }
			g := stream.GroupTableBy(s.ToTable(), func(_, v string) (string, int64) { return "all", number(v) })
			return count(g.Reduce(func(so, n int64) int64 { return so + n }, func(so, n int64) int64 { return so - n }))
		}},
		{"a table aggregated with removal", "k1=xx k2=y k1=-", "all=2 all=3 all=1", func(_ *stream.Topology, s texts) texts {
			g := stream.GroupTableBy(s.ToTable(), func(_, v string) (string, string) { return "all", v })
			return count(stream.AggregateTable(g, stream.Int64(), func() int64 { return 0 },
				func(_, v string, so int64) int64 { return so + int64(len(v)) },
				func(_, v string, so int64) int64 { return so - int64(len(v)) }))
		}},
		{"the first of equal records", "a=x@1 a=x@2 a=y@3 a=x@20", "a=x a=y a=x", func(_ *stream.Topology, s texts) texts {
			first, _ := stream.Deduplicate(s, 10*time.Second, 0, func(r stream.Record[string, string]) string { return r.Value })
			return first
		}},
		{"records that are late for deduplication", "a=x@10 a=y@1 a=z@6", "a=y", func(_ *stream.Topology, s texts) texts {
			first, late := stream.Deduplicate(s, time.Second, 5*time.Second, func(r stream.Record[string, string]) string { return r.Value })
			first.ForEach(func(stream.Record[string, string]) error { return nil })
			return late
		}},
		{"state with time to live", "a=x@1 a=x@2 b=x@60 a=x@61", "a=1 a=2 b=1 a=1", func(_ *stream.Topology, s texts) texts {
			return count(s.GroupByKey().Count(stream.TTL(30 * time.Second)))
		}},
		{"at most one change in a while", "a=1@1 a=2@2 a=3@3 b=1@12 b=2@25", "a=3 b=1", func(_ *stream.Topology, s texts) texts {
			return s.ToTable().Calm(10 * time.Second).Changes()
		}},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, "records", drive(t, c.in, c.write), c.want) })
	}
}

func TestAggregatesInWindows(t *testing.T) {
	show := func(tb stream.Table[stream.Windowed[string], int64]) texts {
		return stream.Map(tb.Changes(), func(w stream.Windowed[string], n int64) (string, string) {
			return fmt.Sprintf("%s@%d-%d", w.Key, w.Start.Unix()-at(0).Unix(), w.End.Unix()-at(0).Unix()), decimal(n)
		})
	}
	for _, c := range []struct {
		name, in, want string
		write          func(g stream.Grouped[string, string]) texts
	}{
		{"tumbling", "a=x@1 a=x@9 a=x@10 b=x@3", "a@0-10=1 a@0-10=2 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Tumbling(10 * time.Second))))
		}},
		{"tumbling with grace", "a=x@1 a=x@12 b=x@3", "a@0-10=1 a@10-20=1 b@0-10=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Tumbling(10 * time.Second).Grace(5 * time.Second))))
		}},
		{"hopping", "a=x@12", "a@5-15=1 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Hopping(10*time.Second, 5*time.Second))))
		}},
		{"sliding", "a=x@10 a=x@14", "a@0-10=1 a@4-14=2 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Sliding(10 * time.Second))))
		}},
		{"sessions that become one", "a=x@0 a=x@16 a=x@8", "a@0-0=1 a@16-16=1 a@0-0=- a@16-16=- a@0-16=3", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Session(10 * time.Second).Grace(time.Minute))))
		}},
		{"only final", "a=x@1 a=x@9 a=x@15 b=x@21", "a@0-10=2 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.CountWindows(g.Windowed(stream.Tumbling(10*time.Second)), stream.OnlyFinal()))
		}},
		{"final after the fact", "a=x@1 a=x@9 a=x@15 b=x@21", "a@0-10=2 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			return show(stream.Final(stream.CountWindows(g.Windowed(stream.Tumbling(10 * time.Second)))))
		}},
		{"late records on the side", "a=x@1 a=y@25 a=z@2", "a=z", func(g stream.Grouped[string, string]) texts {
			w := g.Windowed(stream.Tumbling(10 * time.Second))
			stream.CountWindows(w)
			return w.Late()
		}},
		{"late records of two aggregates", "a=y@25 a=z@2", "a=z a=z", func(g stream.Grouped[string, string]) texts {
			w := g.Windowed(stream.Tumbling(10 * time.Second))
			stream.CountWindows(w)
			late := w.Late()
			stream.ReduceWindows(w, func(a, b string) string { return a + b })
			return late
		}},
		{"reduce in sessions", "a=x@0 a=y@5 a=z@30", "a=x a=- a=xy a=z", func(g stream.Grouped[string, string]) texts {
			tb := stream.ReduceWindows(g.Windowed(stream.Session(10*time.Second)), func(a, b string) string { return a + b })
			return stream.Rekey(tb.Changes(), func(w stream.Windowed[string], _ string) string { return w.Key })
		}},
		{"aggregate in sessions", "a=xx@0 a=y@16 a=z@8", "a@0-0=2 a@16-16=1 a@0-0=- a@16-16=- a@0-16=4", func(g stream.Grouped[string, string]) texts {
			add := func(a, b int64) int64 { return a + b }
			tb := stream.AggregateWindows(g.Windowed(stream.Session(10*time.Second).Grace(time.Minute)), stream.Int64(), func() int64 { return 0 },
				func(_, v string, so int64) int64 { return so + int64(len(v)) }, stream.Merging(add))
			return show(tb)
		}},
		{"cogroup in windows", "a=x@1 a=x@11", "a@0-10=1 a@10-20=1", func(g stream.Grouped[string, string]) texts {
			all := stream.Cogroup(g, func(_, _ string, so int64) int64 { return so + 1 })
			return show(all.Windowed(stream.Tumbling(10*time.Second)).Aggregate(stream.Int64(), func() int64 { return 0 }))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := drive(t, c.in, func(_ *stream.Topology, s texts) texts { return c.write(s.GroupByKey()) })
			want(t, "records", got, c.want)
		})
	}
}

// two drives a topology of two inputs by rows "left:key=value" and "right:key=value".
func two(t *testing.T, rows string, write func(topo *stream.Topology, left, right stream.TopicOf[string, string]) texts) string {
	t.Helper()
	topo, left, right, out := stream.New("t"), text("left"), text("right"), text("out")
	write(topo, left, right).To(out)
	d := streamtest.New(t, topo)
	sides := map[string]stream.TopicOf[string, string]{"l": left, "r": right}
	for row := range strings.FieldsSeq(rows) {
		side, row, _ := strings.Cut(row, ":")
		send(streamtest.Input(d, sides[side]), row)
	}
	return shown(streamtest.Output(d, out).Records())
}

func or(v *string) string {
	if v == nil {
		return "?"
	}
	return *v
}

func TestJoins(t *testing.T) {
	both := func(l, r string) string { return l + r }
	left := func(l string, r *string) string { return l + or(r) }
	outer := func(l, r *string) string { return or(l) + or(r) }
	type topics = stream.TopicOf[string, string]
	tables := func(topo *stream.Topology, l, r topics) (a, b stream.Table[string, string]) {
		return stream.TableOf(topo, l), stream.TableOf(topo, r)
	}
	foreignKey := func(_, v string) string { return v[:1] }
	for _, c := range []struct {
		name, in, want string
		write          func(topo *stream.Topology, l, r topics) texts
	}{
		{"stream with table", "l:a=1 r:a=x l:a=2 r:a=- l:a=3", "a=2x", func(topo *stream.Topology, l, r topics) texts {
			return stream.Join(stream.From(topo, l), stream.TableOf(topo, r), both)
		}},
		{"left stream with table", "l:a=1 r:a=x l:a=2 r:a=- l:a=3", "a=1? a=2x a=3?", func(topo *stream.Topology, l, r topics) texts {
			return stream.LeftJoin(stream.From(topo, l), stream.TableOf(topo, r), left)
		}},
		{"stream with a part of a table", "r:a=x r:b=yy l:a=1 l:b=2", "b=2YY", func(topo *stream.Topology, l, r topics) texts {
			part := stream.TableOf(topo, r).Filter(func(_, v string) bool { return len(v) > 1 })
			upper := stream.MapTable(part, func(_, v string) string { return strings.ToUpper(v) })
			return stream.Join(stream.From(topo, l), upper, both)
		}},
		{"stream with what a table was", "r:a=x@10 r:a=y@20 l:a=1@15 l:a=2@25 l:a=3@5", "a=1x a=2y", func(topo *stream.Topology, l, r topics) texts {
			return stream.Join(stream.From(topo, l), stream.TableOf(topo, r, stream.Versioned(time.Hour)), both)
		}},
		{"stream with global table by any field", "r:x=1 l:a=x l:b=y", "a=x1", func(topo *stream.Topology, l, r topics) texts {
			return stream.JoinGlobal(stream.From(topo, l), stream.GlobalOf(topo, r), func(_, v string) string { return v }, both)
		}},
		{"left stream with global table", "r:x=1 l:a=x l:b=y", "a=x1 b=y?", func(topo *stream.Topology, l, r topics) texts {
			return stream.LeftJoinGlobal(stream.From(topo, l), stream.GlobalOf(topo, r), func(_, v string) string { return v }, left)
		}},
		{"table with table", "l:a=1 r:a=x r:a=y l:a=2 l:a=-", "a=1x a=1y a=2y a=-", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			return stream.JoinTables(a, b, both).Changes()
		}},
		{"left table with table", "l:a=1 r:a=x r:a=- l:a=-", "a=1? a=1x a=1? a=-", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			return stream.LeftJoinTables(a, b, left).Changes()
		}},
		{"outer table with table", "r:a=x l:a=1 r:a=- l:a=-", "a=?x a=1x a=1? a=-", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			return stream.OuterJoinTables(a, b, outer).Changes()
		}},
		{"a joined table joined again", "l:a=1 r:a=x l:a=2", "a=1x1x a=2x2x", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			j := stream.JoinTables(a, b, both)
			return stream.JoinTables(j, j.Filter(func(string, string) bool { return true }), both, stream.Named("again")).Changes().Filter(func(_, v string) bool { return v[:2] == v[2:] })
		}},
		{"by foreign key", "l:a=x1 l:b=x2 r:x=! r:x=? l:a=y1 r:y=#", "a=x1! b=x2! a=x1? b=x2? a=- a=y1#", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			return stream.JoinForeign(a, b, foreignKey, both).Changes()
		}},
		{"left by foreign key", "l:a=x1 r:x=! r:x=- l:a=-", "a=x1? a=x1! a=x1? a=-", func(topo *stream.Topology, l, r topics) texts {
			a, b := tables(topo, l, r)
			return stream.LeftJoinForeign(a, b, foreignKey, left).Changes()
		}},
		{"streams close to each other", "l:a=1@10 r:a=x@12 r:a=y@30 l:a=2@31", "a=1x a=2y", func(topo *stream.Topology, l, r topics) texts {
			return stream.JoinStreams(stream.From(topo, l), stream.From(topo, r), stream.Within(5*time.Second), both)
		}},
		{"streams, right one only later", "l:a=1@10 r:a=x@12 r:a=y@8", "a=1x", func(topo *stream.Topology, l, r topics) texts {
			return stream.JoinStreams(stream.From(topo, l), stream.From(topo, r), stream.Within(5*time.Second).Before(0).Grace(time.Minute), both)
		}},
		{"left streams", "l:a=1@10 l:b=2@11 r:b=x@12 l:c=3@30", "b=2x a=1?", func(topo *stream.Topology, l, r topics) texts {
			return stream.LeftJoinStreams(stream.From(topo, l), stream.From(topo, r), stream.Within(5*time.Second), left)
		}},
		{"outer streams", "l:a=1@10 r:b=x@11 l:c=3@30", "a=1? b=?x", func(topo *stream.Topology, l, r topics) texts {
			return stream.OuterJoinStreams(stream.From(topo, l), stream.From(topo, r), stream.Within(5*time.Second), outer)
		}},
		{"a stream with itself", "l:a=1@10 l:a=2@11", "a=11 a=12 a=21 a=22", func(topo *stream.Topology, l, _ topics) texts {
			s := stream.From(topo, l)
			return stream.JoinStreams(s, s, stream.Within(5*time.Second), both)
		}},
		{"a rekeyed stream with a table", "r:x=! l:a=x", "x=x!", func(topo *stream.Topology, l, r topics) texts {
			s := stream.Rekey(stream.From(topo, l), func(_, v string) string { return v })
			return stream.Join(s, stream.TableOf(topo, r), both)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want(t, "records", two(t, c.in, c.write), c.want)
		})
	}
}

func TestTablesCanBeAskedFor(t *testing.T) {
	topo, in := stream.New("t"), text("in")
	table := stream.TableOf(topo, in)
	upper := stream.MapTable(table, func(_, v string) string { return strings.ToUpper(v) })
	kept := upper.Filter(func(_, v string) bool { return v != "Y" }).Kept(stream.Named("kept"))
	windows := stream.CountWindows(table.Changes().GroupByKey().Windowed(stream.Tumbling(time.Minute)))
	sessions := stream.CountWindows(table.Changes().GroupByKey().Windowed(stream.Session(time.Minute)), stream.Named("sessions"))
	versioned := stream.From(topo, in).ToTable(stream.Versioned(time.Hour), stream.Named("versioned"))
	d := streamtest.New(t, topo, streamtest.Partitions(3))
	send(streamtest.Input(d, in), "a=x@1 b=y@2 c=z@3 c=-@4")
	for name, c := range map[string]struct{ got, want map[string]string }{
		"table":     {streamtest.Entries(d, table), map[string]string{"a": "x", "b": "y"}},
		"view":      {streamtest.Entries(d, upper), map[string]string{"a": "X", "b": "Y"}},
		"kept":      {streamtest.Entries(d, kept), map[string]string{"a": "X"}},
		"versioned": {streamtest.Entries(d, versioned), map[string]string{"a": "x", "b": "y"}},
	} {
		if !maps.Equal(c.got, c.want) {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
	if v, ok := streamtest.Get(d, upper, "b"); !ok || v != "Y" {
		t.Errorf("b is %q, %v", v, ok)
	}
	w := stream.Windowed[string]{Key: "a", Start: at(0), End: at(60)}
	if n, _ := streamtest.Get(d, windows, w); n != 1 || len(streamtest.Entries(d, windows)) != 3 {
		t.Errorf("windows are %v", streamtest.Entries(d, windows))
	}
	s := stream.Windowed[string]{Key: "c", Start: at(3), End: at(3)}
	if n, _ := streamtest.Get(d, sessions, s); n != 1 || len(streamtest.Entries(d, sessions)) != 3 {
		t.Errorf("sessions are %v", streamtest.Entries(d, sessions))
	}
}

func TestAProcessorWithStoresAndSchedules(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	counts := stream.NewStore("counts", stream.String(), stream.Int64())
	seen := stream.NewWindowStore("seen", stream.String(), stream.String(), time.Hour)
	names := stream.TableOf(topo, text("names"))
	stream.Process(stream.From(topo, in), func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
		n, s, who := counts.In(c), seen.In(c), names.In(c)
		c.EveryStreamTime(10*time.Second, func(now time.Time) error {
			for k, v := range n.All() {
				c.Emit(k, fmt.Sprintf("%d in stream time", v))
			}
			return nil
		})
		c.Every(time.Minute, func(time.Time) error {
			for k := range n.All() {
				n.Delete(k)
			}
			c.Emit("all", "cleared")
			return nil
		})
		return func(r stream.Record[string, string]) error {
			v, _ := n.Get(r.Key)
			n.Put(r.Key, v+1)
			s.Put(r.Key, r.Time, r.Value)
			name, _ := who.Get(r.Key)
			var before []string
			for _, old := range s.Fetch(r.Key, r.Time.Add(-time.Minute), r.Time) {
				before = append(before, old)
			}
			c.Emit(r.Key, name+strings.Join(before, ""))
			return nil
		}
	}, stream.Uses(counts, seen, names)).To(out)

	d := streamtest.New(t, topo)
	got := streamtest.Output(d, out)
	streamtest.Input(d, text("names")).Send("a", "Ann:")
	send(streamtest.Input(d, in), "a=x@1 a=y@2 b=z@3")
	want(t, "records", shown(got.Records()), "a=Ann:x a=Ann:xy b=z")
	send(streamtest.Input(d, in), "a=w@11")
	want(t, "after ten seconds", shown(got.Records()), "a=Ann:xyw a=3 in stream time b=1 in stream time")
	d.Restart()
	if all := streamtest.StoreEntries(d, counts); !maps.Equal(all, map[string]int64{"a": 3, "b": 1}) {
		t.Errorf("after a restart counts are %v", all)
	}
	d.Advance(time.Minute)
	want(t, "after a minute", shown(got.Records()), "all=cleared")
	if all := streamtest.StoreEntries(d, counts); len(all) != 0 {
		t.Errorf("counts are %v, want none", all)
	}
}

func TestAProcessorThatPromisesToKeepKeysIsHeldToIt(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	stream.Process(stream.From(topo, in), func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
		return func(r stream.Record[string, string]) error {
			c.Emit(r.Value, r.Value)
			return nil
		}
	}, stream.KeepsKeys()).To(out)
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), "a=a b=x")
	want(t, "records", shown(streamtest.Output(d, out).Records()), "a=a")
	if dead := d.DeadLetters(); len(dead) != 1 || !strings.Contains(dead[0].Err.Error(), "promised KeepsKeys") {
		t.Errorf("dead letters %+v", dead)
	}
}

func TestAFailedRecordLeavesNothingBehind(t *testing.T) {
	topo, in, out := stream.New("t"), text("in"), text("out")
	counts := stream.From(topo, in).GroupByKey().Count(stream.Named("counts"))
	stream.TryMapValues(counts.Changes(), func(k string, n int64) (string, error) {
		if n == 2 && k == "a" {
			return "", fmt.Errorf("two is refused")
		}
		return decimal(n), nil
	}).To(out)
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), "a=x a=y b=z b=z a=w")
	want(t, "records", shown(streamtest.Output(d, out).Records()), "a=1 b=1 b=2")
	if n, _ := streamtest.Get(d, counts, "a"); n != 1 || len(d.DeadLetters()) != 2 {
		t.Errorf("count of a is %d, dead letters %d; want 1 and 2", n, len(d.DeadLetters()))
	}
}

func TestRestartsChangeNothing(t *testing.T) {
	rows := strings.Fields("a=x@1 b=y@2 a=z@3 c=x@4 a=y@61 b=z@62 a=q@5 c=-@63")
	run := func(restart bool) string {
		topo, in, out := stream.New("t"), text("in"), text("out")
		s := stream.From(topo, in)
		w := s.GroupByKey().Windowed(stream.Tumbling(10 * time.Second))
		n := stream.CountWindows(w)
		stream.MapValues(n.Changes(), decimal).To(stream.Topic("windows", stream.WindowedKey(stream.String()), stream.String()))
		stream.Join(stream.MapValues(w.Late(), func(v string) string { return "late:" + v }), s.ToTable(), func(l, r string) string { return l + r }).To(out)
		d := streamtest.New(t, topo, streamtest.Partitions(2))
		for _, row := range rows {
			if restart {
				d.Restart()
			}
			send(streamtest.Input(d, in), row)
		}
		windows := streamtest.Output(d, stream.Topic("windows", stream.WindowedKey(stream.String()), stream.String()))
		return shown(streamtest.Output(d, out).Records()) + " / " + shown(windows.Records())
	}
	plain, restarted := run(false), run(true)
	want(t, "with a restart before each record", restarted, plain)
	if !strings.Contains(plain, "late:q") {
		t.Errorf("nothing was late: %s", plain)
	}
}

func TestANameNamesEveryStoreOfAnOperator(t *testing.T) {
	topo := stream.New("t")
	a, b := stream.TableOf(topo, text("a")), stream.TableOf(topo, text("b"))
	both := func(l, r string) string { return l + r }
	key := func(_, v string) string { return v }
	joined := stream.JoinTables(a, b, both, stream.Named("joined"))
	stream.JoinForeign(joined, b, key, both, stream.Named("foreign"))
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var stores []string
	for _, s := range plan.Stages {
		for _, st := range s.Stores {
			stores = append(stores, st.Name)
		}
	}
	slices.Sort(stores)
	if want := []string{"a-table", "b-table", "foreign", "foreign-left", "foreign-subscriptions"}; !slices.Equal(stores, want) {
		t.Errorf("stores are %v, want %v", stores, want)
	}
}

func TestNamesAreStable(t *testing.T) {
	topo := stream.New("t")
	s := stream.From(topo, text("in.put"))
	s.GroupByKey().Count()
	s.GroupByKey().Count(stream.Named("count-2"))
	s.GroupByKey().Count()
	plan, err := topo.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var stores []string
	for _, st := range plan.Stages[0].Stores {
		stores = append(stores, st.Name)
	}
	if !slices.Equal(stores, []string{"count", "count-2", "count-3"}) || plan.Inputs[0].Name != "in-put" {
		t.Errorf("stores %v, input %q", stores, plan.Inputs[0].Name)
	}
}

func TestTwoProcessorsShareAStoreAndReadAGlobalTable(t *testing.T) {
	topo, in, out, names := stream.New("t"), text("in"), text("out"), text("names")
	s, global := stream.From(topo, in), stream.GlobalOf(topo, names)
	last := stream.NewStore("last", stream.String(), stream.String(), stream.InMemory())
	type handler = func(stream.Record[string, string]) error
	stream.Process(s, func(c *stream.Context[string, string]) handler {
		l := last.In(c)
		return func(r stream.Record[string, string]) error {
			l.Put(r.Key, r.Value)
			return nil
		}
	}, stream.Uses(last), stream.Named("writer"))
	stream.Process(s, func(c *stream.Context[string, string]) handler {
		l, who := last.In(c), global.In(c)
		return func(r stream.Record[string, string]) error {
			v, _ := l.Get(r.Key)
			name, _ := who.Get(r.Value)
			c.Emit(r.Key, v+name)
			return nil
		}
	}, stream.Uses(last, global), stream.Named("reader")).To(out)
	plan, err := topo.Plan()
	if err != nil || len(plan.Stages) != 1 {
		t.Fatalf("stages %v, %v; want one", plan, err)
	}
	d := streamtest.New(t, topo, streamtest.Partitions(2))
	streamtest.Input(d, names).Send("x", "!")
	send(streamtest.Input(d, in), "a=x b=y a=y")
	got := streamtest.StoreEntries(d, last)
	if !maps.Equal(got, map[string]string{"a": "y", "b": "y"}) {
		t.Errorf("the store holds %v", got)
	}
	if n := len(streamtest.Output(d, out).Records()); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}
