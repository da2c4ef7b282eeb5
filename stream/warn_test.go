package stream_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
)

func TestWhatIsLikelyNotMeantIsWarnedOf(t *testing.T) {
	const lost, forgets = "order-lost", "table-forgets"
	byValue := func(s texts) stream.Grouped[string, string] {
		return stream.GroupBy(s, func(_, v string) string { return v })
	}
	both := func(a, b string) string { return a + b }
	hour := stream.Tumbling(time.Hour)
	out := text("out")
	for _, c := range []struct {
		name, want string
		write      func(topo *stream.Topology)
	}{
		{"windows behind a re-key", lost, func(topo *stream.Topology) {
			stream.CountWindows(byValue(stream.From(topo, text("in"))).Windowed(hour))
		}},
		{"far behind it", lost, func(topo *stream.Topology) {
			s := byValue(stream.From(topo, text("in"))).Reduce(both).Changes()
			stream.CountWindows(byValue(s).Windowed(hour))
		}},
		{"a join of streams", lost, func(topo *stream.Topology) {
			s := stream.Rekey(stream.From(topo, text("in")), func(_, v string) string { return v })
			stream.JoinStreams(s, s, stream.Within(time.Hour), both).To(out)
		}},
		{"deduplication", lost, func(topo *stream.Topology) {
			s := stream.Rekey(stream.From(topo, text("in")), func(_, v string) string { return v })
			first, _ := stream.Deduplicate(s, time.Hour, 0, func(r stream.Record[string, string]) string { return r.Value })
			first.To(out)
		}},
		{"with a grace", "", func(topo *stream.Topology) {
			stream.CountWindows(byValue(stream.From(topo, text("in"))).Windowed(hour.Grace(time.Minute)))
		}},
		{"partitions that were said", "", func(topo *stream.Topology) {
			stream.CountWindows(byValue(stream.From(topo, text("in").Partitions(4))).Windowed(hour))
		}},
		{"keys as they are", "", func(topo *stream.Topology) {
			stream.CountWindows(stream.From(topo, text("in")).GroupByKey().Windowed(hour))
		}},
		{"no time", "", func(topo *stream.Topology) { byValue(stream.From(topo, text("in"))).Count() }},
		{"a table of a topic that forgets", forgets, func(topo *stream.Topology) {
			stream.TableOf(topo, text("users").Retention(time.Hour)).To(out)
		}},
		{"a table of a topic that was not said to", "", func(topo *stream.Topology) {
			stream.TableOf(topo, text("users").Partitions(4)).To(out)
		}},
		{"late records of a join that nobody takes", "", func(topo *stream.Topology) {
			s := stream.From(topo, text("in"))
			stream.JoinStreams(s, s, stream.Within(time.Hour).Grace(time.Hour), both).To(out)
		}},
		{"late records of a cogroup that nobody takes", "", func(topo *stream.Topology) {
			s := stream.From(topo, text("in")).GroupByKey()
			add := func(_, _ string, so int64) int64 { return so + 1 }
			all := stream.And(stream.Cogroup(s, add), stream.From(topo, text("in2")).GroupByKey(), add)
			all.Windowed(hour).Aggregate(stream.Int64(), func() int64 { return 0 }).Changes().ForEach(func(stream.Record[stream.Windowed[string], int64]) error { return nil })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo := stream.New("t")
			c.write(topo)
			if err := topo.Check(); err != nil {
				t.Fatal(err)
			}
			var codes []string
			for _, w := range topo.Warnings() {
				codes = append(codes, w.Code)
				if strings.Contains(w.Hint, "cleanup:") || strings.Contains(w.Hint, "partitions:") {
					t.Errorf("the hint is for files: %s", w)
				}
			}
			want(t, "warnings", strings.Join(codes, " "), c.want)
		})
	}
}

func TestWarningsAreLogged(t *testing.T) {
	topo := stream.New("t")
	stream.TableOf(topo, text("users").Retention(time.Hour)).To(text("out"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var log bytes.Buffer
	err := topo.Run(ctx, stream.Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), Ready: func(stream.Running) { cancel() }})
	if err != nil || !strings.Contains(log.String(), "code=table-forgets") || !strings.Contains(log.String(), "Compacted") {
		t.Errorf("run: %v; log:\n%s", err, log.String())
	}
}

func TestATopologyThatIsWrongHasNoWarnings(t *testing.T) {
	if got := stream.New("t").Warnings(); got != nil {
		t.Errorf("got %v", got)
	}
}
