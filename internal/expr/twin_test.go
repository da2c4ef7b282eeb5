package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"pgregory.net/rapid"
)

// The dumb twin of the lazy view is a full decode that CEL's own maps and lists stand for.
func TestLazyViewAgreesWithAFullDecode(t *testing.T) {
	sources := []string{
		`event.a`, `event.b.a`, `event.l[0]`, `event.l[1].a`, `has(event.a)`, `has(event.b.c)`, `event.?a.orValue(7)`, `event.?b.?a.orValue("none")`,
		`size(event)`, `size(event.l)`, `size(event.s)`, `"a" in event`, `1 in event.l`, `event.l.map(x, x)`, `event.l.filter(x, x != null)`,
		`event.l.exists(x, x == event.a)`, `event.l.all(x, type(x) == int)`, `event == event`, `event.a == event.b`, `event.l == [1, 2]`,
		`event.b == {"a": 1}`, `event.l + event.l`, `event.s + event.s`, `event.s.startsWith("x")`, `event.a == null`, `type(event.a) == string`,
		`event.map(k, k).size()`, `event.exists(k, k == "a")`, `{"x": event.l, "y": event.b}`, `[event.a, event.s]`, `event.t ? event.a : event.s`,
		`event.a < 3`, `event.a != event.l[0]`, `[event.a] == event.l`, `{"a": event.a} == event.b`, `event["a"]`, `event.l[event.a]`, `dyn(event).a`,
		`event.l.exists_one(x, x == 1)`, `event.s in ["x", "y"]`, `event.b.all(k, k != "")`, `string(event.a)`, `int(event.s)`, `double(event.a)`,
	}
	env, err := recordEnv()
	if err != nil {
		t.Fatal(err)
	}
	lazy, decoded := map[string]*Program{}, map[string]cel.Program{}
	for _, src := range sources {
		lazy[src] = MustCompile(src, Any)
		ast, issues := env.Compile(src)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		if decoded[src], err = env.Program(ast); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := drawObject(t, 3)
		var tree any
		decode(t, doc, &tree)
		for _, src := range sources {
			have, err := lazy[src].Eval(event(doc))
			out, _, twinErr := decoded[src].Eval(map[string]any{"event": whole(tree)})
			var want []byte
			if twinErr == nil {
				want, twinErr = appendResult(nil, result{val: out})
			}
			if errors.Is(twinErr, errAbsent) {
				twinErr = nil
			}
			if (err == nil) != (twinErr == nil) {
				t.Fatalf("%s on %s: %s, %v; the twin: %s, %v", src, doc, have.JSON(), err, want, twinErr)
			}
			if err == nil && !same(t, have.JSON(), want) {
				t.Fatalf("%s on %s: %s; the twin: %s", src, doc, have.JSON(), want)
			}
		}
	})
}

func decode(t *rapid.T, doc string, to any) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
}

func same(t *rapid.T, a, b []byte) bool {
	var x, y any
	decode(t, string(a), &x)
	decode(t, string(b), &y)
	return reflect.DeepEqual(floats(x), floats(y))
}

// whole turns numbers into what CEL expects of a decoded document.
func whole(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			m[k] = whole(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = whole(e)
		}
		return l
	}
	return v
}

// floats makes 1.10 and 1.1 equal, and sorts lists: the names of a decoded map come in any order.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = floats(e)
		}
	case []any:
		for i, e := range v {
			v[i] = floats(e)
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return v
}

func drawObject(t *rapid.T, depth int) string {
	var members []string
	for _, name := range []string{"a", "b", "l", "s", "t", "c"} {
		if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
			members = append(members, `"`+name+`": `+drawValue(t, name, depth-1))
		}
	}
	return "{ " + strings.Join(members, " , ") + " }"
}

func drawValue(t *rapid.T, name string, depth int) string {
	kind := map[string]int{"l": 1, "b": 2}[name]
	if kind == 0 || rapid.IntRange(0, 4).Draw(t, "other") == 0 {
		kind = rapid.IntRange(0, 2).Draw(t, "kind")
	}
	switch {
	case kind == 1 && depth > 0:
		var elements []string
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			elements = append(elements, drawValue(t, "", depth-1))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	case kind == 2 && depth > 0:
		return drawObject(t, depth)
	}
	return rapid.SampledFrom([]string{"1", "2", "0", "-7", "1.5", "2.50", "1e2", `"x"`, `"\u0041"`, `"12"`, `""`, "true", "false", "null"}).Draw(t, "scalar")
}
