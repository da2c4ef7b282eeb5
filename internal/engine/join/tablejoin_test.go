package join

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// twoTables is a task with two tables and their join.
type twoTables struct {
	w      *world
	tables [2]processor.Processor
	out    lines
}

func newTwoTables(t rapid.TB, c TableTableConfig, kinds [2]TableConfig) *twoTables {
	tt := &twoTables{w: newWorld(t, stores{"l": kinds[0].Stores(), "r": kinds[1].Stores()})}
	tt.open(t, c, kinds)
	return tt
}

// open makes the processors, also anew over the same stores.
func (tt *twoTables) open(t rapid.TB, c TableTableConfig, kinds [2]TableConfig) {
	join := NewTableTable(c)
	tt.w.open(t, "j", join, tt.out.emit)
	for side, bolt := range []string{"l", "r"} {
		tt.tables[side] = NewTable(kinds[side])
		tt.w.open(t, bolt, tt.tables[side], func(_ int, r *record.Record) {
			if err := join.Process(side, r); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func tableTableConfig(typ Type, versioned bool) (TableTableConfig, [2]TableConfig) {
	c := TableTableConfig{Left: Source{Store: "l", Versioned: versioned}, Right: Source{Store: "r"}, Type: typ, Join: pairOf}
	kinds := [2]TableConfig{}
	if versioned {
		kinds[0] = versionedConfig(1000)
	}
	return c, kinds
}

// TestTableTableCases goes through a story step by step: what each type emits, "" for nothing.
func TestTableTableCases(t *testing.T) {
	steps := []struct {
		side               int
		value              string
		inner, left, outer string
	}{
		{leftSide, "-", "", "", ""},  // a deletion of nothing
		{rightSide, "-", "", "", ""}, //
		{leftSide, "A", "", "k=[k A -] was - @3", "k=[k A -] was - @3"},
		{rightSide, "-", "", "", ""}, // nothing changes for the left
		{rightSide, "a", "k=[k A a] was - @5", "k=[k A a] was [k A -] @5", "k=[k A a] was [k A -] @5"},
		{leftSide, "B", "k=[k B a] was [k A a] @6", "k=[k B a] was [k A a] @6", "k=[k B a] was [k A a] @6"},
		{rightSide, "b", "k=[k B b] was [k B a] @7", "k=[k B b] was [k B a] @7", "k=[k B b] was [k B a] @7"},
		{leftSide, "-", "k=- was [k B b] @8", "k=- was [k B b] @8", "k=[k - b] was [k B b] @8"},
		{leftSide, "-", "", "", ""},
		{rightSide, "-", "", "", "k=- was [k - b] @10"},
		{leftSide, "C", "", "k=[k C -] was - @11", "k=[k C -] was - @11"},
		{rightSide, "c", "k=[k C c] was - @12", "k=[k C c] was [k C -] @12", "k=[k C c] was [k C -] @12"},
		{rightSide, "-", "k=- was [k C c] @13", "k=[k C -] was [k C c] @13", "k=[k C -] was [k C c] @13"},
		{leftSide, "-", "", "k=- was [k C -] @14", "k=- was [k C -] @14"},
		{rightSide, "-", "", "", ""},
		{rightSide, "d", "", "", "k=[k - d] was - @16"},
		{leftSide, "D", "k=[k D d] was - @17", "k=[k D d] was - @17", "k=[k D d] was [k - d] @17"},
		{rightSide, "", "k=[k D ] was [k D d] @18", "k=[k D ] was [k D d] @18", "k=[k D ] was [k D d] @18"}, // empty is a value
	}
	for typ := Inner; typ <= Outer; typ++ {
		for _, versioned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s versioned %t", typ, versioned), func(t *testing.T) {
				c, kinds := tableTableConfig(typ, versioned)
				tt := newTwoTables(t, c, kinds)
				for i, s := range steps {
					tt.w.feed(t, tt.tables[s.side], 0, rec("k", s.value, int64(i+1)))
					want := []string{[]string{s.inner, s.left, s.outer}[typ]}
					if want[0] == "" {
						want = nil
					}
					same(t, tt.out.take(), want)
				}
			})
		}
	}
}

func TestTableTableTimeIsTheLaterOfBoth(t *testing.T) {
	c, kinds := tableTableConfig(Inner, false)
	tt := newTwoTables(t, c, kinds)
	for _, s := range []struct {
		side int
		at   int64
	}{{leftSide, 10}, {rightSide, 4}, {leftSide, 2}, {rightSide, 20}} {
		tt.w.feed(t, tt.tables[s.side], 0, rec("k", "x", s.at))
	}
	same(t, tt.out.all, []string{"k=[k x x] was - @10", "k=[k x x] was [k x x] @4", "k=[k x x] was [k x x] @20"})
}

// TestVersionedTableOutOfOrderIsNoChangeOfTheJoin: the result follows the latest version, not the last record.
func TestVersionedTableOutOfOrderIsNoChangeOfTheJoin(t *testing.T) {
	c, kinds := tableTableConfig(Left, true)
	tt := newTwoTables(t, c, kinds)
	tt.w.feed(t, tt.tables[leftSide], 0, rec("k", "new", 10))
	tt.w.feed(t, tt.tables[leftSide], 0, rec("k", "old", 5))
	tt.w.feed(t, tt.tables[rightSide], 0, rec("k", "r", 7))
	same(t, tt.out.all, []string{"k=[k new -] was - @10", "k=[k new r] was [k new -] @10"})
}

// update is a random record for a table.
type update struct {
	side       int
	key, value string
	at         int64
	restart    bool
}

func drawUpdate(t *rapid.T, i int) update {
	return update{
		side:    rapid.IntRange(0, 1).Draw(t, "side"),
		key:     rapid.SampledFrom([]string{"a", "b", "-", ""}).Draw(t, "key"),
		value:   rapid.SampledFrom([]string{"-", "", fmt.Sprint("v", i), fmt.Sprint("w", i)}).Draw(t, "value"),
		at:      rapid.Int64Range(0, 40).Draw(t, "at"),
		restart: rapid.IntRange(0, 9).Draw(t, "restart") == 0,
	}
}

// TestTableTableAgainstTwoMaps: after each record the result is the join of two maps, and what was emitted is the change
// from one result to the next.
func TestTableTableAgainstTwoMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := Type(rapid.IntRange(0, 2).Draw(t, "type"))
		odd := View(func(_, value []byte) ([]byte, error) { // hides some entries and changes the others
			if bytes.HasPrefix(value, []byte("w")) {
				return nil, nil
			}
			return append([]byte("~"), value...), nil
		})
		c, kinds := tableTableConfig(typ, false)
		c.Right.View = odd
		tt := newTwoTables(t, c, kinds)
		view := NewView(ViewConfig{View: odd})
		wire := func() {
			join := NewTableTable(c)
			tt.w.open(t, "j", join, tt.out.emit)
			view = NewView(ViewConfig{View: odd})
			tt.w.open(t, "odd", view, func(_ int, r *record.Record) { must(t, join.Process(rightSide, r)) })
			for side, next := range []func(int, *record.Record){func(_ int, r *record.Record) { must(t, join.Process(leftSide, r)) },
				func(_ int, r *record.Record) { must(t, view.Process(0, r)) }} {
				tt.tables[side] = NewTable(kinds[side])
				tt.w.open(t, []string{"l", "r"}[side], tt.tables[side], next)
			}
		}
		wire()
		maps := [2]map[string]update{{}, {}}
		valueOf := func(side int, key string) []byte {
			u, ok := maps[side][key]
			if !ok {
				return nil
			}
			if side == rightSide {
				v, _ := odd(nil, []byte(u.value))
				return v
			}
			return []byte(u.value)
		}
		result := func(key string) string {
			l, r := valueOf(leftSide, key), valueOf(rightSide, key)
			if l == nil && r == nil || l == nil && typ != Outer || r == nil && typ == Inner {
				return "-"
			}
			v, _ := pairOf([]byte(key), l, r)
			return string(v)
		}
		for i, n := 0, rapid.IntRange(1, 25).Draw(t, "n"); i < n; i++ {
			u := drawUpdate(t, i)
			if u.restart {
				wire()
			}
			old, mine := result(u.key), valueOf(u.side, u.key)
			tt.w.observe(ms(u.at))
			must(t, tt.tables[u.side].Process(0, rec(u.key, u.value, u.at)))
			if u.key == "-" {
				same(t, tt.out.take(), nil)
				continue
			}
			if delete(maps[u.side], u.key); u.value != "-" {
				maps[u.side][u.key] = u
			}
			at := u.at
			if other, ok := maps[1-u.side][u.key]; ok && valueOf(1-u.side, u.key) != nil {
				at = max(at, other.at)
			}
			var want []string
			changed := mine != nil || valueOf(u.side, u.key) != nil
			if now := result(u.key); changed && (old != "-" || now != "-") {
				want = []string{fmt.Sprintf("%s=%s was %s @%d", u.key, now, old, at)}
			}
			same(t, tt.out.take(), want)
		}
	})
}

// TestStreamTableCases goes through a story: a table's changes have no results, a stream's records have one of the moment.
func TestStreamTableCases(t *testing.T) {
	steps := []struct {
		toTable     bool
		key, value  string
		at          int64
		inner, left string
	}{
		{false, "k", "-", 1, "", ""},
		{true, "k", "-", 2, "", ""},
		{false, "k", "A", 3, "", "k=[k A -] was - @3"},
		{true, "k", "a", 4, "", ""},
		{false, "k", "B", 5, "k=[k B a] was - @5", "k=[k B a] was - @5"},
		{true, "k", "b", 6, "", ""},
		{false, "k", "-", 7, "", ""},
		{true, "k", "-", 8, "", ""},
		{false, "k", "C", 9, "", "k=[k C -] was - @9"},
		{true, "k", "c", 10, "", ""},
		{true, "k", "-", 11, "", ""},
		{false, "k", "-", 12, "", ""},
		{true, "k", "d", 14, "", ""},
		{false, "k", "D", 15, "k=[k D d] was - @15", "k=[k D d] was - @15"},
		{true, "k", "e", 30, "", ""},
		{false, "k", "E", 16, "k=[k E e] was - @16", "k=[k E e] was - @16"}, // the time is the stream's
		{false, "-", "F", 17, "", ""},
		{false, "other", "G", 18, "", "other=[other G -] was - @18"},
		{true, "k", "", 31, "", ""},
		{false, "k", "", 19, "k=[k  ] was - @19", "k=[k  ] was - @19"},
	}
	for _, typ := range []Type{Inner, Left} {
		t.Run(typ.String(), func(t *testing.T) {
			table, cfg := TableConfig{}, StreamTableConfig{Table: Source{Store: "users"}, Type: typ, Join: enrich}
			w, out := newWorld(t, stores{"users": table.Stores()}), lines{}
			users, p := NewTable(table), NewStreamTable(cfg)
			w.open(t, "users", users, func(int, *record.Record) {})
			w.open(t, "join", p, out.emit)
			for _, s := range steps {
				to, want := p, []string{s.inner}
				if typ == Left {
					want[0] = s.left
				}
				if s.toTable {
					to = users
				}
				w.feed(t, to, 0, rec(s.key, s.value, s.at))
				if want[0] == "" {
					want = nil
				}
				same(t, out.take(), want)
			}
			if w.dropped[NoKey] != 1 || w.dropped[NoValue] != 3 {
				t.Errorf("dropped %v", w.dropped)
			}
		})
	}
}

func TestStreamTableAsOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*StreamTableConfig)
		at     int64
		want   []string
	}{
		{"the record's time", func(*StreamTableConfig) {}, 15, []string{"k=[k x ten] was - @15"}},
		{"exactly at a version", func(*StreamTableConfig) {}, 20, []string{"k=[k x twenty] was - @20"}},
		{"before the first", func(*StreamTableConfig) {}, 9, nil},
		{"while it was deleted", func(*StreamTableConfig) {}, 35, nil},
		{"after all", func(*StreamTableConfig) {}, 50, []string{"k=[k x forty] was - @50"}},
		{"another time", func(c *StreamTableConfig) {
			c.AsOf = func(r *record.Record) (time.Time, error) { return r.Time.Add(-10 * time.Millisecond), nil }
		}, 25, []string{"k=[k x ten] was - @25"}},
		{"the latest", func(c *StreamTableConfig) { c.Latest = true }, 15, []string{"k=[k x forty] was - @15"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, cfg := versionedConfig(1000), StreamTableConfig{Table: Source{Store: "p", Versioned: true}, Join: enrich}
			c.change(&cfg)
			w, out := newWorld(t, stores{"p": table.Stores()}), lines{}
			prices, p := NewTable(table), NewStreamTable(cfg)
			w.open(t, "p", prices, func(int, *record.Record) {})
			w.open(t, "join", p, out.emit)
			for _, r := range []*record.Record{rec("k", "twenty", 20), rec("k", "-", 30), rec("k", "forty", 40), rec("k", "ten", 10)} {
				w.feed(t, prices, 0, r)
			}
			w.feed(t, p, 0, rec("k", "x", c.at))
			same(t, out.all, c.want)
		})
	}
}

func TestStreamGlobalTableByAnyKey(t *testing.T) {
	byValue := func(r *record.Record) ([]byte, error) {
		switch string(r.Value) {
		case "none":
			return nil, nil
		case "bad":
			return nil, errors.New("no key")
		}
		return r.Value[:1], nil
	}
	for typ, want := range map[Type][]string{
		Inner: {"1=[1 a7 A] was - @1", "-=[ a8 A] was - @2"},
		Left:  {"1=[1 a7 A] was - @1", "-=[ a8 A] was - @2", "1=[1 b9 -] was - @3", "1=[1 none -] was - @4"},
	} {
		w, out := newWorld(t, stores{"g": {{}}}), lines{}
		UpdateGlobal(w.state.KeyValue("g"), rec("a", "A", 0))
		p := NewStreamTable(StreamTableConfig{Table: Source{Store: "g"}, Type: typ, Key: byValue, Join: enrich})
		w.open(t, "j", p, out.emit)
		for _, r := range []*record.Record{rec("1", "a7", 1), rec("-", "a8", 2), rec("1", "b9", 3), rec("1", "none", 4)} {
			w.feed(t, p, 0, r)
		}
		same(t, out.all, want)
		if err := p.Process(0, rec("1", "bad", 5)); err == nil {
			t.Error("an error of Key was lost")
		}
	}
}

// TestStreamTableAgainstAMap takes random records to both, in any order of time.
func TestStreamTableAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := Type(rapid.IntRange(0, 1).Draw(t, "type"))
		table, cfg := TableConfig{}, StreamTableConfig{Table: Source{Store: "t"}, Type: typ, Join: enrich}
		w, out := newWorld(t, stores{"t": table.Stores()}), lines{}
		defer w.close(t)
		var sides [2]processor.Processor
		open := func() {
			sides = [2]processor.Processor{NewStreamTable(cfg), NewTable(table)}
			w.open(t, "j", sides[0], out.emit)
			w.open(t, "t", sides[1], func(int, *record.Record) {})
		}
		open()
		entries := map[string]string{}
		for i, n := 0, rapid.IntRange(1, 25).Draw(t, "n"); i < n; i++ {
			u := drawUpdate(t, i)
			if u.restart {
				open()
			}
			w.observe(ms(u.at))
			must(t, sides[u.side].Process(0, rec(u.key, u.value, u.at)))
			var want []string
			right, found := entries[u.key]
			switch {
			case u.key == "-":
			case u.side == 1 && u.value == "-":
				delete(entries, u.key)
			case u.side == 1:
				entries[u.key] = u.value
			case u.value == "-":
			case found:
				want = []string{fmt.Sprintf("%s=[%s %s %s] was - @%d", u.key, u.key, u.value, right, u.at)}
			case typ == Left:
				want = []string{fmt.Sprintf("%s=[%s %s -] was - @%d", u.key, u.key, u.value, u.at)}
			}
			same(t, out.take(), want)
		}
	})
}

func TestErrorsOfFunctionsFailTheRecord(t *testing.T) {
	broken := errors.New("broken")
	w := newWorld(t, stores{"t": {{}}, "l": {{}}})
	UpdateGlobal(w.state.KeyValue("t"), rec("k", "x", 1))
	UpdateGlobal(w.state.KeyValue("l"), rec("k", "x", 1))
	fails := func(_, _, _ []byte) ([]byte, error) { return nil, broken }
	hides := View(func(_, _ []byte) ([]byte, error) { return nil, broken })
	for i, p := range []processor.Processor{
		NewStreamTable(StreamTableConfig{Table: Source{Store: "t"}, Join: func(*record.Record, []byte) ([]byte, error) { return nil, broken }}),
		NewStreamTable(StreamTableConfig{Table: Source{Store: "t", View: hides}, Join: enrich}),
		NewTableTable(TableTableConfig{Left: Source{Store: "l"}, Right: Source{Store: "t"}, Join: fails}),
		NewTableTable(TableTableConfig{Left: Source{Store: "l"}, Right: Source{Store: "t", View: hides}, Join: pairOf}),
		NewView(ViewConfig{View: hides}),
		NewView(ViewConfig{View: FilterView(func(_, _ []byte) (bool, error) { return true, broken })}),
		NewSubscribe(ForeignKeyConfig{Key: hides}),
	} {
		w.open(t, "p", p, func(int, *record.Record) { t.Errorf("%d emits", i) })
		if err := p.Process(0, rec("k", "v", 1)); !errors.Is(err, broken) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestShapes(t *testing.T) {
	if have := (StreamTableConfig{Table: Source{Store: "a"}}).Reads(); !slices.Equal(have, []string{"a"}) {
		t.Error(have)
	}
	if have := (TableTableConfig{Left: Source{Store: "a"}, Right: Source{Store: "b"}}).Reads(); !slices.Equal(have, []string{"a", "b"}) {
		t.Error(have)
	}
	fk := ForeignKeyConfig{Left: Source{Store: "a"}, Right: Source{Store: "b"}, Memory: true}
	if !slices.Equal(fk.SubscriptionReads(), []string{"b"}) || !slices.Equal(fk.ResolveReads(), []string{"a"}) ||
		!fk.SubscriptionStores()[0].Memory || !fk.ResolveStores()[0].Memory {
		t.Error(fk)
	}
	ss := StreamStreamConfig{Before: 2 * time.Second, After: time.Second, Grace: 5 * time.Second, Type: Left}
	specs := ss.Stores()
	if len(specs) != 3 || specs[0].Retention != 6001*time.Millisecond || specs[1].Retention != 7001*time.Millisecond || specs[0].Kind != store.KindWindow {
		t.Error(specs)
	}
	if ss.Type = Inner; len(ss.Stores()) != 2 {
		t.Error("an inner join has nothing that waits")
	}
}
