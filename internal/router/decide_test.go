package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// event1K is an event of about 1 KB with the interesting fields spread over it.
var event1K = []byte(`{"messageId":"0d8e3b1c-7f0a-4a55-8a9c-3b8a53a3c111","messageDate":"2026-11-21T06:37:22.123Z","userId":"user-4711",` +
	`"value":1234567.25,"text":"` + strings.Repeat("lorem ipsum dolor sit amet ", 25) + `","tags":["a","b","c"],` +
	`"user":{"name":"Ada Lovelace","segment":"beta","address":{"city":"London","zip":"W1"}},"count":7,"ok":true,"none":null}`)

func ptr[T any](v T) *T { return &v }

func share(version string, percent float64) api.Share {
	return api.Share{Version: version, Percent: api.Percent(percent * 100)}
}

func equals(field, value string) api.Match { return api.Match{Field: field, Equals: &value} }

func TestConditions(t *testing.T) {
	event := []byte(`{"a":{"b":"x"},"n":7,"f":7.0,"t":true,"nil":null,"esc":"\u00e9","list":[{"id":"one"}],"a.b":"dotted","dup":1,"dup":2}`)
	headers := []record.Header{{Key: "X-Seg", Value: []byte("old")}, {Key: "x-seg", Value: []byte("gold")}}
	for _, c := range []struct {
		name  string
		match api.Match
		holds bool
	}{
		{"a nested field equals", equals("a.b", "x"), true},
		{"a nested field does not equal", equals("a.b", "y"), false},
		{"a name with a dot in quotes", equals(`"a.b"`, "dotted"), true},
		{"an element of a list", equals("list[0].id", "one"), true},
		{"a number as text", equals("n", "7"), true},
		{"a number as it is written", equals("f", "7"), false},
		{"a boolean as text", equals("t", "true"), true},
		{"an escaped string", equals("esc", "é"), true},
		{"of a name twice the last counts", equals("dup", "2"), true},
		{"a missing field equals nothing", equals("gone", ""), false},
		{"a missing field, turned round", api.Match{Field: "gone", Equals: ptr("x"), Not: true}, true},
		{"in", api.Match{Field: "a.b", In: []string{"q", "x"}}, true},
		{"not in", api.Match{Field: "a.b", In: []string{"q", "x"}, Not: true}, false},
		{"prefix", api.Match{Field: "esc", Prefix: "é"}, true},
		{"exists", api.Match{Field: "a", Exists: ptr(true)}, true},
		{"null is there", api.Match{Field: "nil", Exists: ptr(true)}, true},
		{"missing", api.Match{Field: "gone", Exists: ptr(false)}, true},
		{"missing, turned round", api.Match{Field: "gone", Exists: ptr(false), Not: true}, false},
		{"the last header of a name, whatever its case", api.Match{Header: "X-SEG", Equals: ptr("gold")}, true},
		{"a header that is not there", api.Match{Header: "x", Exists: ptr(false)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := compileMatch(c.match)
			if got := m.holds(&Input{Event: event, Headers: headers}); got != c.holds {
				t.Errorf("holds = %v, want %v", got, c.holds)
			}
		})
	}
}

func TestRulesOnFieldsNeverMatchWithoutAnEvent(t *testing.T) {
	for _, event := range [][]byte{nil, {}, []byte(`"text"`), []byte(`[1]`)} {
		m := compileMatch(equals("a.b", ""))
		if m.holds(&Input{Event: event}) {
			t.Errorf("event %q matches", event)
		}
	}
}

func TestTheKeyOfASplitFallsBack(t *testing.T) {
	table := compile(api.RouteSpec{Service: "s", Default: "v1", Split: &api.Split{Key: "user", Versions: []api.Share{share("v2", 50)}}})
	for _, c := range []struct {
		name string
		in   Input
		key  string
		ok   bool
	}{
		{"the field", Input{Event: []byte(`{"user":"ada"}`), Key: []byte("k"), Origin: "o"}, "ada", true},
		{"a number field as text", Input{Event: []byte(`{"user":42}`)}, "42", true},
		{"null is no key", Input{Event: []byte(`{"user":null}`), Key: []byte("k"), Origin: "o"}, "k", true},
		{"the record's key", Input{Event: []byte(`{}`), Key: []byte("k"), Origin: "o"}, "k", true},
		{"what names the record", Input{Event: []byte(`{}`), Origin: "o"}, "o", true},
		{"the whole event", Input{Event: []byte(`{}`)}, "{}", true},
		{"nothing at all", Input{}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, ok := table.key(&c.in)
			if key != c.key || ok != c.ok {
				t.Errorf("key = %q, %v; want %q, %v", key, ok, c.key, c.ok)
			}
		})
	}
}

// The places of keys are part of the product's contract: if this test fails, every split in the world moves.
func TestPlacesNeverChange(t *testing.T) {
	for _, c := range []struct {
		salt, key string
		place     uint64
	}{{"users", "ada", 8147}, {"users", "", 6516}, {"svc3", "user-4711", 635}} {
		h := newHasher(c.salt)
		if got := h.place(c.key); got != c.place {
			t.Errorf("place of %q, %q = %d, want %d", c.salt, c.key, got, c.place)
		}
	}
}

func TestSharesComeOutAsAsked(t *testing.T) {
	table := compile(api.RouteSpec{Service: "s", Default: "v1", Split: &api.Split{Versions: []api.Share{share("v2", 20), share("v3", 5)}}})
	counts := map[string]int{}
	const keys = 100_000
	for i := range keys {
		counts[table.Decide(&Input{Key: fmt.Appendf(nil, "user-%d", i)}).Version]++
	}
	for version, want := range map[string]float64{"v1": 75, "v2": 20, "v3": 5} {
		if got := 100 * float64(counts[version]) / keys; got < want-0.5 || got > want+0.5 {
			t.Errorf("%s gets %.2f %%, want %.2f %%", version, got, want)
		}
	}
}

func TestASplitIsStickyAndGrowingOnlyAddsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.IntRange(0, 5000).Draw(t, "first")
		second := rapid.IntRange(0, 2500).Draw(t, "second")
		more := rapid.IntRange(0, 2500).Draw(t, "more")
		grown := rapid.IntRange(0, 1).Draw(t, "which grows")
		salt := rapid.String().Draw(t, "salt")
		shares := []api.Share{{Version: "v2", Percent: api.Percent(first)}, {Version: "v3", Percent: api.Percent(second)}}
		spec := api.RouteSpec{Service: "s", Default: "v1", Split: &api.Split{Salt: salt, Versions: shares}}
		bigger := cloneRoute(spec)
		bigger.Split.Versions[grown].Percent += api.Percent(more)
		before, after := compile(spec), compile(bigger)
		for _, key := range rapid.SliceOfN(rapid.String(), 1, 50).Draw(t, "keys") {
			in := &Input{Key: []byte("k" + key)}
			was := before.Decide(in)
			if was != before.Decide(in) {
				t.Fatalf("key %q: two answers", key)
			}
			if was.Version == shares[grown].Version && after.Decide(in).Version != was.Version {
				t.Fatalf("key %q left %s as it grew", key, was.Version)
			}
		}
	})
}

// twin is Decide in its most obvious form, over values that are already taken apart.
func twin(spec api.RouteSpec, fields, headers map[string]string, key string) (version, why string) {
	if spec.Switch != "" {
		return spec.Switch, "switch"
	}
	for i, r := range spec.Rules {
		if !slices.ContainsFunc(r.Match, func(m api.Match) bool { return !twinHolds(m, fields, headers) }) {
			return r.Version, fmt.Sprint("rule ", i+1)
		}
	}
	if spec.Split != nil {
		h, sum := newHasher(spec.Service), api.Percent(0)
		for _, s := range spec.Split.Versions {
			if sum += s.Percent; h.place(key) < uint64(sum) {
				return s.Version, "split"
			}
		}
	}
	return spec.Default, "default"
}

func twinHolds(m api.Match, fields, headers map[string]string) bool {
	v, ok := fields[m.Field]
	if m.Header != "" {
		v, ok = headers[m.Header]
	}
	var holds bool
	switch {
	case m.Equals != nil:
		holds = ok && v == *m.Equals
	case m.In != nil:
		holds = ok && slices.Contains(m.In, v)
	case m.Prefix != "":
		holds = ok && strings.HasPrefix(v, m.Prefix)
	default:
		holds = ok == *m.Exists
	}
	return holds != m.Not
}

func TestDecideAgreesWithItsTwin(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c"})
	values := rapid.SampledFrom([]string{"x", "y", "xy", ""})
	versions := rapid.SampledFrom([]string{"v1", "v2", "v3"})
	match := rapid.Custom(func(t *rapid.T) api.Match {
		m := api.Match{Not: rapid.Bool().Draw(t, "not")}
		if rapid.Bool().Draw(t, "field") {
			m.Field = names.Draw(t, "name")
		} else {
			m.Header = names.Draw(t, "name")
		}
		switch rapid.IntRange(0, 3).Draw(t, "test") {
		case 0:
			m.Equals = ptr(values.Draw(t, "value"))
		case 1:
			m.In = rapid.SliceOfN(values, 1, 3).Draw(t, "values")
		case 2:
			m.Prefix = "x"
		default:
			m.Exists = ptr(rapid.Bool().Draw(t, "exists"))
		}
		return m
	})
	rapid.Check(t, func(t *rapid.T) {
		spec := api.RouteSpec{Service: "s", Default: versions.Draw(t, "default")}
		if rapid.IntRange(0, 9).Draw(t, "switched") == 0 {
			spec.Switch = versions.Draw(t, "switch")
		}
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			spec.Rules = append(spec.Rules, api.Rule{Match: rapid.SliceOfN(match, 1, 3).Draw(t, "match"), Version: versions.Draw(t, "to")})
		}
		if rapid.Bool().Draw(t, "split") {
			spec.Split = &api.Split{Versions: []api.Share{share("v2", 30), share("v3", 30)}}
		}
		fields := rapid.MapOf(names, values).Draw(t, "fields")
		headers := rapid.MapOf(names, values).Draw(t, "headers")
		key := rapid.StringN(1, 8, -1).Draw(t, "key")

		in := &Input{Event: eventOf(fields), Key: []byte(key)}
		for name, value := range headers {
			in.Headers = append(in.Headers, record.Header{Key: strings.ToUpper(name), Value: []byte(value)})
		}
		got := compile(spec).Decide(in)
		if version, why := twin(spec, fields, headers, key); got.Version != version || got.Why != why {
			t.Fatalf("decided %s (%s), the twin %s (%s)", got.Version, got.Why, version, why)
		}
	})
}

func eventOf(fields map[string]string) []byte {
	var parts []string
	for name, value := range fields {
		parts = append(parts, fmt.Sprintf("%q: %q", name, value))
	}
	return []byte("{" + strings.Join(parts, ", ") + "}")
}

func TestMirrorsAShareOfKeysAndNeverTheVersionThatAnswers(t *testing.T) {
	spec := api.RouteSpec{Service: "s", Default: "v1", Mirror: &api.Mirror{Version: "v2", Percent: 2500}}
	table, mirrored := compile(spec), 0
	for i := range 10_000 {
		if table.Decide(&Input{Key: fmt.Append(nil, i)}).Mirror {
			mirrored++
		}
	}
	if mirrored < 2300 || mirrored > 2700 {
		t.Errorf("mirrored %d of 10000, want about 2500", mirrored)
	}
	spec.Mirror.Percent, spec.Switch = 10_000, "v2"
	if compile(spec).Decide(&Input{}).Mirror {
		t.Error("mirrors to the version that answers anyway")
	}
}

// busyRoute looks at everything: two rules that do not match, a header rule, and a split on a field near the end.
var busyRoute = api.RouteSpec{
	Service: "s", Default: "v1",
	Rules: []api.Rule{
		{Match: []api.Match{equals("user.segment", "gold"), equals("ok", "true")}, Version: "v2"},
		{Match: []api.Match{{Header: "x-tester", Exists: ptr(true)}}, Version: "v2"},
	},
	Split:  &api.Split{Key: "userId", Versions: []api.Share{share("v2", 10)}},
	Mirror: &api.Mirror{Version: "v3", Percent: 1000},
}

func busyInput() *Input {
	return &Input{Event: event1K, Key: []byte("k"), Headers: []record.Header{{Key: "traceparent", Value: []byte("00-0-0-01")}}}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	table, in := compile(busyRoute), busyInput()
	n := testing.AllocsPerRun(1000, func() { table.Decide(in) })
	if raceDetector {
		t.Logf("not checked: the race detector makes pools drop what they hold (%v allocations)", n)
		return
	}
	if n != 0 {
		t.Errorf("%v allocations per decision", n)
	}
}

func TestARoutersDecisionDoesNotAllocate(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{Split: &api.Split{Key: "userId", Versions: []api.Share{share("v2", 10)}}}, "http://127.0.0.1:1", "http://127.0.0.1:2")
	c := component.Call{Service: "users", Event: event1K, Key: []byte("k"), IdempotencyKey: "i"}
	if n := testing.AllocsPerRun(1000, func() { _, _ = r.Decide(c) }); n != 0 {
		t.Errorf("%v allocations per decision", n)
	}
}

// Whatever an event holds, a decision is made, and made again alike.
func FuzzDecide(f *testing.F) {
	f.Add(event1K, []byte("key"), "x-tester", "1")
	f.Add([]byte(`{"user":{"segment":"\ud800"},"userId":`), []byte{}, "", "")
	f.Add([]byte(`{"userId":[`), []byte(nil), "\x00", "\xff")
	table := compile(busyRoute)
	f.Fuzz(func(t *testing.T, event, key []byte, header, value string) {
		in := &Input{Event: event, Key: key, Headers: []record.Header{{Key: header, Value: []byte(value)}}}
		d := table.Decide(in)
		if d.Version == "" || d.Why == "" || d != table.Decide(in) {
			t.Fatalf("decided %+v, then %+v", d, table.Decide(in))
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name string
		spec api.RouteSpec
	}{
		{"default", api.RouteSpec{Service: "s", Default: "v1"}},
		{"one rule on a field", api.RouteSpec{Service: "s", Default: "v1", Rules: []api.Rule{{Match: []api.Match{equals("user.segment", "beta")}, Version: "v2"}}}},
		{"split by a field", api.RouteSpec{Service: "s", Default: "v1", Split: &api.Split{Key: "userId", Versions: []api.Share{share("v2", 10)}}}},
		{"rules, split and mirror", busyRoute},
	} {
		b.Run(c.name, func(b *testing.B) {
			table, in := compile(c.spec), busyInput()
			b.ReportAllocs()
			b.SetBytes(int64(len(event1K)))
			for b.Loop() {
				table.Decide(in)
			}
		})
	}
}
