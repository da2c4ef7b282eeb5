package join

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// A left value of these tests is "<foreign key>/<n>", with "-" for none; a right value is "<its key>:<n>".
func foreignKeyOf(_, value []byte) ([]byte, error) {
	key, _, _ := strings.Cut(string(value), "/")
	return bytesOf(key), nil
}

// foreignJoin is a left and a right table in several tasks each, with the topics between the parts of their join.
type foreignJoin struct {
	cfg    ForeignKeyConfig
	lefts  []*foreignTask
	rights []*foreignTask
	hops   map[hop][]*record.Record
	out    []*record.Record
}

// foreignTask is a task with its first processor, a table, and the part of the join that has two inputs.
type foreignTask struct {
	w     *world
	table processor.Processor
	part  processor.Processor
}

// hop is the way from one task to another: what is on it stays in order, between ways there is none.
type hop struct {
	back     bool // from right to left
	from, to int
}

const tasks = 2

func newForeignJoin(t rapid.TB, typ Type) *foreignJoin {
	f := &foreignJoin{hops: map[hop][]*record.Record{}, cfg: ForeignKeyConfig{
		Left: Source{Store: "left"}, Right: Source{Store: "right"}, Type: typ, Key: foreignKeyOf, Join: pairOf}}
	for range tasks {
		f.lefts = append(f.lefts, &foreignTask{w: newWorld(t, stores{"left": TableConfig{}.Stores(), "result": f.cfg.ResolveStores()})})
		f.rights = append(f.rights, &foreignTask{w: newWorld(t, stores{"right": TableConfig{}.Stores(), "subs": f.cfg.SubscriptionStores()})})
	}
	f.open(t)
	return f
}

// open makes all processors, also anew over the same stores.
func (f *foreignJoin) open(t rapid.TB) {
	for i, task := range f.lefts {
		subscribe := NewSubscribe(f.cfg)
		task.table, task.part = NewTable(TableConfig{}), NewResolve(f.cfg)
		task.w.open(t, "left", task.table, func(_ int, r *record.Record) {
			must(t, subscribe.Process(0, r.Clone()))
			must(t, task.part.Process(leftSide, r))
		})
		task.w.open(t, "subscribe", subscribe, func(_ int, r *record.Record) { f.send(t, hop{false, i, taskOf(r.Key)}, r) })
		task.w.open(t, "result", task.part, func(_ int, r *record.Record) { f.out = append(f.out, r) })
	}
	for i, task := range f.rights {
		task.table, task.part = NewTable(TableConfig{}), NewSubscriptions(f.cfg)
		task.w.open(t, "right", task.table, func(_ int, r *record.Record) { must(t, task.part.Process(rightSide, r)) })
		task.w.open(t, "subs", task.part, func(_ int, r *record.Record) { f.send(t, hop{true, i, taskOf(r.Key)}, r) })
	}
}

func (f *foreignJoin) close(t rapid.TB) {
	for i := range tasks {
		f.lefts[i].w.close(t)
		f.rights[i].w.close(t)
	}
}

func (f *foreignJoin) send(t rapid.TB, h hop, r *record.Record) {
	if r.Old != nil {
		t.Fatalf("a record leaves its task with what was before: %v", r)
	}
	f.hops[h] = append(f.hops[h], r)
}

func taskOf(key []byte) int { return len(key) % tasks }

// ways are the hops that have something on them, in a fixed order.
func (f *foreignJoin) ways() (all []hop) {
	for _, back := range []bool{false, true} {
		for i := range tasks * tasks {
			if h := (hop{back, i / tasks, i % tasks}); len(f.hops[h]) > 0 {
				all = append(all, h)
			}
		}
	}
	return all
}

// deliver takes the first record of a way to the other side.
func (f *foreignJoin) deliver(t rapid.TB, h hop) {
	r := f.hops[h][0]
	f.hops[h] = f.hops[h][1:]
	if h.back {
		task := f.lefts[h.to]
		task.w.feed(t, task.part, rightSide, r)
	} else {
		task := f.rights[h.to]
		task.w.feed(t, task.part, leftSide, r)
	}
}

func (f *foreignJoin) settle(t rapid.TB) {
	for ways := f.ways(); len(ways) > 0; ways = f.ways() {
		f.deliver(t, ways[0])
	}
}

func (f *foreignJoin) left(t rapid.TB, key, value string, at int64) {
	task := f.lefts[taskOf([]byte(key))]
	task.w.feed(t, task.table, 0, rec(key, value, at))
}

func (f *foreignJoin) right(t rapid.TB, key, value string, at int64) {
	task := f.rights[taskOf([]byte(key))]
	task.w.feed(t, task.table, 0, rec(key, value, at))
}

func (f *foreignJoin) take() []string {
	out := lines{}
	for _, r := range f.out {
		out.emit(0, r)
	}
	f.out = nil
	return out.all
}

// TestForeignKeyCases goes through a story, with everything delivered after each step.
func TestForeignKeyCases(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		steps []string // "<side> <key>=<value>" and then what is emitted
	}{
		{Inner, []string{
			"left a=x/1", "", "right x=x:1", "a=[a x/1 x:1] was - @2", "left bb=x/2", "bb=[bb x/2 x:1] was - @3",
			"right x=x:2", "a=[a x/1 x:2] was [a x/1 x:1] @4; bb=[bb x/2 x:2] was [bb x/2 x:1] @4",
			"left a=x/3", "a=[a x/3 x:2] was [a x/1 x:2] @5",
			"left a=yy/4", "a=- was [a x/3 x:2] @6", // the new right entry is not there
			"right x=x:3", "bb=[bb x/2 x:3] was [bb x/2 x:2] @7",
			"right yy=yy:1", "a=[a yy/4 yy:1] was - @8",
			"left bb=-/5", "bb=- was [bb x/2 x:3] @9", // no foreign key
			"left bb=yy/6", "bb=[bb yy/6 yy:1] was - @10",
			"right yy=-", "a=- was [a yy/4 yy:1] @11; bb=- was [bb yy/6 yy:1] @11",
			"right yy=-", "", "left c=-", "", "right yy=yy:2", "a=[a yy/4 yy:2] was - @14; bb=[bb yy/6 yy:2] was - @14",
			"left a=-", "a=- was [a yy/4 yy:2] @15", "right yy=yy:3", "bb=[bb yy/6 yy:3] was [bb yy/6 yy:2] @16",
		}},
		{Left, []string{
			"left a=x/1", "a=[a x/1 -] was - @1", "right x=x:1", "a=[a x/1 x:1] was [a x/1 -] @2",
			"left a=yy/2", "a=[a yy/2 -] was [a x/1 x:1] @3", "right x=x:2", "",
			"left a=-/3", "a=[a -/3 -] was [a yy/2 -] @5", "left a=x/4", "a=[a x/4 x:2] was [a -/3 -] @6",
			"right x=-", "a=[a x/4 -] was [a x/4 x:2] @7", "left a=-", "a=- was [a x/4 -] @8", "right x=x:3", "",
		}},
	} {
		t.Run(c.typ.String(), func(t *testing.T) {
			f := newForeignJoin(t, c.typ)
			defer f.close(t)
			for i := 0; i < len(c.steps); i += 2 {
				side, entry, _ := strings.Cut(c.steps[i], " ")
				key, value, _ := strings.Cut(entry, "=")
				change := f.left
				if side == "right" {
					change = f.right
				}
				change(t, key, value, int64(i/2+1))
				f.settle(t)
				have := f.take()
				slices.Sort(have)
				if strings.Join(have, "; ") != c.steps[i+1] {
					t.Errorf("%s:\nhave %s\nwant %s", c.steps[i], strings.Join(have, "; "), c.steps[i+1])
				}
			}
		})
	}
}

// TestForeignKeyResultOfAnEntryThatCameBack: an answer may be stale although nothing newer ever comes from its foreign
// key; the result must still not be that of an entry that is gone.
func TestForeignKeyResultOfAnEntryThatCameBack(t *testing.T) {
	for name, comesBackAs := range map[string]string{"without foreign key": "-/2", "with one that is not there": "yy/2"} {
		t.Run(name, func(t *testing.T) {
			f := newForeignJoin(t, Inner)
			defer f.close(t)
			f.right(t, "x", "x:1", 1)
			f.left(t, "a", "x/1", 2)
			f.settle(t)
			f.left(t, "a", "-", 3)
			f.left(t, "a", comesBackAs, 4)
			f.settle(t)
			same(t, f.take(), []string{"a=[a x/1 x:1] was - @2", "a=- was [a x/1 x:1] @3"})
		})
	}
}

// TestForeignKeyAgainstTwoMaps changes both tables while messages are on their way, in any order that topics allow.
// Whatever is emitted belongs together; when all is delivered, the result is the join of two maps.
func TestForeignKeyAgainstTwoMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := Type(rapid.IntRange(0, 1).Draw(t, "type"))
		f := newForeignJoin(t, typ)
		defer f.close(t)
		lefts, rights := map[string]string{}, map[string]string{}
		times := map[string]int64{} // of the entries of both
		seen := map[string]string{} // the result as who follows the changes knows it
		for i, n := 0, rapid.IntRange(1, 40).Draw(t, "n"); i < n; i++ {
			ways := f.ways()
			switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
			case kind == 9:
				f.open(t)
			case kind >= 4 && len(ways) > 0:
				f.deliver(t, ways[rapid.IntRange(0, len(ways)-1).Draw(t, "way")])
			case kind%2 == 0:
				key := rapid.SampledFrom([]string{"a", "bb"}).Draw(t, "left")
				value := rapid.SampledFrom([]string{"-", "-/1", "x/1", "x/2", "yy/1", "yy/2", "/1"}).Draw(t, "value")
				times[key] = rapid.Int64Range(0, 40).Draw(t, "at")
				f.left(t, key, value, times[key])
				change(lefts, key, value)
			default:
				key := rapid.SampledFrom([]string{"x", "yy", ""}).Draw(t, "right")
				value := rapid.SampledFrom([]string{"-", fmt.Sprintf("%s:%d", key, i)}).Draw(t, "value")
				times[key] = rapid.Int64Range(0, 40).Draw(t, "at")
				f.right(t, key, value, times[key])
				change(rights, key, value)
			}
			f.checkEmitted(t, lefts, seen)
		}
		for ways := f.ways(); len(ways) > 0; ways = f.ways() {
			f.deliver(t, ways[rapid.IntRange(0, len(ways)-1).Draw(t, "way")])
			f.checkEmitted(t, lefts, seen)
		}
		f.checkResult(t, lefts, rights, seen, times)
	})
}

func change(m map[string]string, key, value string) {
	if value == "-" {
		delete(m, key)
	} else {
		m[key] = value
	}
}

// checkEmitted follows the changes: each says what was before, none is from nothing to nothing, and a result is made of
// the left entry as it is and of a right entry that has its foreign key.
func (f *foreignJoin) checkEmitted(t rapid.TB, lefts, seen map[string]string) {
	for _, r := range f.out {
		key := string(r.Key)
		old, ok := seen[key]
		if ok != (r.Old != nil) || old != string(r.Old) || r.Value == nil && r.Old == nil {
			t.Fatalf("%s: %s was %s, but before there was %q", key, text(r.Value), text(r.Old), old)
		}
		if r.Value != nil {
			parts := strings.Split(strings.Trim(string(r.Value), "[]"), " ")
			foreign, _, _ := strings.Cut(parts[1], "/")
			if parts[1] != lefts[key] || parts[2] != "-" && !strings.HasPrefix(parts[2], foreign+":") {
				t.Fatalf("%s: %s, but the left entry is %s", key, r.Value, lefts[key])
			}
		}
		change(seen, key, text(r.Value))
	}
	f.out = nil
}

func (f *foreignJoin) checkResult(t rapid.TB, lefts, rights, seen map[string]string, times map[string]int64) {
	subscribers := 0
	for _, key := range []string{"a", "bb"} {
		want, have := "-", "-"
		left, ok := lefts[key]
		foreign, _, _ := strings.Cut(left, "/")
		right, found := rights[foreign]
		switch {
		case ok && foreign != "-" && found:
			want = fmt.Sprintf("[%s %s %s]", key, left, right)
		case ok && f.cfg.Type == Left:
			want = fmt.Sprintf("[%s %s -]", key, left)
		}
		if value, ok := seen[key]; ok {
			have = value
		}
		if ok && foreign != "-" {
			subscribers++
		}
		e, ok := f.lefts[taskOf([]byte(key))].w.state.KeyValue("result").Get([]byte(key))
		if have != want || ok != (want != "-") || ok && string(e.Value) != want {
			t.Fatalf("%s: have %s, store %s, want %s", key, have, e.Value, want)
		}
		if found && foreign != "-" && want != "-" && e.Time.UnixMilli() != max(times[key], times[foreign]) {
			t.Fatalf("%s: at %d, want the later of %d and %d", key, e.Time.UnixMilli(), times[key], times[foreign])
		}
	}
	for _, task := range f.rights {
		for range task.w.state.KeyValue("subs").Range(nil, nil) {
			subscribers--
		}
	}
	if subscribers != 0 {
		t.Fatalf("%d subscriptions are missing", subscribers)
	}
}

func TestForeignKeyDropsAndErrors(t *testing.T) {
	f := newForeignJoin(t, Inner)
	defer f.close(t)
	left, right := f.lefts[0], f.rights[0]
	for _, p := range []processor.Processor{NewSubscribe(f.cfg), NewSubscriptions(f.cfg), NewResolve(f.cfg)} {
		w := newWorld(t, stores{"left": {{}}, "right": {{}}, "p": {{}}})
		w.open(t, "p", p, func(int, *record.Record) { t.Error("emitted") })
		must(t, p.Process(0, rec("-", "x", 1)))
		if w.dropped[NoKey] != 1 {
			t.Errorf("%T: %v", p, w.dropped)
		}
	}
	if err := right.part.Process(leftSide, rec("x", "rubbish", 1)); err == nil {
		t.Error("rubbish is a subscription")
	}
	if err := left.part.Process(rightSide, rec("bb", "rubbish", 1)); err == nil {
		t.Error("rubbish is an answer")
	}
	f.left(t, "bb", "-/1", 1)
	must(t, left.part.Process(rightSide, &record.Record{Key: []byte("bb"), Value: answer{sum: sumOf([]byte("other"))}.encode(), Time: ms(1)}))
	if left.w.dropped[NoForeignKey] != 1 || left.w.dropped[Stale] != 1 {
		t.Error(left.w.dropped)
	}
	broken := errors.New("broken")
	f.cfg.Key = func(_, _ []byte) ([]byte, error) { return nil, broken }
	resolve := NewResolve(f.cfg)
	left.w.open(t, "result", resolve, func(int, *record.Record) {})
	if err := resolve.Process(leftSide, rec("bb", "x", 1)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestMessagesSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		s := subscription{op: rapid.SampledFrom([]operation{subscribe, unsubscribe}).Draw(t, "op"), sum: sumOf(some), key: some}
		back, err := decodeSubscription(s.encode())
		if err != nil || back.op != s.op || back.sum != s.sum || !bytes.Equal(back.key, s.key) {
			t.Fatalf("%v: %v %v", s, back, err)
		}
		for _, a := range []answer{{s.sum, some}, {s.sum, nil}} {
			back, err := decodeAnswer(a.encode())
			if err != nil || back.sum != a.sum || !bytes.Equal(back.value, a.value) || (back.value == nil) != (a.value == nil) {
				t.Fatalf("%v: %v %v", a, back, err)
			}
		}
	})
}

func TestSubscriptionsOfOneKeyAreNotThoseOfAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 4)
		a, b, key := part.Draw(t, "a"), part.Draw(t, "b"), part.Draw(t, "key")
		if is := bytes.HasPrefix(subscriptionKey(a, key), subscriptionPrefix(b, 0)); is != bytes.Equal(a, b) {
			t.Fatal("mixed up")
		}
	})
}

func FuzzDecodeSubscription(f *testing.F) {
	f.Add(subscription{op: subscribe, key: []byte("k")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSubscription(b); err == nil && !bytes.Equal(s.encode(), b) {
			t.Errorf("%x reads as %v", b, s)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(answer{value: []byte("v")}.encode())
	f.Add(answer{}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAnswer(b); err == nil && !bytes.Equal(a.encode(), b) {
			t.Errorf("%x reads as %v", b, a)
		}
	})
}
