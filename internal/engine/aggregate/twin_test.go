package aggregate

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
)

// The twins keep every record for ever and work everything out anew at each one, by the definitions alone.

// twin is what has happened so far.
type twin struct {
	spec   window.Spec
	final  bool
	now    int64
	seen   []seen
	given  map[string]string  // what the last result of each key and window was
	open   map[string]twinned // final: what waits
	sealed []sealedSession    // sessions: see there
}

type seen struct {
	key, value string
	at         int64
	now        int64 // stream time when it came
}

type twinned struct {
	key        string
	start, end int64
	value      string
	at, closes int64
}

func newTwin(spec window.Spec, final bool) *twin {
	return &twin{spec: spec, final: final, now: -1 << 62, given: map[string]string{}, open: map[string]twinned{}}
}

func (tw *twin) grace() int64 { return tw.spec.Grace.Milliseconds() }
func (tw *twin) size() int64  { return tw.spec.Size.Milliseconds() }

// closesAt is the first stream time at which nothing comes into a window any more.
func (tw *twin) closesAt(start, end int64) int64 {
	switch tw.spec.Kind {
	case window.Sliding:
		return end + tw.grace() + 1
	case window.Session:
		return end + tw.size() + tw.grace() + 1
	}
	return end + tw.grace()
}

// windows lists the windows of a key that have records or are placed by records, those around t only if asked for.
func (tw *twin) windows(key string) (all [][2]int64) {
	add := func(start, end int64) {
		if !slices.Contains(all, [2]int64{start, end}) {
			all = append(all, [2]int64{start, end})
		}
	}
	for _, s := range tw.seen {
		if s.key != key {
			continue
		}
		switch tw.spec.Kind {
		case window.Sliding:
			add(s.at-tw.size(), s.at)
			for _, o := range tw.seen {
				if o.key == key && o.at > s.at && o.at <= s.at+1+tw.size() {
					add(s.at+1, s.at+1+tw.size())
				}
			}
		default:
			step := tw.size()
			if tw.spec.Kind == window.Hopping {
				step = tw.spec.Advance.Milliseconds()
			}
			for start := tw.spec.Offset.Milliseconds() - 100_000/step*step; start <= s.at; start += step {
				if s.at < start+tw.size() {
					add(start, start+tw.size())
				}
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i][0] < all[j][0] })
	return all
}

func (tw *twin) inside(at, start, end int64) bool {
	return at >= start && (at < end || at == end && tw.spec.Kind == window.Sliding)
}

// process works on a record and returns what must come out, as lines.
func (tw *twin) process(key, value string, at int64) (out []string) {
	tw.now = max(tw.now, at)
	out = tw.closed()
	if tw.spec.Kind == window.Session {
		return append(out, tw.session(key, value, at)...)
	}
	s := seen{key, value, at, tw.now}
	before := tw.seen
	tw.seen = append(slices.Clone(tw.seen), s)
	late := true
	for _, w := range tw.windows(key) {
		late = late && !(tw.inside(at, w[0], w[1]) && tw.now < tw.closesAt(w[0], w[1]))
	}
	if tw.spec.Kind == window.Sliding {
		late = tw.now >= tw.closesAt(at, at+tw.size()) // of a window that could be
	}
	if late {
		tw.seen = before
		return append(out, fmt.Sprintf("1 %s -->%s @%d", key, value, at))
	}
	for _, w := range tw.windows(key) {
		if tw.now >= tw.closesAt(w[0], w[1]) {
			continue
		}
		sum, last := "", int64(-1<<62)
		for _, s := range tw.seen {
			if s.key == key && tw.inside(s.at, w[0], w[1]) && s.now < tw.closesAt(w[0], w[1]) {
				sum, last = sum+s.value, max(last, s.at)
			}
		}
		name := fmt.Sprintf("%s[%d,%d]", key, w[0], w[1])
		old, known := tw.given[name]
		if known && old == sum && !tw.inside(at, w[0], w[1]) {
			continue
		}
		if tw.given[name] = sum; tw.final {
			tw.open[name] = twinned{key, w[0], w[1], sum, last, tw.closesAt(w[0], w[1])}
			continue
		}
		if !known {
			old = "-"
		}
		out = append(out, fmt.Sprintf("0 %s %s->%s @%d", name, old, sum, last))
	}
	return out
}

// closed gives out what has closed.
func (tw *twin) closed() (out []string) {
	var due []twinned
	for name, o := range tw.open {
		if o.closes <= tw.now {
			due = append(due, o)
			delete(tw.open, name)
		}
	}
	sort.Slice(due, func(i, j int) bool {
		a, b := due[i], due[j]
		if a.closes != b.closes {
			return a.closes < b.closes
		}
		if a.start != b.start {
			return a.start < b.start
		}
		return a.key < b.key
	})
	for _, o := range due {
		out = append(out, fmt.Sprintf("0 %s[%d,%d] -->%s @%d", o.key, o.start, o.end, o.value, o.at))
	}
	return out
}

// sealedSession is a session of the twin: records that hang together, as long as it is open.
type sealedSession struct {
	key        string
	start, end int64
	value      string
}

// session joins the record with every open session within reach.
func (tw *twin) session(key, value string, at int64) (out []string) {
	merged := sealedSession{key, at, at, ""}
	var kept, joined []sealedSession
	for _, s := range tw.sealed {
		if s.key == key && s.end+tw.size() >= at && s.start-tw.size() <= at && tw.now < tw.closesAt(s.start, s.end) {
			joined = append(joined, s)
		} else {
			kept = append(kept, s)
		}
	}
	if len(joined) == 0 && tw.now >= tw.closesAt(at, at) {
		return []string{fmt.Sprintf("1 %s -->%s @%d", key, value, at)}
	}
	sort.Slice(joined, func(i, j int) bool { return joined[i].start < joined[j].start })
	for _, s := range joined {
		merged.start, merged.end, merged.value = min(merged.start, s.start), max(merged.end, s.end), merged.value+s.value
	}
	merged.value += value
	old := "-"
	for _, s := range joined {
		name := fmt.Sprintf("%s[%d,%d]", key, s.start, s.end)
		delete(tw.open, name)
		if s.start == merged.start && s.end == merged.end {
			old = s.value
		} else if !tw.final {
			out = append(out, fmt.Sprintf("0 %s %s->- @%d", name, s.value, s.end))
		}
	}
	tw.sealed = append(kept, merged)
	name := fmt.Sprintf("%s[%d,%d]", key, merged.start, merged.end)
	if tw.final {
		tw.open[name] = twinned{key, merged.start, merged.end, merged.value, merged.end, tw.closesAt(merged.start, merged.end)}
		return out
	}
	return append(out, fmt.Sprintf("0 %s %s->%s @%d", name, old, merged.value, merged.end))
}

func drawSpec(t *rapid.T) window.Spec {
	ms := func(from, to int, name string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Millisecond
	}
	s := window.Spec{Kind: rapid.SampledFrom([]window.Kind{window.Tumbling, window.Hopping, window.Sliding, window.Session}).Draw(t, "kind"),
		Size: ms(1, 20, "size"), Grace: ms(0, 15, "grace")}
	switch s.Kind {
	case window.Hopping:
		s.Advance = min(ms(1, 10, "advance"), s.Size)
		s.Offset = ms(-5, 5, "offset")
	case window.Tumbling:
		s.Offset = ms(-5, 5, "offset")
	}
	return s
}

// TestWindowsAgreeWithTheTwin feeds random records, out of order and with repetitions, with failures, restarts and commits in
// between, and compares every single result.
func TestWindowsAgreeWithTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := concat()
		spec := drawSpec(t)
		o.Window = &spec
		o.Results = rapid.SampledFrom([]Results{Changes, Final}).Draw(t, "results")
		if rapid.Bool().Draw(t, "shortest retention") {
			o.Retention = spec.Retention()
		}
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, o.Stores(), func() processor.Processor { return New(o) })
		tw := newTwin(spec, o.Results == Final)
		clock := int64(0)
		for i := range rapid.IntRange(1, 25).Draw(t, "records") {
			clock += int64(rapid.SampledFrom([]int{0, 0, 1, 1, 2, 5, 20, 90}).Draw(t, "step"))
			when := clock - int64(rapid.SampledFrom([]int{0, 0, 0, 1, 3, 10, 30}).Draw(t, "behind"))
			key := rapid.SampledFrom([]string{"a", "a", "a", "b", "a@1/2"}).Draw(t, "key")
			value := string(rune('a' + i))
			switch rapid.IntRange(0, 9).Draw(t, "trouble") {
			case 0:
				b.restart()
			case 1:
				b.commit()
			case 2:
				b.undo(rec(key, value, when+7)) // time comes back, too
			case 3:
				if _, err := b.try(0, rec(key, "!", when)); err == nil && !lateFor(b.out) {
					t.Fatal("a bad record passes")
				} else if err == nil {
					tw.now = max(tw.now, when)
				}
			}
			out, err := b.try(0, rec(key, value, when))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Join(tw.process(key, value, when), "\n")
			if have := strings.TrimSpace(show(out)); !sameResults(spec, have, want) {
				t.Fatalf("record %d, %s at %d, stream time %d:\nhave\n%s\nwant\n%s", i, key, when, tw.now, have, want)
			}
		}
	})
}

func lateFor(out []emitted) bool { return len(out) > 0 && out[len(out)-1].port == PortLate }

// sameResults compares line by line; sessions that end in one step may come in any stable order.
func sameResults(spec window.Spec, have, want string) bool {
	if spec.Kind != window.Session {
		return have == want
	}
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
