package aggregate

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/record"
)

// everything has each function once.
func everything() map[string]Field {
	return map[string]Field{
		"average": {Average: "event.?v"}, "collect": {Collect: "event.?v", Limit: 4}, "count": {Count: true}, "distinct": {Distinct: "event.?v", Limit: 3},
		"first": {First: "event.?v"}, "fold": {Start: "0", Fold: "state + event.n", Remove: "state - event.n", Merge: "a + b"}, "last": {Last: "event.?v"}, "max": {Max: "event.?v"}, "min": {Min: "event.?v"},
		"sum": {Sum: "event.?v"}, "top": {Top: "event.?v", Of: "event.n", Limit: 2}, "values": {Distinct: "event.?v", Values: true}, "when": {Sum: "event.n", When: "event.n % 2 == 0"},
	}
}

func drawEvent(t *rapid.T, i int) *record.Record {
	v := rapid.SampledFrom([]string{`"v":1,`, `"v":1.0,`, `"v":2.50,`, `"v":-3e2,`, `"v":9007199254740993,`, `"v":null,`, ``}).Draw(t, "v")
	return &record.Record{Key: []byte("k"), Value: fmt.Appendf(nil, `{%s"n":%d}`, v, i), Format: record.JSON,
		Time: time.UnixMilli(int64(rapid.IntRange(0, 5).Draw(t, "time")))}
}

// TestTwoHalvesMergeToTheWhole is what sessions rely on.
func TestTwoHalvesMergeToTheWhole(t *testing.T) {
	f, err := newFolder(everything(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		fold := func(events []*record.Record) []byte {
			out := f.init()
			for _, e := range events {
				if out, err = f.add(e, out); err != nil {
					t.Fatal(err)
				}
			}
			return out
		}
		var events []*record.Record
		for i := range rapid.IntRange(0, 12).Draw(t, "events") {
			events = append(events, drawEvent(t, i))
		}
		cut := rapid.IntRange(0, len(events)).Draw(t, "cut")
		whole := fold(events)
		merged, err := f.merge(nil, fold(events[:cut]), fold(events[cut:]))
		if err != nil {
			t.Fatal(err)
		}
		// What is remembered may differ: a full distinct does not count how often it saw what it leaves out.
		have, err1 := f.result(merged)
		want, err2 := f.result(whole)
		if err1 != nil || err2 != nil || string(have) != string(want) {
			t.Fatalf("%v %v\nmerged %s\nwhole  %s", err1, err2, merged, whole)
		}
	})
}

// TestWhatIsTakenOutLeavesTheRest adds and removes rows at random and compares with the rows that are left.
func TestWhatIsTakenOutLeavesTheRest(t *testing.T) {
	f, err := newFolder(map[string]Field{"average": {Average: "event.?v"}, "count": {Count: true}, "distinct": {Distinct: "event.?v"}, "sum": {Sum: "event.?v"},
		"fold": {Start: "0", Fold: "state + event.n", Remove: "state - event.n"}}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		have, rows := f.init(), []*record.Record{}
		for i := range rapid.IntRange(1, 20).Draw(t, "changes") {
			if len(rows) > 0 && rapid.Bool().Draw(t, "remove") {
				at := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
				have, err = f.remove(rows[at], have)
				rows = append(rows[:at:at], rows[at+1:]...)
			} else {
				rows = append(rows, drawEvent(t, i))
				have, err = f.add(rows[len(rows)-1], have)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want := f.init()
		for _, r := range rows {
			if want, err = f.add(r, want); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.read(have, &f.state, f.values); err != nil {
			t.Fatal(err)
		}
		if err := f.read(want, &f.other, f.spare); err != nil {
			t.Fatal(err)
		}
		for i := range f.fields {
			// A sum keeps places that have gone: 1.00 + 0.50 - 0.50 is 1.00.
			if c, err := compare(f.values[i].shown, f.spare[i].shown); string(f.values[i].shown) != string(f.spare[i].shown) && (err != nil || c != 0) {
				t.Fatalf("%s of %d rows: have %s, want %s", f.fields[i].name, len(rows), f.values[i].shown, f.spare[i].shown)
			}
		}
	})
}

func BenchmarkFolder(b *testing.B) {
	for _, c := range []struct {
		name    string
		compute map[string]Field
	}{
		{"count", map[string]Field{"n": {Count: true}}},
		{"count and sum", map[string]Field{"n": {Count: true}, "s": {Sum: "event.total"}}},
		{"own", map[string]Field{"n": {Start: "0", Fold: "state + event.n"}}},
		{"everything", everything()},
	} {
		b.Run(c.name, func(b *testing.B) {
			f, err := newFolder(c.compute, func() {})
			if err != nil {
				b.Fatal(err)
			}
			r := &record.Record{Value: []byte(`{"id":"8be4df61-93ca-11d2-aa0d-00e098032b8c","customer":"someone","v":3,"n":1,"total":12.50}`), Format: record.JSON}
			agg := f.init()
			b.ReportAllocs()
			for b.Loop() {
				if agg, err = f.add(r, agg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
