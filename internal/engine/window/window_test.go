package window

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/record"
)

const ms = time.Millisecond

func at(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

func show(windows []Window) (out [][2]int64) {
	for _, w := range windows {
		out = append(out, [2]int64{w.Start.UnixMilli(), w.End.UnixMilli()})
	}
	return out
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name string
		spec Spec
		at   int64
		want [][2]int64
	}{
		{"tumbling", Spec{Size: 10 * ms}, 25, [][2]int64{{20, 30}}},
		{"a start belongs to its window", Spec{Size: 10 * ms}, 20, [][2]int64{{20, 30}}},
		{"an end belongs to the next", Spec{Size: 10 * ms}, 30, [][2]int64{{30, 40}}},
		{"before 1970", Spec{Size: 10 * ms}, -1, [][2]int64{{-10, 0}}},
		{"offset", Spec{Size: 10 * ms, Offset: 3 * ms}, 22, [][2]int64{{13, 23}}},
		{"negative offset", Spec{Size: 10 * ms, Offset: -3 * ms}, 17, [][2]int64{{17, 27}}},
		{"hopping", Spec{Kind: Hopping, Size: 10 * ms, Advance: 5 * ms}, 12, [][2]int64{{5, 15}, {10, 20}}},
		{"hopping at a start", Spec{Kind: Hopping, Size: 10 * ms, Advance: 5 * ms}, 10, [][2]int64{{5, 15}, {10, 20}}},
		{"hopping, uneven", Spec{Kind: Hopping, Size: 10 * ms, Advance: 4 * ms}, 9, [][2]int64{{0, 10}, {4, 14}, {8, 18}}},
		{"hopping as tumbling", Spec{Kind: Hopping, Size: 10 * ms, Advance: 10 * ms}, 9, [][2]int64{{0, 10}}},
		{"sliding", Spec{Kind: Sliding, Size: 10 * ms}, 9, nil},
	} {
		if have := show(slices.Collect(c.spec.Of(at(c.at)))); !slices.Equal(have, c.want) {
			t.Errorf("%s: have %v, want %v", c.name, have, c.want)
		}
	}
}

// TestOfAgreesWithLookingAtEveryStart tries every window that could be.
func TestOfAgreesWithLookingAtEveryStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{Kind: Hopping, Size: time.Duration(rapid.IntRange(1, 50).Draw(t, "size")) * ms, Offset: time.Duration(rapid.IntRange(-60, 60).Draw(t, "offset")) * ms}
		s.Advance = time.Duration(rapid.IntRange(1, int(s.Size/ms)).Draw(t, "advance")) * ms
		when := int64(rapid.IntRange(-500, 500).Draw(t, "time"))
		var want [][2]int64
		for i := int64(-2000); i < 2000; i++ {
			start := i*s.Advance.Milliseconds() + s.Offset.Milliseconds()
			if end := start + s.Size.Milliseconds(); start <= when && when < end {
				want = append(want, [2]int64{start, end})
			}
		}
		if have := show(slices.Collect(s.Of(at(when)))); !slices.Equal(have, want) {
			t.Fatalf("have %v, want %v", have, want)
		}
	})
}

// TestARecordIsLateExactlyIfNoWindowTakesIt compares Late with the windows themselves.
func TestARecordIsLateExactlyIfNoWindowTakesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{Kind: rapid.SampledFrom([]Kind{Tumbling, Hopping}).Draw(t, "kind"), Size: time.Duration(rapid.IntRange(1, 20).Draw(t, "size")) * ms,
			Grace: time.Duration(rapid.IntRange(0, 20).Draw(t, "grace")) * ms}
		if s.Kind == Hopping {
			s.Advance = time.Duration(rapid.IntRange(1, int(s.Size/ms)).Draw(t, "advance")) * ms
		}
		when, now := at(int64(rapid.IntRange(-50, 50).Draw(t, "time"))), at(int64(rapid.IntRange(-50, 100).Draw(t, "now")))
		late := true
		for w := range s.Of(when) {
			late = late && now.Sub(w.End) >= s.Grace
		}
		if s.Late(when, now) != late {
			t.Fatalf("late %v, want %v", s.Late(when, now), late)
		}
	})
}

func TestClosesAtTheExactTime(t *testing.T) {
	for _, c := range []struct {
		spec   Spec
		w      Window
		closes int64
	}{
		{Spec{Size: 10 * ms}, Window{at(0), at(10)}, 10},
		{Spec{Size: 10 * ms, Grace: 5 * ms}, Window{at(0), at(10)}, 15},
		{Spec{Kind: Hopping, Size: 10 * ms, Advance: ms, Grace: 5 * ms}, Window{at(0), at(10)}, 15},
		{Spec{Kind: Sliding, Size: 10 * ms, Grace: 5 * ms}, Window{at(0), at(10)}, 16},
		{Spec{Kind: Session, Size: 10 * ms, Grace: 5 * ms}, Window{at(0), at(3)}, 19},
	} {
		if have := c.spec.Closes(c.w).UnixMilli(); have != c.closes {
			t.Errorf("%s %v closes at %d, want %d", c.spec.Kind, c.w, have, c.closes)
		}
		if c.spec.Closed(c.w, at(c.closes-1)) || !c.spec.Closed(c.w, at(c.closes)) {
			t.Errorf("%s %v: closed at the wrong time", c.spec.Kind, c.w)
		}
	}
}

func london(t testing.TB) *time.Location {
	t.Helper()
	l, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDaysFollowTheClockOfTheirPlace(t *testing.T) {
	day := Spec{Size: 24 * time.Hour, Location: london(t)}
	for _, c := range []struct {
		name, at, start, end string
		spec                 Spec
	}{
		{"winter", "2026-01-10T12:00:00Z", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z", day},
		{"summer", "2026-07-10T23:30:00Z", "2026-07-10T23:00:00Z", "2026-07-11T23:00:00Z", day},
		{"a day of 23 hours", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z", day},
		{"a day of 25 hours", "2026-10-25T12:00:00Z", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z", day},
		{"its last moment", "2026-10-25T23:59:59.999Z", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z", day},
		{"from six in the morning", "2026-07-10T04:59:59Z", "2026-07-09T05:00:00Z", "2026-07-10T05:00:00Z", Spec{Size: 24 * time.Hour, Location: london(t), Offset: 6 * time.Hour}},
		{"two days", "1970-01-04T12:00:00Z", "1970-01-02T23:00:00Z", "1970-01-04T23:00:00Z", Spec{Size: 48 * time.Hour, Location: london(t)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			when, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.spec.Check(); err != nil {
				t.Fatal(err)
			}
			w := c.spec.Around(when)
			if start, end := w.Start.Format(time.RFC3339), w.End.Format(time.RFC3339); start != c.start || end != c.end {
				t.Errorf("have %s to %s, want %s to %s", start, end, c.start, c.end)
			}
			if again := c.spec.From(w.Start); again != w {
				t.Errorf("from its start: %v", again)
			}
		})
	}
}

// TestDaysCoverEveryMomentOnce walks through years of places with odd clocks, one of which left a whole day out.
func TestDaysCoverEveryMomentOnce(t *testing.T) {
	for _, name := range []string{"Europe/London", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"} {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		s := Spec{Size: 24 * time.Hour, Location: l}
		when := time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC)
		end := s.Around(when).End
		for when.Year() < 2013 {
			w := s.Around(when)
			if when.Before(w.Start) || !when.Before(w.End) {
				t.Fatalf("%s: %s is not in %v", name, when, w)
			}
			if when = when.Add(29 * time.Minute); !when.Before(end) {
				next := s.Around(when)
				if !next.Start.Equal(end) {
					t.Fatalf("%s: a day ends at %s, the next begins at %s", name, end, next.Start)
				}
				end = next.End
			}
		}
	}
}

func TestCheck(t *testing.T) {
	good := []Spec{{Size: ms}, {Size: time.Hour, Grace: time.Minute, Offset: -time.Minute}, {Kind: Hopping, Size: time.Hour, Advance: time.Minute},
		{Kind: Sliding, Size: time.Second}, {Kind: Session, Size: time.Second, Grace: time.Hour}, {Size: 7 * 24 * time.Hour, Location: time.UTC}}
	for _, s := range good {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for name, s := range map[string]Spec{
		"no size":               {},
		"negative size":         {Size: -time.Hour},
		"endless":               {Size: math.MaxInt64},
		"microseconds":          {Size: time.Second + time.Microsecond},
		"negative grace":        {Size: time.Hour, Grace: -1 * ms},
		"advance of tumbling":   {Size: time.Hour, Advance: time.Minute},
		"hopping without step":  {Kind: Hopping, Size: time.Hour},
		"hopping over gaps":     {Kind: Hopping, Size: time.Hour, Advance: 2 * time.Hour},
		"too many windows":      {Kind: Hopping, Size: time.Hour, Advance: ms},
		"sliding with offset":   {Kind: Sliding, Size: time.Hour, Offset: time.Minute},
		"hours in a place":      {Size: time.Hour, Location: time.UTC},
		"sessions in a place":   {Kind: Session, Size: 24 * time.Hour, Location: time.UTC},
		"a time of day too big": {Size: 24 * time.Hour, Location: time.UTC, Offset: 24 * time.Hour},
		"unknown kind":          {Kind: 9, Size: time.Hour},
	} {
		if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), "check ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimesBeyondAllReasonNeitherHangNorPanic(t *testing.T) {
	for _, when := range []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1, 1 << 62} {
		for _, s := range []Spec{{Size: time.Hour}, {Kind: Hopping, Size: time.Hour, Advance: time.Minute}, {Kind: Sliding, Size: time.Hour}, {Kind: Session, Size: time.Hour},
			{Size: 24 * time.Hour, Location: london(t)}} {
			n := 0
			for range s.Of(at(when)) {
				n++
			}
			s.Late(at(when), at(0))
			if n > 61 {
				t.Errorf("%s at %d: %d windows", s.Kind, when, n)
			}
		}
	}
}

func TestHeadersAreReadBack(t *testing.T) {
	w := Window{at(-5), at(1700000000000)}
	r := &record.Record{Headers: w.Headers()}
	if have, ok := Of(r); !ok || have != w {
		t.Errorf("have %v %v", have, ok)
	}
	for _, headers := range [][]record.Header{nil, w.Headers()[:1], {{Key: HeaderStart, Value: []byte("x")}, {Key: HeaderEnd, Value: []byte("1")}}} {
		if w, ok := Of(&record.Record{Headers: headers}); ok {
			t.Errorf("%v gives %v", headers, w)
		}
	}
}

func TestKeysAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		w := Window{at(rapid.Int64().Draw(t, "start")), at(rapid.Int64().Draw(t, "end"))}
		have, window, err := ParseKey(AppendKey(nil, key, w))
		if err != nil || string(have) != string(key) || window != w {
			t.Fatalf("have %q %v %v", have, window, err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"k@1/2", "k", "@/", "a@b@-1/+2", "k@1/2/3", "k@99999999999999999999/1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key, w, err := ParseKey(b)
		if err != nil {
			return
		}
		again, window, err := ParseKey(AppendKey(nil, key, w))
		if err != nil || string(again) != string(key) || window != w {
			t.Errorf("%q is read as %q %v, then as %q %v %v", b, key, w, again, window, err)
		}
	})
}
