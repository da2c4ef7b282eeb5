package aggregate

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

func openSuppress(t failer, o SuppressOptions) *bench {
	t.Helper()
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	return newBench(t, o.Stores(), func() processor.Processor { return NewSuppress(o) })
}

// TestSuppressedChangesAreTheFinalResults puts a Suppress behind an aggregate that gives out every change, and compares it
// with one that gives out final results.
func TestSuppressedChangesAreTheFinalResults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := drawSpec(t)
		o := concat()
		o.Window = &spec
		o.Keys = rapid.SampledFrom([]Keys{KeyGroup, KeyWindowed}).Draw(t, "keys")
		changes := open1(t, o)
		o.Results = Final
		final := open1(t, o)
		suppress := openSuppress(t, SuppressOptions{Window: &spec})
		clock := int64(0)
		for i := range rapid.IntRange(1, 25).Draw(t, "records") {
			clock += int64(rapid.SampledFrom([]int{0, 1, 2, 5, 20, 90}).Draw(t, "step"))
			when := clock - int64(rapid.SampledFrom([]int{0, 0, 1, 3, 10}).Draw(t, "behind"))
			in := rec(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), string(rune('a'+i)), when)
			switch rapid.IntRange(0, 9).Draw(t, "trouble") {
			case 0:
				suppress.restart()
			case 1:
				suppress.commit()
			}
			want := only(final.do(in.Clone()), 0)
			// Both bolts are of one task: stream time is that of the source, and a record that gives no change passes it on.
			suppress.now = final.now
			var have []emitted
			for _, change := range only(changes.do(in), 0) {
				have = append(have, suppress.do(change.Record)...)
			}
			if len(have) == 0 && len(want) > 0 {
				suppress.out = nil
				if err := suppress.p.(*Suppress).release(); err != nil {
					t.Fatal(err)
				}
				have = suppress.out
			}
			a, b := strings.Split(show(have), "\n"), strings.Split(show(want), "\n")
			slices.Sort(a)
			slices.Sort(b)
			if !slices.Equal(a, b) {
				t.Fatalf("record %d at %d:\nhave\n%s\nwant\n%s", i, when, show(have), show(want))
			}
		}
	})
}

func only(out []emitted, port int) []emitted {
	return slices.DeleteFunc(out, func(e emitted) bool { return e.port != port })
}

// heldTwin is what waits for a limit, by key.
type heldTwin struct {
	first    int64
	old, new string
	at       int64
}

func TestALimitGivesTheLastChangeOfEachKeyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := int64(rapid.IntRange(1, 20).Draw(t, "limit"))
		b := openSuppress(t, SuppressOptions{Limit: time.Duration(limit) * ms})
		waiting, table := map[string]heldTwin{}, map[string]string{}
		clock, now := int64(0), int64(-1<<62)
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			clock += int64(rapid.SampledFrom([]int{0, 1, 2, 5, 20}).Draw(t, "step"))
			when := clock - int64(rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "behind"))
			now = max(now, when)
			var due []string
			for key, w := range waiting {
				if w.first+limit <= now {
					due = append(due, fmt.Sprintf("0 %s %s->%s @%d", key, w.old, w.new, w.at))
					delete(waiting, key)
				}
			}
			key, value := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), string(rune('A'+i))
			if rapid.IntRange(0, 4).Draw(t, "deleted") == 0 {
				value = ""
			}
			in := rec(key, value, when)
			old, there := table[key]
			if there {
				in.Old = []byte(old)
			}
			w, known := waiting[key]
			if !known {
				w = heldTwin{first: now, old: "-"}
				if there {
					w.old = old
				}
			}
			w.new, w.at = value, when
			if delete(table, key); value == "" {
				w.new = "-"
			} else {
				table[key] = value
			}
			waiting[key] = w
			switch rapid.IntRange(0, 9).Draw(t, "trouble") {
			case 0:
				b.restart()
			case 1:
				b.commit()
			case 2:
				b.undo(rec(key, "undone", when+30))
			}
			have := strings.Split(strings.TrimSpace(show(b.do(in))), "\n")
			if len(due) == 0 {
				due = []string{""}
			}
			slices.Sort(have)
			slices.Sort(due)
			if !slices.Equal(have, due) {
				t.Fatalf("change %d of %s at %d: have %q, want %q", i, key, when, have, due)
			}
		}
	})
}

func TestAResultAfterTheCloseIsLate(t *testing.T) {
	spec := window.Spec{Size: 10 * ms}
	b := openSuppress(t, SuppressOptions{Window: &spec})
	result := func(value string, ms int64) *record.Record {
		r := rec("k", value, ms)
		r.Headers = window.Window{Start: at(0), End: at(10)}.Headers()
		return r
	}
	out := b.do(result("a", 9))
	b.now = at(10)
	out = append(out, b.do(result("b", 9))...)
	wantLines(t, show(out), "0 k[0,10] -->a @9", "1 k[0,10] -->b @9")
	if n := b.p.(*Suppress).Late(); n != 1 {
		t.Errorf("%d late", n)
	}
}

func TestWhatIsNoResultOfAWindowCannotWaitForItsClose(t *testing.T) {
	b := openSuppress(t, SuppressOptions{Window: &window.Spec{Size: 10 * ms}})
	if _, err := b.try(0, rec("k", "v", 1)); err == nil {
		t.Error("a plain record passes")
	}
	if out := b.do(&record.Record{Value: []byte("v"), Time: at(1)}); len(out) != 0 || b.p.(*Suppress).Dropped() != 1 {
		t.Error("a record without a key is not dropped")
	}
}

func TestSuppressOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]SuppressOptions{
		"neither":    {},
		"both":       {Window: &window.Spec{Size: time.Hour}, Limit: time.Hour},
		"bad window": {Window: &window.Spec{}},
	} {
		if err := o.Check(); err == nil || NewSuppress(o).Open(nil) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeldRecordsAreReadBack(t *testing.T) {
	maybe := rapid.Ptr(rapid.SliceOf(rapid.Byte()), true)
	draw := func(t *rapid.T, name string) []byte {
		if b := maybe.Draw(t, name); b != nil {
			return append([]byte{}, *b...)
		}
		return nil
	}
	rapid.Check(t, func(t *rapid.T) {
		r := &record.Record{Value: draw(t, "value"), Old: draw(t, "old"), Time: at(rapid.Int64().Draw(t, "time")), Format: record.Format(rapid.IntRange(0, 2).Draw(t, "format")),
			Origin: record.Origin{Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Offset: rapid.Int64().Draw(t, "offset")}}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, record.Header{Key: rapid.String().Draw(t, "name"), Value: draw(t, "header")})
		}
		have, err := readHeld(holdRecord(r))
		if err != nil || !reflect.DeepEqual(have, r) {
			t.Fatalf("have %+v, %v, want %+v", have, err, r)
		}
	})
}

func FuzzReadHeld(f *testing.F) {
	f.Add(holdRecord(rec("k", "v", 1)))
	f.Add([]byte{heldVersion})
	f.Add(bytes.Repeat([]byte{1}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readHeld(b)
		if err != nil {
			return
		}
		again, err := readHeld(holdRecord(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%x: have %+v, then %+v, %v", b, r, again, err)
		}
	})
}
