package join

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

func within(typ Type, before, after, grace int64) StreamStreamConfig {
	ms := time.Millisecond
	return StreamStreamConfig{Type: typ, Before: time.Duration(before) * ms, After: time.Duration(after) * ms, Grace: time.Duration(grace) * ms, Join: pairOf}
}

// arrival is a record of a story: side, value and time; all have the key k.
type arrival struct {
	side  int
	value string
	at    int64
}

// TestStreamStreamCases says what each record of a story emits: -5 ≤ right - left ≤ 10, grace 3.
func TestStreamStreamCases(t *testing.T) {
	l, r := leftSide, rightSide
	steps := []struct {
		arrival
		inner, left, outer []string
	}{
		{arrival{l, "A", 100}, nil, nil, nil},
		{arrival{r, "a", 110}, []string{"[k A a] @110"}, []string{"[k A a] @110"}, []string{"[k A a] @110"}}, // at the end of the window
		{arrival{r, "b", 95}, []string{"[k A b] @100"}, []string{"[k A b] @100"}, []string{"[k A b] @100"}},  // at its beginning; b itself is closed, A is not
		{arrival{r, "c", 111}, nil, nil, nil},
		{arrival{l, "B", 112}, []string{"[k B a] @112", "[k B c] @112"}, []string{"[k B a] @112", "[k B c] @112"}, []string{"[k B a] @112", "[k B c] @112"}},
		{arrival{l, "C", 125}, nil, nil, nil},
		{arrival{l, "D", 130}, nil, nil, nil},
		{arrival{r, "d", 117}, []string{"late d"}, []string{"late d"}, []string{"late d"}}, // B is closed: 112+10+3 < 130
		{arrival{r, "e", 122}, []string{"[k C e] @125"}, []string{"[k C e] @125"}, []string{"[k C e] @125"}},
		{arrival{l, "E", 138}, nil, nil, nil},
		{arrival{l, "F", 144}, nil, []string{"[k D -] @130"}, []string{"[k D -] @130"}}, // 130+10+3 < 144
		{arrival{r, "f", 144}, []string{"[k E f] @144", "[k F f] @144"}, []string{"[k E f] @144", "[k F f] @144"}, []string{"[k E f] @144", "[k F f] @144"}},
		{arrival{r, "g", 160}, nil, nil, nil},
		{arrival{r, "h", 169}, nil, nil, []string{"[k - g] @160"}},
		{arrival{l, "-", 170}, nil, nil, nil},
		{arrival{r, "i", 1000}, nil, nil, []string{"[k - h] @169"}},
		{arrival{l, "G", 986}, []string{"late G"}, []string{"late G"}, []string{"late G"}},
		{arrival{l, "H", 987}, nil, nil, nil}, // the last moment: 987+10+3 = 1000
	}
	for typ := Inner; typ <= Outer; typ++ {
		t.Run(typ.String(), func(t *testing.T) {
			j := newStreamJoin(t, within(typ, 5, 10, 3))
			defer j.w.close(t)
			for i, s := range steps {
				want := [][]string{s.inner, s.left, s.outer}[typ]
				have := j.arrive(t, s.side, rec("k", s.value, s.at))
				slices.Sort(have)
				slices.Sort(want)
				if !slices.Equal(have, want) {
					t.Errorf("step %d, %v:\nhave %q\nwant %q", i, s.arrival, have, want)
				}
			}
			counted := j.p.(Counted)
			if j.w.dropped[Late] != 2 || j.w.dropped[NoValue] != 1 || counted.Late() != 2 || counted.Dropped() != 1 {
				t.Error(j.w.dropped, counted.Late(), counted.Dropped())
			}
		})
	}
}

// streamJoin is a task with a join and what it emitted.
type streamJoin struct {
	w   *world
	cfg StreamStreamConfig
	p   processor.Processor
	out []string
}

func newStreamJoin(t rapid.TB, c StreamStreamConfig) *streamJoin {
	j := &streamJoin{w: newWorld(t, stores{"j": c.Stores()}), cfg: c}
	j.open(t)
	return j
}

func (j *streamJoin) open(t rapid.TB) {
	j.p = NewStreamStream(j.cfg)
	j.w.open(t, "j", j.p, func(port int, r *record.Record) {
		if port == PortLate {
			j.out = append(j.out, "late "+string(r.Value))
			return
		}
		j.out = append(j.out, fmt.Sprintf("%s @%d", text(r.Value), r.Time.UnixMilli()))
	})
}

func (j *streamJoin) arrive(t rapid.TB, side int, r *record.Record) (out []string) {
	j.w.feed(t, j.p, side, r)
	out, j.out = j.out, nil
	return out
}

// fail lets a record be worked on and undoes it, as a task does if a bolt behind the join fails.
func (j *streamJoin) fail(side int, r *record.Record) {
	before := j.w.now
	j.w.state.Mark()
	j.w.observe(r.Time)
	_ = j.p.Process(side, r)
	j.w.state.Rollback()
	j.w.now, j.out = before, nil
}

// arriveTwice is arrive where what the join does as time passes is undone once and then done again.
func (j *streamJoin) arriveTwice(t rapid.TB, side int, r *record.Record) (out []string) {
	j.w.observe(r.Time)
	must(t, j.p.Process(side, r))
	kept := len(j.out)
	j.w.state.Mark()
	j.w.punctuate(t)
	j.w.state.Rollback()
	j.out = j.out[:kept]
	j.w.punctuate(t)
	out, j.out = j.out, nil
	return out
}

// naive is a join that keeps everything and goes through all of it each time.
type naive struct {
	cfg StreamStreamConfig
	all []*memory
	now int64
}

type memory struct {
	side       int
	key, value string
	at         int64
	met, done  bool
}

func (n *naive) open(m *memory) bool {
	reach := n.cfg.After
	if m.side == rightSide {
		reach = n.cfg.Before
	}
	return m.at+(reach+n.cfg.Grace).Milliseconds() >= n.now
}

func (n *naive) near(m, o *memory) bool {
	l, r := m, o
	if m.side == rightSide {
		l, r = o, m
	}
	return r.at >= l.at-n.cfg.Before.Milliseconds() && r.at <= l.at+n.cfg.After.Milliseconds()
}

func (n *naive) arrive(m *memory) (out []string) {
	n.now = max(n.now, m.at)
	switch {
	case m.key == "-" || m.value == "-":
	default:
		out = n.meet(m)
		if n.open(m) {
			n.all = append(n.all, m)
		} else if !m.met {
			out = append(out, "late "+m.value)
		}
	}
	for _, o := range n.all {
		if n.open(o) || o.done {
			continue
		}
		o.done = true
		if !o.met && n.cfg.Type.keeps(o.side) {
			out = append(out, n.result(o, nil))
		}
	}
	return out
}

func (n *naive) meet(m *memory) (out []string) {
	for _, o := range n.all {
		if o.side != m.side && o.key == m.key && n.near(m, o) && n.open(o) {
			o.met, m.met = true, true
			out = append(out, n.result(m, o))
		}
	}
	return out
}

func (n *naive) result(m, o *memory) string {
	value, at := [2]string{"-", "-"}, m.at
	value[m.side] = m.value
	if o != nil {
		value[o.side], at = o.value, max(m.at, o.at)
	}
	return fmt.Sprintf("[%s %s %s] @%d", m.key, value[leftSide], value[rightSide], at)
}

// TestStreamStreamAgainstAList takes random records, out of order, some of them equal, some undone, and restarts.
func TestStreamStreamAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(0, 12)
		cfg := within(Type(rapid.IntRange(0, 2).Draw(t, "type")), small.Draw(t, "before"), small.Draw(t, "after"), small.Draw(t, "grace"))
		j, twin := newStreamJoin(t, cfg), &naive{cfg: cfg, now: math.MinInt64}
		defer j.w.close(t)
		base := rapid.SampledFrom([]int64{0, 1_000_000}).Draw(t, "base") // times before 1970 too
		for i, n := 0, rapid.IntRange(1, 40).Draw(t, "n"); i < n; i++ {
			m := &memory{side: rapid.IntRange(0, 1).Draw(t, "side"), key: rapid.SampledFrom([]string{"a", "a", "b", "", "-"}).Draw(t, "key"),
				value: rapid.SampledFrom([]string{fmt.Sprint("v", i), "same", "", "-"}).Draw(t, "value"),
				at:    base + int64(i) + rapid.Int64Range(-20, 20).Draw(t, "at")}
			r := rec(m.key, m.value, m.at)
			r.Origin = record.Origin{Topic: "t", Offset: rapid.Int64Range(0, 3).Draw(t, "offset")} // origins need not differ
			arrive := j.arrive
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				j.open(t)
			case 1:
				j.fail(m.side, r.Clone())
			case 2:
				arrive = j.arriveTwice
			}
			have, want := arrive(t, m.side, r), twin.arrive(m)
			slices.Sort(have)
			slices.Sort(want)
			if !slices.Equal(have, want) {
				t.Fatalf("%v:\nhave %q\nwant %q", *m, have, want)
			}
		}
	})
}

// TestStreamStreamTimeMovesByOthers: what waits is closed by the time of the task, also if no record of its own comes.
func TestStreamStreamTimeMovesByOthers(t *testing.T) {
	j := newStreamJoin(t, within(Outer, 5, 5, 0))
	defer j.w.close(t)
	r := rec("k", "A", 10)
	r.Origin = record.Origin{Topic: "orders", Partition: 3, Offset: 7}
	j.arrive(t, leftSide, r)
	var result *record.Record
	j.w.open(t, "j", j.p, func(_ int, r *record.Record) { result = r })
	j.w.observe(ms(15))
	if j.w.punctuate(t); result != nil {
		t.Fatal("closed too early")
	}
	j.w.observe(ms(16))
	j.w.punctuate(t)
	if result == nil || result.Origin.String() != "orders/3/7" || string(result.Key) != "k" || !result.Time.Equal(ms(10)) {
		t.Fatalf("%+v", result)
	}
	result = nil
	j.w.observe(ms(17))
	if j.w.punctuate(t); result != nil {
		t.Error("closed twice")
	}
}

// TestStreamStreamClosesSoMuchAtOnce: after a jump of stream time the rest follows by wall clock, also after a restart.
func TestStreamStreamClosesSoMuchAtOnce(t *testing.T) {
	j := newStreamJoin(t, within(Left, 5, 5, 0))
	defer j.w.close(t)
	const all = 2*closingMax + 10
	for i := range all {
		j.arrive(t, leftSide, rec(fmt.Sprint(i), "A", int64(i%3)))
	}
	have := []int{len(j.arrive(t, leftSide, rec("k", "late for all", 1000)))}
	for range 3 {
		j.open(t)
		must(t, j.w.tick(time.Time{}))
		have = append(have, len(j.out))
		j.out = nil
	}
	if !slices.Equal(have, []int{closingMax, closingMax, 10, 0}) {
		t.Errorf("closed %v", have)
	}
}

// TestStreamStreamJoinerErrors: one that fails for a pair fails the record; one that fails for a record that waited drops
// that one only.
func TestStreamStreamJoinerErrors(t *testing.T) {
	c := within(Left, 5, 5, 0)
	c.Join = func(key, left, right []byte) ([]byte, error) {
		if bytes.Equal(left, []byte("bad")) {
			return nil, errors.New("bad")
		}
		return pairOf(key, left, right)
	}
	j := newStreamJoin(t, c)
	defer j.w.close(t)
	j.arrive(t, leftSide, rec("k", "bad", 10))
	j.arrive(t, leftSide, rec("k", "good", 10))
	if err := j.p.Process(rightSide, rec("k", "r", 10)); err == nil {
		t.Error("an error of the joiner was lost")
	}
	same(t, j.arrive(t, leftSide, rec("other", "x", 100)), []string{"[k good -] @10"})
	if j.w.dropped[Failed] != 1 {
		t.Error(j.w.dropped)
	}
}

func TestWaitingRecordsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte())
		r := &record.Record{Key: text.Draw(t, "key"), Value: text.Draw(t, "value"), Time: ms(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "at")),
			Origin: record.Origin{Topic: "a/b", Partition: 1, Offset: 2}}
		key := waitKey(rightSide, r.Time.UnixMilli(), 7, r.Key)
		w, err := decodeWaiting(key, encodeWaiting(r))
		if err != nil || w.at != r.Time.UnixMilli() || !bytes.Equal(w.key, r.Key) || !bytes.Equal(w.value, r.Value) || w.origin != r.Origin {
			t.Fatalf("%+v: %v", w, err)
		}
		other := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "other")
		if bytes.Compare(key, waitPrefix(rightSide, other)) >= 0 != (w.at >= other) {
			t.Fatal("the order of keys is not that of times")
		}
	})
}

func FuzzDecodeWaiting(f *testing.F) {
	r := rec("k", "v", 1)
	f.Add(waitKey(leftSide, 1, 2, r.Key), encodeWaiting(r))
	f.Add([]byte{}, []byte{200, 200, 200, 200, 200, 200, 200, 200, 200, 1})
	f.Fuzz(func(_ *testing.T, key, value []byte) { _, _ = decodeWaiting(key, value) })
}
