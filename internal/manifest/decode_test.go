package manifest_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/manifest"
)

func TestSettingsOfEveryTypeAreRead(t *testing.T) {
	defaults := func(change func(*bench)) bench {
		b := bench{Text: "seven", Mode: "slow", Whole: 7, Share: 0.5, On: true, Wait: api.Duration(2 * time.Second), Max: 1 << 20,
			Percent: 1250, Inner: inner{A: "b", N: 3}}
		change(&b)
		return b
	}
	cases := map[string]struct {
		settings string
		want     bench
	}{
		"nothing given, defaults":        {"{}", defaults(func(*bench) {})},
		"null settings, defaults":        {"", defaults(func(*bench) {})},
		"null is as left out":            {"{text: , whole: ~, inner: null}", defaults(func(*bench) {})},
		"zero given is zero":             {"{whole: 0, share: 0, on: false, wait: 0s}", defaults(func(b *bench) { b.Whole, b.Share, b.On, b.Wait = 0, 0, false, 0 })},
		"empty text given is empty":      {`{text: ""}`, defaults(func(b *bench) { b.Text = "" })},
		"numbers":                        {"{whole: -12, small: 0x7f, count: 65535, share: 1e3}", defaults(func(b *bench) { b.Whole, b.Small, b.Count, b.Share = -12, 127, 65535, 1000 })},
		"durations, sizes, percentages":  {"{wait: 7d, max: 64KB, percent: 10}", defaults(func(b *bench) { b.Wait, b.Max, b.Percent = api.Duration(7*24*time.Hour), 64<<10, 1000 })},
		"pointers":                       {"{maybe: 0, equals: 7}", defaults(func(b *bench) { b.Maybe, b.Equals = new(0), new("7") })},
		"lists take numbers as written":  {"{list: [a, 7, 1.5, true]}", defaults(func(b *bench) { b.List = []string{"a", "7", "1.5", "true"} })},
		"maps take numbers as written":   {"{set: {x.y: 7, z: a}}", defaults(func(b *bench) { b.Set = map[string]string{"x.y": "7", "z": "a"} })},
		"lists of values with units":     {"{waits: [1s, 2m]}", defaults(func(b *bench) { b.Waits = []api.Duration{api.Duration(time.Second), api.Duration(2 * time.Minute)} })},
		"settings in settings":           {"{inner: {n: 9}}", defaults(func(b *bench) { b.Inner.N = 9 })},
		"optional settings get defaults": {"{option: {a: x}}", defaults(func(b *bench) { b.Option = &inner{A: "x", N: 3} })},
		"lists of settings get defaults": {"{rules: [{when: a}, {when: b, to: c}]}", defaults(func(b *bench) { b.Rules = []rule{{"a", "rest"}, {"b", "c"}} })},
		"settings by name":               {"{named: {r: {when: a}}}", defaults(func(b *bench) { b.Named = map[string]rule{"r": {"a", "rest"}} })},
		"a date is text":                 {"{text: 2026-01-02}", defaults(func(b *bench) { b.Text = "2026-01-02" })},
		"short forms":                    {"{names: a, columns: {c: x.y}}", defaults(func(b *bench) { b.Names, b.Columns = names{"a"}, map[string]column{"c": {Field: "x.y"}} })},
		"long forms":                     {"{names: [a, b], columns: {c: {field: x, type: real}}}", defaults(func(b *bench) { b.Names, b.Columns = names{"a", "b"}, map[string]column{"c": {"x", "real"}} })},
		"anything":                       {"{any: {a: [1, x]}}", defaults(func(b *bench) { b.Any = map[string]any{"a": []any{1, "x"}} })},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := parseBench(t, c.settings); !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got  %+v\nwant %+v", *got, c.want)
			}
		})
	}
}

func TestAliasesAndMergesAreFollowed(t *testing.T) {
	got := parseBench(t, "{list: &l [a, b], inner: &i {a: x, n: 5}, option: {<<: *i, n: 6}, any: *l, set: {<<: [{k: first}, {k: second, m: v}]}}")
	if want := (inner{"x", 6}); *got.Option != want {
		t.Errorf("merged settings: got %+v, want %+v", *got.Option, want)
	}
	if want := (map[string]string{"k": "first", "m": "v"}); !reflect.DeepEqual(got.Set, want) {
		t.Errorf("merge of two: got %v, want %v", got.Set, want)
	}
	if want := []any{"a", "b"}; !reflect.DeepEqual(got.Any, want) {
		t.Errorf("alias: got %v, want %v", got.Any, want)
	}
}

// TestSettingsThatDoNotFitAreRefused writes settings into line 7; they begin in column 29.
func TestSettingsThatDoNotFitAreRefused(t *testing.T) {
	cases := map[string]struct {
		settings string
		want     []string
		message  string
		hint     string
	}{
		"number as text":          {"{text: 7}", []string{"7:36 type-mismatch"}, "want text, got the number 7", `put it in quotes: "7"`},
		"list as text":            {"{text: [a]}", []string{"7:36 type-mismatch"}, "want text, got a list", ""},
		"hex as text in a list":   {"{list: [0x7]}", []string{"7:37 type-mismatch"}, "spec.bolts.one.bench.list[0]: want text", ""},
		"null in a list":          {"{list: [~]}", []string{"7:37 type-mismatch"}, "got nothing", ""},
		"text as number":          {"{whole: three}", []string{"7:37 type-mismatch"}, `want a whole number, got text "three"`, ""},
		"fraction as whole":       {"{whole: 1.5}", []string{"7:37 type-mismatch"}, "want a whole number, got the number 1.5", ""},
		"too large":               {"{small: 128}", []string{"7:37 value-invalid"}, "out of range", ""},
		"negative count":          {"{count: -1}", []string{"7:37 value-invalid"}, "out of range", ""},
		"not a number":            {"{share: .nan}", []string{"7:37 value-invalid"}, "out of range", ""},
		"yes as switch":           {"{on: yes}", []string{"7:34 type-mismatch"}, "want true or false", "write true"},
		"duration without a unit": {"{wait: 5}", []string{"7:36 value-invalid"}, `wait: duration "5": want a number and a unit`, ""},
		"bad percentage":          {"{percent: 101}", []string{"7:39 value-invalid"}, "from 0 to 100", ""},
		"mapping as list":         {"{list: {a: b}}", []string{"7:36 type-mismatch"}, "want a list, got a mapping", ""},
		"list as mapping":         {"{inner: [a]}", []string{"7:37 type-mismatch"}, "want a mapping", ""},
		"value not allowed":       {"{mode: fats}", []string{"7:36 value-invalid"}, "not an allowed value", `did you mean "fast"?`},
		"unknown key":             {"{txet: a}", []string{"7:30 unknown-key"}, `read spec.bolts.one.bench: unknown key "txet"`, `did you mean "text"?`},
		"unknown key, none close": {"{inner: {zzzzzz: 1}}", []string{"7:38 unknown-key"}, "unknown key", "allowed are a, n"},
		"key twice":               {"{whole: 1, whole: 2}", []string{"7:40 duplicate-key"}, "written twice, first in line 7", ""},
		"required in a list":      {"{rules: [{to: a}]}", []string{"7:38 missing-key"}, `read spec.bolts.one.bench.rules[0]: key "when" is missing`, "for example: when: total > 7"},
		"required but empty":      {`{rules: [{when: ""}]}`, []string{"7:45 missing-key"}, "it is empty", ""},
		"long form, wrong":        {"{columns: {c: {type: rael}}}", []string{"7:40 missing-key", "7:50 value-invalid"}, `key "field" is missing`, ""},
		"neither form":            {"{columns: {c: [a]}}", []string{"7:43 type-mismatch"}, "want text or a mapping of keys to values, got a list", ""},
		"several at once":         {"{text: 1, whole: a, foo: 1}", []string{"7:36 type-mismatch", "7:46 type-mismatch", "7:49 unknown-key"}, "", ""},
		"settings are text":       {"hello", []string{"7:29 type-mismatch"}, "want a mapping", ""},
		"merge of text":           {"{<<: a}", []string{"7:34 type-mismatch"}, "a mapping to merge", ""},
		"list as a key":           {"{[a]: b}", []string{"7:30 type-mismatch"}, "want text as key", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			set, problems := parse(t, topology("{from: in,  bench: "+c.settings+"}"))
			if got := brief(problems); !slices.Equal(got, c.want) {
				t.Fatalf("got %v, want %v: %+v", got, c.want, problems)
			}
			if !strings.Contains(problems[0].Message, c.message) {
				t.Errorf("message %q does not say %q", problems[0].Message, c.message)
			}
			if c.hint != "" && problems[0].Hint != c.hint {
				t.Errorf("hint %q, want %q", problems[0].Hint, c.hint)
			}
			if node := set.Topologies[0].Spec.Bolts["one"]; node.Config != nil {
				t.Errorf("settings with a mistake are handed on: %+v", node.Config)
			}
			if !set.Topologies[0].Broken {
				t.Error("the topology is not marked as broken")
			}
		})
	}
}

func TestCheckProblemsPointIntoTheExpression(t *testing.T) {
	cases := map[string]struct {
		bolt string
		want string
	}{
		"plain":                     {"{from: in, bench: {key: a ^ b}}", "7:36 expression-invalid"},
		"plain, after wide letters": {"{from: in, bench: {key: äöü ^ b}}", "7:38 expression-invalid"},
		"single quotes":             {"{from: in, bench: {key: 'a ''x'' ^ b'}}", "7:43 expression-invalid"},
		"double quotes":             {`{from: in, bench: {key: "a \"x\" ^ b"}}`, "7:43 expression-invalid"},
		"in a map":                  {"{from: in, bench: {set: {a.b: x ^}}}", "7:42 expression-invalid"},
		"in a list":                 {"{from: in, bench: {rules: [{when: ok}, {when: a^}]}}", "7:57 expression-invalid"},
		"block scalar":              {"\n      from: in\n      bench:\n        key: |\n          first\n            sec ^\n", "12:17 expression-invalid"},
		"folded scalar":             {"\n      from: in\n      bench:\n        key: >\n          first\n          sec ^\n", "10:14 expression-invalid"},
		"plain over two lines":      {"\n      from: in\n      bench:\n        key: first\n          sec ^\n", "10:14 expression-invalid"},
		"an alias":                  {"{from: in, bench: {text: &x 'a ^', key: *x}}", "7:50 expression-invalid"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, problems := parse(t, topology(c.bolt))
			if got := brief(problems); !slices.Equal(got, []string{c.want}) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if p := problems[0]; p.Hint != "remove the ^" || !strings.HasPrefix(p.Path, "spec.bolts.one.bench.") {
				t.Errorf("problem lost its hint or path: %+v", p)
			}
		})
	}
}

func TestNodesAreChecked(t *testing.T) {
	cases := map[string]struct {
		bolt    string
		want    []string
		message string
		hint    string
	}{
		"unknown component":        {"{from: in, cal: {}}", []string{"7:21 unknown-component"}, `unknown component "cal"`, `did you mean "call"?`},
		"component of other side":  {"{from: in, topic: {name: a}}", []string{"7:21 unknown-component"}, "unknown component", `"topic" is a spout, not a bolt`},
		"no component":             {"{from: in}", []string{"7:5 missing-key"}, "this bolt has no component", "allowed are bench, call, log"},
		"two components":           {"{from: in, log: {}, call: {service: a}}", []string{"7:30 several-components"}, `it has the component "log" already`, ""},
		"unknown key beside":       {"{form: in, log: {}}", []string{"7:5 missing-key", "7:11 unknown-key"}, "nothing feeds this bolt", ""},
		"no from":                  {"{log: {}}", []string{"7:5 missing-key"}, "nothing feeds this bolt", ""},
		"empty from":               {"{from: [], log: {}}", []string{"7:11 missing-key"}, "it is empty", ""},
		"from a number":            {"{from: 7, log: {}}", []string{"7:17 type-mismatch"}, "want text", ""},
		"from a mapping":           {"{from: {a: b}, log: {}}", []string{"7:17 type-mismatch"}, "want a list", ""},
		"not a mapping":            {"log", []string{"7:10 type-mismatch"}, "want a bolt with its component and settings", ""},
		"missing required setting": {"{from: in, call: {}}", []string{"7:21 missing-key"}, `key "service" is missing`, "for example: service: users"},
		"null with required":       {"{from: in, call: }", []string{"7:21 missing-key"}, `key "service" is missing`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, problems := parse(t, topology(c.bolt))
			if got := brief(problems); !slices.Equal(got, c.want) {
				t.Fatalf("got %v, want %v: %+v", got, c.want, problems)
			}
			if !strings.Contains(problems[0].Message, c.message) {
				t.Errorf("message %q does not say %q", problems[0].Message, c.message)
			}
			if c.hint != "" && problems[0].Hint != c.hint {
				t.Errorf("hint %q, want %q", problems[0].Hint, c.hint)
			}
		})
	}
}

func TestFromTakesOneNameOrSeveral(t *testing.T) {
	for text, want := range map[string][]string{"in": {"in"}, "[in, b.x]": {"in", "b.x"}, "[7]": {"7"}} {
		set, problems := parse(t, topology("{from: "+text+", log: }"))
		if got := set.Topologies[0].Spec.Bolts["one"].From; !slices.Equal(got, want) || len(problems) > 0 {
			t.Errorf("from: %s: got %v %v, want %v", text, got, problems, want)
		}
	}
}

func TestASpoutHasNoFrom(t *testing.T) {
	text := strings.Replace(topology("{from: in, log: }"), "{in: {", "{in: {from: x, ", 1)
	_, problems := parse(t, text)
	if got := brief(problems); !slices.Equal(got, []string{"5:17 unknown-key"}) {
		t.Errorf("got %v", got)
	}
}

func TestNodeNamesAreChecked(t *testing.T) {
	for _, name := range []string{"a.b", "-a", "a b", "ä", strings.Repeat("a", 101)} {
		_, problems := parse(t, strings.Replace(topology("{from: in, log: }"), "one: {", `"`+name+`": {`, 1))
		if !slices.ContainsFunc(problems, func(p manifest.Problem) bool { return p.Code == manifest.CodeNameInvalid && p.Line == 7 }) {
			t.Errorf("name %q is accepted: %v", name, problems)
		}
	}
}
