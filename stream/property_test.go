package stream_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// event is one record of a random story.
type event struct {
	side       int // which input
	key, value string
	deleted    bool
	at         time.Time
	restart    bool // before it
}

func stories(sides int) *rapid.Generator[[]event] {
	one := rapid.Custom(func(t *rapid.T) event {
		return event{
			side:    rapid.IntRange(0, sides-1).Draw(t, "side"),
			key:     rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key"),
			value:   rapid.SampledFrom([]string{"a", "b", "c1", "d2", "e3", "a4"}).Draw(t, "value"),
			deleted: rapid.IntRange(0, 4).Draw(t, "deleted") == 0,
			at:      at(float64(rapid.IntRange(0, 60).Draw(t, "at"))),
			restart: rapid.IntRange(0, 15).Draw(t, "restart") == 0,
		}
	})
	return rapid.SliceOfN(one, 0, 40)
}

// tell drives a topology through a story.
func tell(t *rapid.T, d *streamtest.Driver, story []event, inputs ...stream.TopicOf[string, string]) {
	var ins []*streamtest.In[string, string]
	for _, in := range inputs {
		ins = append(ins, streamtest.Input(d, in))
	}
	for _, e := range story {
		if e.restart {
			d.Restart()
		}
		if e.deleted {
			ins[e.side].Delete(e.key, e.at)
		} else {
			ins[e.side].Send(e.key, e.value, e.at)
		}
	}
	if dead := d.DeadLetters(); len(dead) > 0 {
		t.Fatalf("dead letters: %v", dead)
	}
}

// equal checks that a table holds what its ten-line twin says, and that its stream of changes ends in the same.
func equal[K comparable, V comparable](t *rapid.T, what string, got, want map[K]V) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// last is what a topic of changes leaves of each key.
func last[K comparable, V any](records []stream.Record[K, V]) map[K]V {
	all := map[K]V{}
	for _, r := range records {
		if r.Deleted {
			delete(all, r.Key)
		} else {
			all[r.Key] = r.Value
		}
	}
	return all
}

// tables is the last value of each key of each side: the twin of all tables.
func tables(story []event, sides int) []map[string]string {
	all := make([]map[string]string, sides)
	for i := range all {
		all[i] = map[string]string{}
	}
	for _, e := range story {
		if e.deleted {
			delete(all[e.side], e.key)
		} else {
			all[e.side][e.key] = e.value
		}
	}
	return all
}

var partitionCounts = rapid.SampledFrom([]int{1, 2, 3, 8})

func TestTheNumberOfPartitionsChangesNoTable(t *testing.T) {
	left, right := text("left"), text("right")
	topo := stream.New("t")
	a, b := stream.TableOf(topo, left), stream.TableOf(topo, right)
	both := func(l, r string) string { return l + r }
	inner := stream.JoinTables(a, b, both)
	inner.To(text("inner"))
	outer := stream.OuterJoinTables(a, b, func(l, r *string) string { return or(l) + or(r) }, stream.Named("outer"))
	kept := outer.Kept(stream.Named("kept"))
	foreign := stream.LeftJoinForeign(a, b, func(_, v string) string { return v[:1] }, func(l string, r *string) string { return l + or(r) })
	foreign.To(text("foreign"))
	groups := stream.GroupTableBy(a, func(k, v string) (string, string) { return v, k }).Count(stream.Named("groups"))
	words := stream.GroupBy(stream.From(topo, left), func(_, v string) string { return v }).Count(stream.Named("words"))

	rapid.Check(t, func(t *rapid.T) {
		story := stories(2).Draw(t, "story")
		d := streamtest.New(t, topo, streamtest.Partitions(partitionCounts.Draw(t, "partitions")))
		defer d.Close()
		tell(t, d, story, left, right)

		now := tables(story, 2)
		l, r := now[0], now[1]
		wantInner, wantOuter, wantForeign, wantGroups := map[string]string{}, map[string]string{}, map[string]string{}, map[string]int64{}
		for _, k := range strings.Split("abcde", "") {
			lv, inL := l[k]
			rv, inR := r[k]
			switch {
			case inL && inR:
				wantInner[k], wantOuter[k] = lv+rv, lv+rv
			case inL:
				wantOuter[k] = lv + "?"
			case inR:
				wantOuter[k] = "?" + rv
			}
			if !inL {
				continue
			}
			wantGroups[lv]++
			if f, ok := r[lv[:1]]; ok {
				wantForeign[k] = lv + f
			} else {
				wantForeign[k] = lv + "?"
			}
		}
		wantWords := map[string]int64{}
		for _, e := range story {
			if e.side == 0 && !e.deleted {
				wantWords[e.value]++
			}
		}
		equal(t, "inner join", last(streamtest.Output(d, text("inner")).Records()), wantInner)
		equal(t, "outer join", streamtest.Entries(d, kept), wantOuter)
		equal(t, "foreign-key join", streamtest.Entries(d, foreign), wantForeign)
		equal(t, "changes of the foreign-key join", last(streamtest.Output(d, text("foreign")).Records()), wantForeign)
		counted := streamtest.Entries(d, groups)
		maps.DeleteFunc(counted, func(_ string, n int64) bool { return n == 0 })
		equal(t, "groups", counted, wantGroups)
		equal(t, "words", streamtest.Entries(d, words), wantWords)
	})
}

func TestWindowsAndStreamJoinsEqualTheirTwins(t *testing.T) {
	left, right := text("left"), text("right")
	topo := stream.New("t")
	l, r := stream.From(topo, left), stream.From(topo, right)
	const hour = time.Hour // nothing is ever late
	hops := stream.CountWindows(l.GroupByKey().Windowed(stream.Hopping(20*time.Second, 5*time.Second).Grace(hour)), stream.Named("hops"))
	sessions := stream.CountWindows(l.GroupByKey().Windowed(stream.Session(4*time.Second).Grace(hour)), stream.Named("sessions"))
	stream.JoinStreams(l, r, stream.Within(5*time.Second).Before(2*time.Second).Grace(hour), func(a, b string) string { return a + "," + b }).To(text("pairs"))

	rapid.Check(t, func(t *rapid.T) {
		story := stories(2).Draw(t, "story")
		d := streamtest.New(t, topo, streamtest.Partitions(partitionCounts.Draw(t, "partitions")))
		defer d.Close()
		tell(t, d, story, left, right)
		var events [2][]event
		for _, e := range story {
			if !e.deleted {
				events[e.side] = append(events[e.side], e)
			}
		}
		equal(t, "hopping windows", streamtest.Entries(d, hops), hopsOf(events[0]))
		equal(t, "sessions", streamtest.Entries(d, sessions), sessionsOf(events[0]))
		var got []string
		for _, r := range streamtest.Output(d, text("pairs")).Records() {
			got = append(got, r.Key+"="+r.Value)
		}
		slices.Sort(got)
		if want := pairsOf(events[0], events[1]); !slices.Equal(got, want) {
			t.Fatalf("pairs are %v, want %v", got, want)
		}
	})
}

func hopsOf(events []event) map[stream.Windowed[string]]int64 {
	all := map[stream.Windowed[string]]int64{}
	for _, e := range events {
		for start := -15; start <= 60; start += 5 {
			w := stream.Windowed[string]{Key: e.key, Start: at(float64(start)), End: at(float64(start + 20))}
			if !e.at.Before(w.Start) && e.at.Before(w.End) {
				all[w]++
			}
		}
	}
	return all
}

func sessionsOf(events []event) map[stream.Windowed[string]]int64 {
	all := map[stream.Windowed[string]]int64{}
	sorted := slices.SortedStableFunc(slices.Values(events), func(a, b event) int { return a.at.Compare(b.at) })
	for _, key := range strings.Split("abcde", "") {
		var w stream.Windowed[string]
		n := int64(0)
		for _, e := range sorted {
			if e.key != key {
				continue
			}
			if n > 0 && e.at.Sub(w.End) > 4*time.Second {
				all[w] = n
				n = 0
			}
			if n == 0 {
				w = stream.Windowed[string]{Key: key, Start: e.at}
			}
			w.End = e.at
			n++
		}
		if n > 0 {
			all[w] = n
		}
	}
	return all
}

func pairsOf(left, right []event) (all []string) {
	for _, l := range left {
		for _, r := range right {
			if d := r.at.Sub(l.at); l.key == r.key && d >= -2*time.Second && d <= 5*time.Second {
				all = append(all, fmt.Sprintf("%s=%s,%s", l.key, l.value, r.value))
			}
		}
	}
	slices.Sort(all)
	return all
}
