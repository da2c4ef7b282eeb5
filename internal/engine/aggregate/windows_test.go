package aggregate

import (
	"testing"
	"time"

	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

const ms = time.Millisecond

func TestARecordIsLateFromTheVeryMomentItsLastWindowCloses(t *testing.T) {
	for _, c := range []struct {
		name string
		spec window.Spec
		at   int64
		last int64 // stream time at which a record of that time is still taken
	}{
		{"tumbling", window.Spec{Size: 10 * ms}, 5, 9},
		{"tumbling with grace", window.Spec{Size: 10 * ms, Grace: 5 * ms}, 5, 14},
		{"hopping", window.Spec{Kind: window.Hopping, Size: 10 * ms, Advance: 4 * ms, Grace: 5 * ms}, 5, 18},
		{"sliding", window.Spec{Kind: window.Sliding, Size: 10 * ms, Grace: 5 * ms}, 5, 20},
		{"session", window.Spec{Kind: window.Session, Size: 10 * ms, Grace: 5 * ms}, 5, 20},
	} {
		for _, results := range []Results{Changes, Final} {
			for _, late := range []bool{false, true} {
				o := concat()
				o.Window, o.Results = &c.spec, results
				b := open1(t, o)
				now := c.last
				if late {
					now++
				}
				b.do(rec("other", "x", now))
				in := rec("k", "v", c.at)
				in.Headers = []record.Header{{Key: "h", Value: []byte("1")}}
				port := -1
				for _, e := range b.do(in) {
					if string(e.Key) == "k" {
						port = e.port
					}
				}
				switch {
				// A sliding window that the record could still come into need not be there yet.
				case late && port != PortLate, !late && results == Changes && c.spec.Kind != window.Sliding && port != 0, !late && results == Final && port != -1:
					t.Errorf("%s, %v, stream time %d: port %d", c.name, results, now, port)
				}
				if late && (len(in.Headers) != 1 || string(in.Value) != "v" || b.p.(*Aggregate).Late() != 1) {
					t.Errorf("%s: a late record was touched or not counted: %+v", c.name, in)
				}
			}
		}
	}
}

// TestAGapInTheStreamLosesNoFinalResult: what waits is not subject to the retention of what was given out.
func TestAGapInTheStreamLosesNoFinalResult(t *testing.T) {
	for _, spec := range []window.Spec{{Size: 10 * ms}, {Kind: window.Hopping, Size: 10 * ms, Advance: 5 * ms}, {Kind: window.Sliding, Size: 10 * ms}, {Kind: window.Session, Size: 10 * ms}} {
		o := concat()
		o.Window, o.Results = &spec, Final
		b := open1(t, o)
		b.do(rec("k", "v", 12))
		b.commit()
		b.restart()
		want := 1
		if spec.Kind == window.Hopping {
			want = 2
		}
		if out := b.do(rec("k", "w", int64(365*24*time.Hour/ms))); len(out) != want || string(out[0].Value) != "v" {
			t.Errorf("%s: %d results after a year\n%s", spec.Kind, len(out), show(out))
		}
	}
}

func TestResultsCarryTheirWindow(t *testing.T) {
	o := concat()
	o.Window, o.Keys = &window.Spec{Kind: window.Hopping, Size: 10 * ms, Advance: 5 * ms}, KeyWindowed
	b := open1(t, o)
	in := rec("k", "v", 7)
	in.Headers = []record.Header{{Key: "h", Value: []byte("1")}, {Key: window.HeaderStart, Value: []byte("99")}}
	out := b.do(in)
	wantLines(t, show(out), "0 k@0/10[0,10] -->v @7", "0 k@5/15[5,15] -->v @7")
	if len(out[1].Headers) != 3 || out[1].Headers[0].Key != "h" {
		t.Errorf("headers %v", out[1].Headers)
	}
	key, w, err := window.ParseKey(out[1].Key)
	if err != nil || string(key) != "k" || w.Start.UnixMilli() != 5 {
		t.Errorf("key %s %v %v", key, w, err)
	}
}

func TestResultsOfOneWindowShareNoHeadersThatChange(t *testing.T) {
	o := concat()
	o.Window = &window.Spec{Size: 10 * ms}
	b := open1(t, o)
	first, second := b.do(rec("a", "1", 1))[0], b.do(rec("b", "2", 2))[0]
	first.SetHeader("x", []byte("1"))
	first.SetHeader(window.HeaderStart, []byte("77"))
	if w, ok := window.Of(second.Record); !ok || w.Start.UnixMilli() != 0 || len(second.Headers) != 2 {
		t.Errorf("headers of the second: %v", second.Headers)
	}
}

// TestAClosedWindowCanBeAskedFor: with final results the main store holds what was given out, and nothing else.
func TestAClosedWindowCanBeAskedFor(t *testing.T) {
	o := concat()
	o.Window, o.Results = &window.Spec{Size: 10 * ms}, Final
	b := open1(t, o)
	b.do(rec("k", "v", 5))
	if _, ok := b.Windows("b").Get([]byte("k"), at(0), 0); ok {
		t.Error("an open window is in the table of final results")
	}
	b.do(rec("l", "w", 15))
	if e, ok := b.Windows("b").Get([]byte("k"), at(0), 0); !ok || string(e.Value) != "v" {
		t.Errorf("the closed window is %q %v", e.Value, ok)
	}
	n := 0
	for range b.KeyValue("b-open").Range(nil, nil) {
		n++
	}
	if n != 3 {
		t.Errorf("%d entries wait, want that of one window, its due time, and the count of sweeps", n)
	}
}

// TestManyWindowsCloseAtOnce crosses the size of a sweep.
func TestManyWindowsCloseAtOnce(t *testing.T) {
	o := concat()
	o.Window, o.Results = &window.Spec{Size: 10 * ms}, Final
	b := open1(t, o)
	const n = 3*sweepMax + 7
	for i := range n {
		b.do(rec(string([]byte{'k', byte(i >> 8), byte(i)}), "v", int64(i%10)))
	}
	out := b.do(rec("z", "v", 10))
	seen := map[string]bool{}
	for i, e := range out {
		if seen[string(e.Key)] || i > 0 && string(out[i-1].Key) >= string(e.Key) {
			t.Fatalf("result %d of key %x: twice or out of order", i, e.Key)
		}
		seen[string(e.Key)] = true
	}
	if len(out) != n {
		t.Errorf("%d results of %d windows", len(out), n)
	}
	if out := b.do(rec("z", "v", 11)); len(out) != 0 {
		t.Errorf("and %d again", len(out))
	}
}

func TestASessionThatHasClosedStaysAsItIs(t *testing.T) {
	o := concat()
	o.Window = &window.Spec{Kind: window.Session, Size: 5 * ms}
	b := open1(t, o)
	out := b.do(rec("k", "a", 0))
	out = append(out, b.do(rec("other", "x", 6))...) // closes it
	out = append(out, b.do(rec("k", "b", 5))...)     // would have gone on with it, and is not late itself
	wantLines(t, show(out), "0 k[0,0] -->a @0", "0 other[6,6] -->x @6", "0 k[5,5] -->b @5")
}

// TestARecordThatIsDroppedMovesTheTimeAllTheSame: what has closed is not held back until a record comes that counts.
func TestARecordThatIsDroppedMovesTheTimeAllTheSame(t *testing.T) {
	o := concat()
	o.Window, o.Results = &window.Spec{Size: 10 * ms}, Final
	b := open1(t, o)
	b.do(rec("k", "v", 5))
	wantLines(t, show(b.do(&record.Record{Value: []byte("x"), Time: at(10)})), "0 k[0,10] -->v @5")
}
