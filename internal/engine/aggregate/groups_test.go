package aggregate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

func open1(t failer, o Options) *bench {
	t.Helper()
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	return newBench(t, o.Stores(), func() processor.Processor { return New(o) })
}

func wantLines(t *testing.T, have string, want ...string) {
	t.Helper()
	if have = strings.TrimSpace(have); have != strings.Join(want, "\n") {
		t.Errorf("\nhave\n%s\nwant\n%s", have, strings.Join(want, "\n"))
	}
}

func TestEachChangeOfAGroupComesWithTheValueBefore(t *testing.T) {
	b := open1(t, concat())
	var all []emitted
	for _, r := range []*record.Record{rec("a", "1", 5), rec("b", "2", 6), rec("a", "3", 4)} {
		all = append(all, b.do(r)...)
	}
	wantLines(t, show(all), "0 a -->1 @5", "0 b -->2 @6", "0 a 1->13 @5")
	if all[2].Format != record.Text || all[2].Origin.Offset != 3 {
		t.Errorf("the result has format %s and origin %s", all[2].Format, all[2].Origin)
	}
}

func TestRecordsWithoutKeyOrValueAreDroppedAndCounted(t *testing.T) {
	for _, w := range []*window.Spec{nil, {Size: time.Second}, {Kind: window.Sliding, Size: time.Second}, {Kind: window.Session, Size: time.Second}} {
		o := concat()
		o.Window = w
		b := open1(t, o)
		out := b.do(&record.Record{Value: []byte("x"), Time: at(1)})
		out = append(out, b.do(rec("k", "", 1))...)
		if n := b.p.(*Aggregate).Dropped(); len(out) != 0 || n != 2 {
			t.Errorf("%v: %s, %d dropped", w, show(out), n)
		}
	}
}

func TestAGroupWhoseAggregateIsGoneIsDeleted(t *testing.T) {
	o := Options{Inputs: []Input{{Add: func(r *record.Record, agg []byte) ([]byte, error) {
		if string(r.Value) == "gone" {
			return nil, nil
		}
		return append(bytes.Clone(agg), r.Value...), nil
	}}}}
	b := open1(t, o)
	out := b.do(rec("k", "gone", 1))
	out = append(out, b.do(rec("k", "x", 2))...)
	out = append(out, b.do(rec("k", "gone", 3))...)
	out = append(out, b.do(rec("k", "y", 4))...)
	wantLines(t, show(out), "0 k -->x @2", "0 k x->- @3", "0 k -->y @4")
}

// TestAnAggregateMayBeReturnedAsItIs: the bytes are the store's and must not reach anybody behind the next write.
func TestAnAggregateMayBeReturnedAsItIs(t *testing.T) {
	keep := Options{Inputs: []Input{Reduce(func(_, aggregate, _ []byte) ([]byte, error) { return aggregate, nil })}}
	prefix := Options{Inputs: []Input{Reduce(func(_, aggregate, _ []byte) ([]byte, error) { return aggregate[:1], nil })}}
	b := open1(t, keep)
	out := append(b.do(rec("k", "first", 1)), b.do(rec("k", "second", 2))...)
	wantLines(t, show(out), "0 k -->first @1", "0 k first->first @2")
	b = open1(t, prefix)
	out = append(b.do(rec("k", "first", 1)), b.do(rec("k", "second", 2))...)
	wantLines(t, show(out), "0 k -->first @1", "0 k first->f @2")
}

func TestCogroupAddsEachSourceInItsOwnWay(t *testing.T) {
	tagged := func(tag string) Input {
		return Input{Add: func(r *record.Record, agg []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s%s%s", agg, tag, r.Value), nil
		}}
	}
	o := Options{Init: func() []byte { return []byte("=") }, Inputs: []Input{tagged("+"), tagged("*")}}
	b := open1(t, o)
	var all []emitted
	for i, r := range []*record.Record{rec("k", "1", 1), rec("k", "2", 2), rec("k", "3", 3)} {
		out, err := b.try(i%2, r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out...)
	}
	wantLines(t, show(all), "0 k -->=+1 @1", "0 k =+1->=+1*2 @2", "0 k =+1*2->=+1*2+3 @3")
}

func TestCountAndMergeCounts(t *testing.T) {
	b := open1(t, Options{Inputs: []Input{Count()}, Merge: MergeCounts, Window: &window.Spec{Kind: window.Session, Size: 5 * time.Millisecond, Grace: time.Second}})
	b.do(rec("k", "x", 0))
	b.do(rec("k", "x", 10))
	out := b.do(rec("k", "x", 5))
	if n := binary.BigEndian.Uint64(out[2].Value); n != 3 {
		t.Errorf("counted %d", n)
	}
	if _, err := MergeCounts(nil, []byte("abc"), nil); err == nil {
		t.Error("a count of three bytes passes")
	}
}

// TestTablesAreGroupedAnewAsIfFromScratch changes a table at random, groups it by the first letter of its rows, and compares
// the groups with those of the table as it is.
func TestTablesAreGroupedAnewAsIfFromScratch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		group := newBench(t, nil, func() processor.Processor {
			return NewTableGroup(func(r *record.Record) (key, value []byte, err error) { return r.Value[:1], r.Value[1:], nil })
		})
		o := concat()
		b := open1(t, o)
		table, groups := map[string]string{}, map[string]string{}
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			key := rapid.SampledFrom([]string{"k", "l", "m"}).Draw(t, "key")
			change := rec(key, "", int64(i))
			if old, ok := table[key]; ok {
				change.Old = []byte(old)
			}
			delete(table, key)
			if rapid.IntRange(0, 4).Draw(t, "deleted") > 0 {
				table[key] = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "group") + string(rune('A'+i))
				change.Value = []byte(table[key])
			}
			for _, r := range group.do(change) {
				if r.Old != nil {
					t.Fatal("a change of a group carries Old, which no topic keeps")
				}
				for _, out := range b.do(r.Record) {
					groups[string(out.Key)] = string(out.Value)
					if _, marked := out.Header(HeaderChange); marked {
						t.Fatal("a result is still marked as a change")
					}
				}
			}
		}
		want := map[string]string{"a": "", "b": ""}
		for _, row := range table {
			want[row[:1]] += row[1:]
		}
		for name, members := range want {
			have, wanted := []byte(groups[name]), []byte(members)
			slices.Sort(have)
			slices.Sort(wanted)
			if string(have) != string(wanted) {
				t.Fatalf("group %s holds %q, want %q", name, have, wanted)
			}
		}
	})
}

func TestChangesOfATableAreTakenFromOld(t *testing.T) {
	o := concat()
	o.Table = true
	b := open1(t, o)
	change := func(old, value string, ms int64) []emitted {
		r := rec("k", value, ms)
		if old != "" {
			r.Old = []byte(old)
		}
		return b.do(r)
	}
	out := change("", "a", 1)
	out = append(out, change("a", "b", 2)...)
	out = append(out, change("", "c", 3)...)
	out = append(out, change("b", "", 4)...)
	wantLines(t, show(out), "0 k -->a @1", "0 k a->b @2", "0 k b->bc @3", "0 k bc->c @4")
}

func TestARemovalNeedsSomethingToRemoveFrom(t *testing.T) {
	removal := func() *record.Record {
		r := rec("k", "a", 1)
		r.SetHeader(HeaderChange, []byte(ChangeRemove))
		return r
	}
	b := open1(t, concat())
	if out := b.do(removal()); len(out) != 0 {
		t.Errorf("a removal from nothing gives %s", show(out))
	}
	add := Options{Inputs: []Input{Reduce(func(_, a, v []byte) ([]byte, error) { return v, nil })}}
	b = open1(t, add)
	b.do(rec("k", "a", 1))
	if _, err := b.try(0, removal()); err == nil {
		t.Error("an aggregate that cannot remove takes a removal")
	}
	add.Window = &window.Spec{Size: time.Second}
	b = open1(t, add)
	if _, err := b.try(0, removal()); err == nil {
		t.Error("a window takes a removal")
	}
}

func TestResultIsWhatGoesOn(t *testing.T) {
	o := concat()
	o.Result = func(a []byte) ([]byte, error) { return bytes.ToUpper(a), nil }
	b := open1(t, o)
	out := append(b.do(rec("k", "a", 1)), b.do(rec("k", "b", 2))...)
	wantLines(t, show(out), "0 k -->A @1", "0 k A->AB @2")
	if e, _ := b.state.KeyValue("b").Get([]byte("k")); string(e.Value) != "ab" {
		t.Errorf("the store holds %q", e.Value)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	hour := &window.Spec{Size: time.Hour}
	in := concat().Inputs
	for name, o := range map[string]Options{
		"no inputs":             {},
		"no add":                {Inputs: []Input{{}}},
		"table without remove":  {Inputs: []Input{{Add: in[0].Add}}, Table: true},
		"table in windows":      {Inputs: in, Table: true, Window: hour},
		"final without window":  {Inputs: in, Results: Final},
		"key without window":    {Inputs: in, Keys: KeyWindowed},
		"session without merge": {Inputs: in, Window: &window.Spec{Kind: window.Session, Size: time.Hour}},
		"bad window":            {Inputs: in, Window: &window.Spec{}},
		"short retention":       {Inputs: in, Window: hour, Retention: time.Minute},
		"negative retention":    {Inputs: in, Retention: -1},
	} {
		if err := o.Check(); err == nil || !strings.HasPrefix(err.Error(), "check ") {
			t.Errorf("%s: %v", name, err)
		}
		if err := New(o).Open(nil); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

func TestAGroupIsForgottenAfterItsRetention(t *testing.T) {
	o := concat()
	o.Retention = time.Hour
	b := open1(t, o)
	hour := int64(time.Hour / ms)
	out := b.do(rec("k", "a", 0))
	out = append(out, b.do(rec("k", "b", hour/2))...)
	out = append(out, b.do(rec("k", "c", hour*3/2))...) // within an hour of the last
	out = append(out, b.do(rec("k", "d", hour*4))...)
	wantLines(t, show(out), "0 k -->a @0", "0 k a->ab @1800000", "0 k ab->abc @5400000", "0 k -->d @14400000")
}
