package join

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

func same(t rapid.TB, have, want []string) {
	t.Helper()
	if !slices.Equal(have, want) {
		t.Fatalf("\nhave %q\nwant %q", have, want)
	}
}

func TestTableEmitsEachChangeWithTheValueBefore(t *testing.T) {
	cfg, out := TableConfig{}, lines{}
	w := newWorld(t, stores{"users": cfg.Stores()})
	p := NewTable(cfg)
	w.open(t, "users", p, out.emit)
	for _, r := range []*record.Record{rec("a", "1", 5), rec("b", "2", 4), rec("a", "3", 3), rec("-", "x", 9), rec("a", "-", 6),
		rec("a", "-", 7), rec("b", "", 8), rec("b", "4", 8)} {
		w.feed(t, p, 0, r)
	}
	same(t, out.all, []string{"a=1 was - @5", "b=2 was - @4", "a=3 was 1 @3", "a=- was 3 @6", "a=- was - @7", "b= was 2 @8", "b=4 was  @8"})
	if w.dropped[NoKey] != 1 {
		t.Errorf("dropped %v", w.dropped)
	}
}

func versionedConfig(history int64) TableConfig {
	return TableConfig{Store: store.Spec{Kind: store.KindVersioned, Retention: time.Duration(history) * time.Millisecond}}
}

func TestVersionedTableOrdersByTime(t *testing.T) {
	cfg, out := versionedConfig(10), lines{}
	w := newWorld(t, stores{"prices": cfg.Stores()})
	p := NewTable(cfg)
	w.open(t, "prices", p, out.emit)
	for _, r := range []*record.Record{rec("a", "10", 10), rec("a", "5", 5), rec("a", "12", 12), rec("a", "-", 20), rec("a", "15", 15),
		rec("a", "9", 9), rec("a", "21", 21), rec("a", "21b", 21), rec("b", "-", 21), rec("-", "x", 21), rec("c", "older than the history", 2)} {
		w.feed(t, p, 0, r)
	}
	same(t, out.all, []string{"a=10 was - @10", "a=12 was 10 @12", "a=- was 12 @20", "a=21 was - @21", "a=21b was 21 @21", "b=- was - @21",
		"c=older than the history was - @2"})
	if w.dropped[NoKey] != 1 {
		t.Errorf("dropped %v", w.dropped)
	}
}

func TestGlobalTableIsTheLastRecordOfEachKey(t *testing.T) {
	entries := newWorld(t, stores{"g": {{}}}).state.KeyValue("g")
	for _, c := range []struct {
		r    *record.Record
		want Reason
	}{{rec("a", "1", 5), ""}, {rec("a", "2", 4), ""}, {rec("b", "3", 4), ""}, {rec("-", "4", 4), NoKey}, {rec("b", "-", 1), ""}} {
		if have := UpdateGlobal(entries, c.r); have != c.want {
			t.Errorf("have %q, want %q", have, c.want)
		}
	}
	if e, ok := entries.Get([]byte("a")); !ok || string(e.Value) != "2" || !e.Time.Equal(ms(4)) {
		t.Errorf("%v %t", e, ok)
	}
	if _, ok := entries.Get([]byte("b")); ok {
		t.Error("b is still there")
	}
}

func TestViewTurnsWhatLeavesItIntoATombstone(t *testing.T) {
	long := FilterView(func(_, value []byte) (bool, error) { return len(value) > 2, nil })
	twice := View(func(_, value []byte) ([]byte, error) { return append(slices.Clone(value), value...), nil })
	w, out := newWorld(t, nil), lines{}
	p := NewView(ViewConfig{View: Chain(twice, long)})
	w.open(t, "long", p, out.emit)
	for _, c := range [][2]string{{"-", "ab"}, {"ab", "cd"}, {"cd", "x"}, {"x", "y"}, {"y", "-"}, {"y", "ab"}, {"ab", "-"}, {"-", "-"}} {
		r := rec("k", c[1], 1)
		r.Old = bytesOf(c[0])
		w.feed(t, p, 0, r)
	}
	same(t, out.all, []string{"k=abab was - @1", "k=cdcd was abab @1", "k=- was cdcd @1", "k=abab was - @1", "k=- was abab @1"})
}

func TestToStreamForgetsWhatWasBefore(t *testing.T) {
	w, out := newWorld(t, nil), lines{}
	p := NewToStream()
	w.open(t, "s", p, out.emit)
	r := rec("k", "-", 1)
	r.Old = []byte("x")
	w.feed(t, p, 0, r)
	same(t, out.all, []string{"k=- was - @1"})
}

func TestVersionedTableAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, out := versionedConfig(1000), lines{}
		w := newWorld(t, stores{"v": cfg.Stores()})
		defer w.close(t)
		p := NewTable(cfg)
		w.open(t, "v", p, out.emit)
		type version struct {
			key, value string
			at         int64
		}
		var history []version
		for i, n := 0, rapid.IntRange(1, 20).Draw(t, "n"); i < n; i++ {
			v := version{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), rapid.SampledFrom([]string{"-", fmt.Sprint(i)}).Draw(t, "value"),
				rapid.Int64Range(0, 60).Draw(t, "at")}
			w.feed(t, p, 0, rec(v.key, v.value, v.at))
			latest := version{value: "-", at: -1}
			for _, h := range history {
				if h.key == v.key && h.at >= latest.at {
					latest = h
				}
			}
			var want []string
			if v.at >= latest.at {
				want = []string{fmt.Sprintf("%s=%s was %s @%d", v.key, v.value, latest.value, v.at)}
			}
			same(t, out.take(), want)
			history = append(history, v)
		}
	})
}
