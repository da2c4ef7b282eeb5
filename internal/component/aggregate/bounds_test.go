package aggregate

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/bolttest"
)

// TestWhatDoesNotFitIsLeftOutAndCounted: the other fields of the record count, and smaller values that come later are taken.
func TestWhatDoesNotFitIsLeftOutAndCounted(t *testing.T) {
	long := `"` + strings.Repeat("x", 60) + `"`
	for _, c := range []struct {
		name, compute string
		values        []string
		want          string
		left          int
	}{
		{"collect", `c: {collect: event.v, maxBytes: 20B}`, []string{`"abcdef"`, long, `"ghi"`, `"jklmnop"`, `1`}, `{"c":["abcdef","ghi",1],"n":5}`, 2},
		{"collect up to its last byte", `c: {collect: event.v, maxBytes: 7B}`, []string{`12`, `34`, `5`}, `{"c":[12,34],"n":3}`, 1},
		{"distinct", `c: {distinct: event.v, maxBytes: 30B}`, []string{`"abcdef"`, long, `"abcdef"`, `"ghi"`, long, `1`}, `{"c":2,"n":6}`, 3},
		{"distinct values", `c: {distinct: event.v, values: true, maxBytes: 40B}`, []string{`"abcdef"`, long, `"abcdef"`, `"g"`}, `{"c":["abcdef","g"],"n":4}`, 1},
		{"top", `c: {top: event.n, of: event.v, maxBytes: 25B}`, []string{`"abcdef"`, `"ghijkl"`}, `{"c":["ghijkl","abcdef"],"n":2}`, 0},
		{"top gives the least away", `c: {top: event.n, of: event.v, maxBytes: 25B}`, []string{`"abcdef"`, `"ghijkl"`, `"mnopq"`}, `{"c":["mnopq","ghijkl"],"n":3}`, 1},
		{"top of what never fits", `c: {top: event.n, of: event.v, maxBytes: 25B}`, []string{`"abcdef"`, long}, `{"c":["abcdef"],"n":2}`, 1},
		{"limit is meant, and not counted", `c: {collect: event.v, limit: 1}`, []string{`1`, `2`}, `{"c":[1],"n":2}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := open1(t, `compute: {n: count, `+c.compute+`}`)
			for i, v := range c.values {
				k.Do("k", fmt.Sprintf(`{"v":%s,"n":%d}`, v, i), int64(i))
			}
			if k.Last() != c.want || k.Drops[reasonTooLarge] != c.left || k.Counted() != uint64(c.left) {
				t.Errorf("%v left out, in all %d\nhave %s\nwant %s, %d left out", k.Drops, k.Counted(), k.Last(), c.want, c.left)
			}
		})
	}
}

func TestAFoldThatDoesNotFitIsAPermanentError(t *testing.T) {
	k := open1(t, `compute: {p: {start: '""', fold: state + event, maxBytes: 8B}}`)
	k.Do("k", `"abc"`, 0)
	err := k.Try(0, bolttest.Event("k", `"defg"`, 1))
	if want := `compute "p": the state would have 9 bytes, and maxBytes allows 8`; err == nil || err.Error() != want || component.ClassOf(err) != component.Never {
		t.Errorf("have %v, want %s", err, want)
	}
	k.Do("k", `"def"`, 2)
	if want := `{"p":"abcdef"}`; k.Last() != want {
		t.Errorf("have %s, want %s", k.Last(), want)
	}
}

func TestSessionsThatBecomeOneFit(t *testing.T) {
	k := open1(t, `{window: {session: 10ms, grace: 1s}, compute: {c: {collect: event, maxBytes: 12B}, d: {distinct: event, maxBytes: 20B}}}`)
	k.Do("k", `"abcd"`, 0)
	k.Do("k", `"efgh"`, 18)
	k.Do("k", `5`, 9)
	if want := `{"c":["abcd",5],"d":2}`; k.Last() != want || k.Drops[reasonTooLarge] != 2 {
		t.Errorf("have %s and %v, want %s and two", k.Last(), k.Drops, want)
	}
}

// TestAnEntryStaysBelowItsBound whatever a stranger sends.
func TestAnEntryStaysBelowItsBound(t *testing.T) {
	const bound = 300
	compute := map[string]Field{"c": {Collect: "event.v", MaxBytes: bound}, "d": {Distinct: "event.v", MaxBytes: bound, Values: true}, "t": {Top: "event.n", MaxBytes: bound, Limit: 50}}
	f, err := newFolder(compute, func() {})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := f.init(), f.init()
		for range rapid.IntRange(0, 30).Draw(t, "records") {
			r := bolttest.Event("k", fmt.Sprintf(`{"v":"%s","n":%d}`, strings.Repeat(rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "letter"), rapid.IntRange(0, 400).Draw(t, "length")),
				rapid.IntRange(-5, 5).Draw(t, "n")), 0)
			a, b = b, a
			if a, err = f.add(r, a); err != nil {
				t.Fatal(err)
			}
		}
		merged, err := f.merge(nil, a, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range [][]byte{a, b, merged} {
			if len(entry) > 3*bound+100 {
				t.Fatalf("an entry of %d bytes", len(entry))
			}
		}
	})
}

// TestNoNumberSpoilsAKey: the records after one that is refused, or as large as any that is taken, count.
func TestNoNumberSpoilsAKey(t *testing.T) {
	digits := func(n int) string { return strings.Repeat("9", n) }
	for name, number := range map[string]string{
		"largest":              digits(placesMax),
		"smallest":             "0." + digits(placesMax),
		"longest":              "-" + digits(placesMax) + "." + digits(placesMax),
		"largest double":       "1.7976931348623157e308",
		"least double":         "5e-324",
		"beyond":               "1e500",
		"far beyond":           "1e1000",
		"below":                "1e-501",
		"far below":            "1e-1000",
		"too long":             digits(placesMax + 1),
		"long on both sides":   digits(600) + "." + digits(600),
		"an absurd exponent":   "1e999999999",
		"nothing, many places": "0." + strings.Repeat("0", 600),
	} {
		t.Run(name, func(t *testing.T) {
			k := open1(t, `{window: {session: 10ms, grace: 1s}, compute: {n: count, s: {sum: event}, a: {average: event}, lo: {min: event}, hi: {max: event}, d: {distinct: event}, t: {top: event, of: event}}}`)
			refused := k.Try(0, bolttest.Event("k", number, 0)) != nil
			if taken := map[string]bool{"largest": true, "smallest": true, "longest": true, "largest double": true, "least double": true}[name]; taken == refused {
				t.Errorf("refused: %v", refused)
			}
			for i := range 25 {
				if err := k.Try(0, bolttest.Event("k", number, int64(i))); (err != nil) != refused {
					t.Fatal(err)
				}
				k.Do("k", `0.5`, int64(i))
			}
			k.Do("k", `2`, 44)  // another session
			k.Do("k", `-1`, 34) // and they become one
			if out := k.Out[len(k.Out)-1]; !strings.Contains(string(out.Value), `"hi":`) {
				t.Errorf("have %s", out)
			}
		})
	}
}

// TestAResultThatIsNoNumberIsRefused: JSON has neither infinities nor NaN, and 64 bits do not turn over.
func TestAResultThatIsNoNumberIsRefused(t *testing.T) {
	for _, c := range []struct{ compute, event, want string }{
		{`sum: double("NaN")`, `1`, `the result is not a finite number`},
		{`average: double("Infinity")`, `1`, `the result is not a finite number`},
		{`max: 1e308 * double(event)`, `10`, `the result is not a finite number`},
		{`distinct: -1e308 * double(event)`, `10`, `the result is not a finite number`},
		{`top: double(event) / 0.0`, `1`, `the result is not a finite number`},
		{`collect: double("NaN")`, `1`, `the result is not a finite number`},
		{`fold: double("NaN")`, `1`, `the result is not a finite number`},
		{`sum: int(event) * 10`, `9223372036854775807`, `integer overflow`},
		{`sum: int(event)`, `9223372036854775808`, `overflow`},
		{`start: "9223372036854775807", fold: int(state) + int(event)`, `1`, `integer overflow`},
		{`sum: event / 0`, `1`, `zero`},
		{`sum: event`, `true`, `gives a boolean, want a number`},
	} {
		t.Run(c.compute, func(t *testing.T) {
			k := open1(t, "compute: {n: count, s: {"+c.compute+"}}")
			err := k.Try(0, bolttest.Event("k", c.event, 0))
			if err == nil || !strings.Contains(err.Error(), c.want) || component.ClassOf(err) != component.Never || len(k.Out) > 0 {
				t.Errorf("have %v, want %s", err, c.want)
			}
		})
	}
}
