package aggregate

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/bolttest"
	"ravenswood.dev/internal/document"
)

// configOf reads settings the way a topology has them: with the defaults that the manifest fills in.
func configOf(t testing.TB, text string) *Config {
	t.Helper()
	c := &Config{Results: "changes", Key: "group", Store: "memory"}
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func open1(t *testing.T, text string) *bolttest.Task {
	t.Helper()
	return bolttest.Open(t, Definition(), configOf(t, text))
}

func TestFunctions(t *testing.T) {
	for _, c := range []struct {
		name, compute string
		events        []string
		want          string
	}{
		{"count", `n: count`, []string{`{}`, `{}`, `{}`}, `{"n":3}`},
		{"count with a condition", `n: {count: true, when: event.a > 1}`, []string{`{"a":1}`, `{"a":2}`}, `{"n":1}`},
		{"sum keeps places", `s: {sum: event.a}`, []string{`{"a":1.10}`, `{"a":1.10}`, `{"a":0.3}`}, `{"s":2.50}`},
		{"sum keeps large integers", `s: {sum: event.a}`, []string{`{"a":9007199254740993}`, `{"a":9223372036854775807}`, `{"a":1}`}, `{"s":9232379236109516801}`},
		{"sum beyond 64 bits", `s: {sum: event.a}`, []string{`{"a":123456789012345678901234567890.5}`, `{"a":0.5}`}, `{"s":123456789012345678901234567891.0}`},
		{"sum with exponents", `s: {sum: event.a}`, []string{`{"a":1e3}`, `{"a":25E-2}`, `{"a":-1e3}`}, `{"s":0.25}`},
		{"sum leaves out what is not there", `s: {sum: 'event.?a'}`, []string{`{"a":1}`, `{}`, `{"a":null}`}, `{"s":1}`},
		{"average", `a: {average: event.a}`, []string{`{"a":1}`, `{"a":2}`}, `{"a":1.5}`},
		{"average without end", `a: {average: event.a}`, []string{`{"a":1}`, `{"a":1}`, `{"a":0}`}, `{"a":0.6666666666666666666666666666666667}`},
		{"average of nothing", `a: {average: 'event.?a'}`, []string{`{}`}, `{"a":null}`},
		{"min and max", `{lo: {min: event.a}, hi: {max: event.a}}`, []string{`{"a":10}`, `{"a":9.50}`, `{"a":9.5}`, `{"a":1e1}`}, `{"hi":10,"lo":9.50}`},
		{"max of texts", `m: {max: event.a}`, []string{`{"a":"b"}`, `{"a":"ä"}`, `{"a":"c"}`}, `{"m":"ä"}`},
		{"min of large integers", `m: {min: event.a}`, []string{`{"a":9007199254740993}`, `{"a":9007199254740992}`}, `{"m":9007199254740992}`},
		{"distinct", `d: {distinct: event.a}`, []string{`{"a":"x"}`, `{"a":"\u0078"}`, `{"a":1}`, `{"a":1.0}`, `{"a":null}`}, `{"d":2}`},
		{"distinct values", `d: {distinct: event.a, values: true, limit: 2}`, []string{`{"a":"x"}`, `{"a":"y"}`, `{"a":"x"}`, `{"a":"z"}`}, `{"d":["x","y"]}`},
		{"collect", `c: {collect: event.a, limit: 3}`, []string{`{"a":1.0}`, `{"a":null}`, `{"a":{"b": 2}}`, `{"a":4}`}, `{"c":[1.0,null,{"b": 2}]}`},
		{"top", `t: {top: event.n, of: event.a, limit: 2}`, []string{`{"n":1,"a":"x"}`, `{"n":3,"a":"y"}`, `{"n":3,"a":"z"}`, `{"n":2,"a":"w"}`}, `{"t":["y","z"]}`},
		{"top of whole events", `t: {top: event.n, limit: 1}`, []string{`{"n":1}`, `{ "n" : 3 }`}, `{"t":[{ "n" : 3 }]}`},
		{"own expression", `f: {start: '{"n": 0}', fold: '{"n": state.n + event.a, "last": event.a}'}`, []string{`{"a":1}`, `{"a":41}`}, `{"f":{"n":42,"last":41}}`},
		{"own expression from null", `f: {fold: 'state == null ? event.a : state + event.a'}`, []string{`{"a":"x"}`, `{"a":"y"}`}, `{"f":"xy"}`},
		{"own expression that gives nothing", `f: {start: "1", fold: 'event.?b'}`, []string{`{}`, `{"b":2}`, `{}`}, `{"f":2}`},
		{"a name that needs quotes", `"a \"b\"": count`, []string{`{}`}, `{"a \"b\"":1}`},
		{"everything at once", `{a: {average: event.v}, b: count, c: {distinct: event.v}, d: {top: event.v, of: event.v}, e: {last: event.v}}`,
			[]string{`{"v":1}`, `{"v":2}`}, `{"a":1.5,"b":2,"c":2,"d":[2,1],"e":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			compute := c.compute
			if !strings.HasPrefix(compute, "{") {
				compute = "{" + compute + "}"
			}
			k := open1(t, "compute: "+compute)
			for i, e := range c.events {
				k.Do("k", e, int64(i))
			}
			if k.Last() != c.want {
				t.Errorf("\nhave %s\nwant %s", k.Last(), c.want)
			}
			if len(k.Out) != len(c.events) {
				t.Errorf("%d results of %d records", len(k.Out), len(c.events))
			}
		})
	}
}

func TestFirstAndLastGoByTime(t *testing.T) {
	k := open1(t, `compute: {first: {first: event}, last: {last: event}}`)
	for i, at := range []int64{5, 3, 9, 3, 9, 7} {
		k.Do("k", string(rune('0'+i)), at)
	}
	if want := `{"first":1,"last":4}`; k.Last() != want {
		t.Errorf("have %s, want %s", k.Last(), want)
	}
}

func TestOldIsTheResultBefore(t *testing.T) {
	k := open1(t, `compute: {a: {average: event}}`)
	k.Do("k", `1`, 0)
	k.Do("k", `2`, 1)
	if old := string(k.Out[1].Old); k.Out[0].Old != nil || old != `{"a":1}` {
		t.Errorf("old %q", old)
	}
}

func TestSessionsAreMergedByEveryFunction(t *testing.T) {
	k := open1(t, `{window: {session: 10ms, grace: 1s}, compute: {n: count, s: {sum: event.v}, a: {average: event.v}, lo: {min: event.v}, hi: {max: event.v}, f: {first: event.v},
  l: {last: event.v}, d: {distinct: event.v}, c: {collect: event.v}, t: {top: event.v, of: event.v, limit: 2}, own: {start: "0", fold: state + event.v, merge: a + b}}}`)
	k.Do("k", `{"v":3}`, 0)
	k.Do("k", `{"v":1}`, 18)
	k.Do("k", `{"v":2}`, 9)
	if len(k.Out) != 5 || k.Out[2].Value != nil || k.Out[3].Value != nil {
		t.Fatalf("%d results: want two, two taken back, one", len(k.Out))
	}
	if want := `{"a":2,"c":[3,1,2],"d":3,"f":3,"hi":3,"l":1,"lo":1,"n":3,"own":6,"s":6,"t":[3,2]}`; k.Last() != want {
		t.Errorf("\nhave %s\nwant %s", k.Last(), want)
	}
}

func TestRowsOfATableAreTakenOut(t *testing.T) {
	k := open1(t, `{table: true, compute: {n: count, s: {sum: event.v}, a: {average: event.v}, d: {distinct: event.v}, c: {collect: event.v}, own: {start: "0", fold: state + event.v, remove: state - event.v}}}`)
	k.Do("g", `{"v":3}`, 0)
	k.Do("g", `{"v":1.5}`, 1)
	changed := bolttest.Event("g", `{"v":3}`, 2)
	changed.Old = []byte(`{"v":1.5}`)
	if err := k.Try(0, changed); err != nil {
		t.Fatal(err)
	}
	if want := `{"a":3,"c":[3,3],"d":1,"n":2,"own":6,"s":6.0}`; k.Last() != want {
		t.Errorf("\nhave %s\nwant %s", k.Last(), want)
	}
	gone := bolttest.Event("g", ``, 3)
	gone.Value, gone.Old = nil, []byte(`{"v":3}`)
	if err := k.Try(0, gone); err != nil {
		t.Fatal(err)
	}
	if want := `{"a":3,"c":[3],"d":1,"n":1,"own":3,"s":3.0}`; k.Last() != want {
		t.Errorf("\nhave %s\nwant %s", k.Last(), want)
	}
}

func TestABadRecordIsAPermanentErrorWithFieldAndCause(t *testing.T) {
	for _, c := range []struct{ name, compute, value, want string }{
		{"missing field", `s: {sum: event.a}`, `{}`, `compute "s": evaluate "event.a": no such field "a"`},
		{"not a number", `s: {sum: event.a}`, `{"a":"1"}`, `compute "s": gives a string, want a number`},
		{"too long a number", `s: {sum: event.a}`, `{"a":1e1001}`, `compute "s": a number with an exponent beyond 1000 cannot be calculated with`},
		{"far too long an exponent", `s: {sum: event.a}`, `{"a":1e99999999999999999999}`, `compute "s": a number with an exponent beyond 1000 cannot be calculated with`},
		{"min of a list", `s: {min: event.a}`, `{"a":[]}`, `compute "s": gives a list, want a number or a string`},
		{"condition", `s: {count: true, when: event.a}`, `{"a":1}`, `compute "s": evaluate "event.a": gives a number, want a boolean`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := open1(t, "compute: {"+c.compute+"}")
			err := k.Try(0, bolttest.Event("k", c.value, 0))
			if err == nil || err.Error() != c.want || component.ClassOf(err) != component.Never || k.Out != nil {
				t.Errorf("class %v\nhave %v\nwant %s", component.ClassOf(err), err, c.want)
			}
		})
	}
}

// TestANewVersionMayHaveOtherFields: an aggregate that an older version of the topology wrote goes on.
func TestANewVersionMayHaveOtherFields(t *testing.T) {
	f, err := newFolder(map[string]Field{"n": {Count: true}, "s": {Sum: "event"}}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.add(bolttest.Event("k", "2", 0), []byte(`{"n":7,"other":[1],"raven-state":{"other":1}}`))
	if err != nil || string(out) != `{"n":8,"s":2}` {
		t.Errorf("%s, %v", out, err)
	}
}

// TestAFieldThatWasAnotherFunctionBeginsAnew: what is kept under its name has another form.
func TestAFieldThatWasAnotherFunctionBeginsAnew(t *testing.T) {
	f, err := newFolder(everything(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	r := bolttest.Event("k", `{"v":2,"n":4}`, 3)
	fresh, err := f.add(r, f.init())
	if err != nil {
		t.Fatal(err)
	}
	old := []byte(`{"average":true,"collect":5,"count":"x","distinct":[],"max":{},"min":[1],"sum":"1","top":[1],"values":1,"fold":0,"when":null}`)
	if out, err := f.add(r, old); err != nil || string(out) != string(fresh) {
		t.Errorf("%v\nhave %s\nwant %s", err, out, fresh)
	}
}

func FuzzFolderReadsAnyAggregate(f *testing.F) {
	fd, err := newFolder(everything(), func() {})
	if err != nil {
		f.Fatal(err)
	}
	r := bolttest.Event("k", `{"v":2,"n":4}`, 3)
	full, err := fd.add(r, fd.init())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"average":1,"collect":[,"raven-state":{"average":[1,"distinct":[[1],[2,3]]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if document.Valid(b) != nil {
			return
		}
		if out, err := fd.add(r, b); err == nil && document.Valid(out) != nil {
			t.Errorf("%s becomes %s", b, out)
		}
		_, _ = fd.remove(r, b)
		_, _ = fd.merge(nil, b, full)
		_, _ = fd.merge(nil, full, b)
	})
}

func TestCheckReportsEverythingWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"nothing":                  {`{}`, "compute:setting-missing"},
		"no function":              {`compute: {a: {}}`, "compute.a:setting-conflict"},
		"two functions":            {`compute: {a: {sum: event.a, count: true}}`, "compute.a:setting-conflict"},
		"expressions":              {`compute: {a: {sum: evnt.a}, b: {count: true, when: '"x"'}, c: {fold: stat + 1}}`, "compute.a.sum:expression-invalid compute.b.when:expression-invalid compute.c.fold:expression-invalid"},
		"reserved name":            {`compute: {raven-x: count}`, "compute.raven-x:name-invalid"},
		"settings of others":       {`compute: {a: {sum: event.a, limit: 3, of: event.b, values: true, start: "1"}}`, "compute.a.of:setting-conflict compute.a.values:setting-conflict compute.a.limit:setting-conflict compute.a.start:setting-conflict"},
		"limit":                    {`compute: {a: {collect: event.a, limit: -1}}`, "compute.a.limit:value-invalid"},
		"too many bytes":           {`compute: {a: {collect: event.a, maxBytes: 9MB}}`, "compute.a.maxBytes:value-invalid"},
		"bytes of a sum":           {`compute: {a: {sum: event.a, maxBytes: 1MB}}`, "compute.a.maxBytes:setting-conflict"},
		"too many bytes together":  {`compute: {a: {collect: event.a, maxBytes: 8MB}, b: {fold: state, maxBytes: 8MB}, c: {top: event.a}}`, "compute:value-invalid"},
		"a start that is too long": {`compute: {a: {start: '"abc"', fold: state, maxBytes: 4B}}`, ":value-invalid"},
		"final without a window":   {`{results: final, compute: {a: count}}`, "results:setting-conflict"},
		"key without a window":     {`{key: windowed, compute: {a: count}}`, "key:setting-conflict"},
		"two kinds of windows":     {`{window: {tumbling: 1h, session: 1h}, compute: {a: count}}`, "window:window-invalid"},
		"hopping without step":     {`{window: {hopping: 1h}, compute: {a: count}}`, "window:window-invalid"},
		"the machine's zone":       {`{window: {tumbling: 24h, timeZone: Local}, compute: {a: count}}`, "window:window-invalid"},
		"unknown time zone":        {`{window: {tumbling: 24h, timeZone: Europe/Londn}, compute: {a: count}}`, "window:window-invalid"},
		"hours in a time zone":     {`{window: {tumbling: 1h, timeZone: Europe/London}, compute: {a: count}}`, "window:window-invalid"},
		"sessions without merge":   {`{window: {session: 1h}, compute: {a: {fold: state}}}`, "compute.a.merge:setting-missing"},
		"table in windows":         {`{table: true, window: {tumbling: 1h}, compute: {a: count}}`, "table:setting-conflict"},
		"max of a table":           {`{table: true, compute: {a: {max: event.a}}}`, "compute.a:setting-conflict"},
		"retention below windows":  {`{window: {tumbling: 1h}, retention: 1m, compute: {a: count}}`, "retention:value-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			var have []string
			for _, p := range Definition().Check(configOf(t, c.config)) {
				have = append(have, p.Path+":"+p.Code)
			}
			if strings.Join(have, " ") != c.want {
				t.Errorf("\nhave %s\nwant %s", strings.Join(have, " "), c.want)
			}
		})
	}
}

func TestExamplesRun(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		t.Run(e.Title, func(t *testing.T) {
			var node struct{ Aggregate yaml.Node }
			if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(&node.Aggregate)
			if err != nil {
				t.Fatal(err)
			}
			k := open1(t, string(text))
			for i := range 50 {
				k.Do("k", `{"total": 1.5, "customer": "c", "sku": "s", "quantity": -1, "page": "p"}`, int64(i)*3_600_000)
			}
			if len(k.Out) == 0 || k.Last() == "" {
				t.Error("no result")
			}
		})
	}
}
