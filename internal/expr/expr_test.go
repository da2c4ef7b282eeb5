package expr

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/record"
)

func event(value string) *record.Record {
	return &record.Record{
		Key: []byte("k1"), Value: []byte(value), Format: record.JSON,
		Headers: []record.Header{{Key: "source", Value: []byte("web")}, {Key: "content-type", Value: []byte("json")}, {Key: "source", Value: []byte("app")}},
		Time:    time.Date(2026, 11, 21, 6, 37, 22, 123456000, time.UTC),
		Origin:  record.Origin{Topic: "orders", Partition: 3, Offset: 42},
	}
}

const order = ` {"id": 9007199254740993, "big": 123456789012345678901234567890, "unsigned": 18446744073709551615, "price": 1.10, "whole": 3, "exp": 1e5,
	"user": {"name": "Ada \u00e9", "tags": ["a", "b", 7], "none": null, "address": {"city": "London"}}, "ok": true,
	"items": [{"price": 1.5, "n": 2}, {"price": 2, "n": 3}], "odd.name": "x", "twice": 1, "twice": 2, "text": "12"} `

func TestJSON(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"a large integer is copied", `event.id`, `9007199254740993`},
		{"a huge integer is copied", `event.big`, `123456789012345678901234567890`},
		{"a huge integer is passed on by a condition", `event.ok ? event.big : 0`, `123456789012345678901234567890`},
		{"a huge integer is passed on in a map", `{"b": event.big, "l": [event.big]}`, `{"b":123456789012345678901234567890,"l":[123456789012345678901234567890]}`},
		{"a decimal keeps its literal", `event.price`, `1.10`},
		{"a decimal keeps its literal through a condition", `event.ok ? event.price : 0.0`, `1.10`},
		{"a decimal keeps its literal in a mapped list", `[event].map(e, e.price)`, `[1.10]`},
		{"an exponent is copied", `event.exp`, `1e5`},
		{"an object is copied", `event.user.address`, `{"city": "London"}`},
		{"an object is passed on by CEL", `event.ok ? event.user.address : null`, `{"city": "London"}`},
		{"an element", `event.items[1].price`, `2`},
		{"an odd name", `event["odd.name"]`, `"x"`},
		{"the last of a repeated name", `event.twice`, `2`},
		{"the last of a repeated name in CEL", `event.twice + 1`, `3`},
		{"null is copied", `event.user.none`, `null`},
		{"escapes are copied", `event.user.name`, `"Ada \u00e9"`},
		{"escapes are read", `event.user.name + "!"`, `"Ada é!"`},
		{"integer arithmetic is exact", `event.id + 1`, `9007199254740994`},
		{"unsigned integers are copied by CEL", `event.ok ? event.unsigned : 0`, `18446744073709551615`},
		{"unsigned meets signed", `event.unsigned - 1`, `18446744073709551614`},
		{"decimal times whole", `event.price * event.whole`, `3.3000000000000003`},
		{"whole times a decimal literal", `event.whole * 1.5`, `4.5`},
		{"decimal plus a whole literal", `event.price + 1`, `2.1`},
		{"concatenation", `event.user.address.city + "-" + string(event.whole)`, `"London-3"`},
		{"comparison of decimal and whole", `event.price < 2 && event.whole > 2.5`, `true`},
		{"has", `has(event.user.address) && !has(event.user.x)`, `true`},
		{"has of an element", `has(event.items[0].price)`, `true`},
		{"an optional with a value", `event.?price`, `1.10`},
		{"an optional or else", `event.?nothing.orValue("none")`, `"none"`},
		{"an optional in a map is null", `{"a": event.?nothing}`, `{"a":null}`},
		{"a map keeps the order it is written in", `{"z": 1, "a": event.price, "m": [1, "x", event.user.tags]}`, `{"z":1,"a":1.10,"m":[1,"x",["a", "b", 7]]}`},
		{"a computed map is sorted", `{"z": 1, event.text: 2}`, `{"12":2,"z":1}`},
		{"a list is filtered and mapped", `event.items.filter(i, i.n > 2).map(i, i.price * i.n)`, `[6]`},
		{"in a list", `"a" in event.user.tags && 7 in event.user.tags`, `true`},
		{"in an object", `"name" in event.user`, `true`},
		{"size", `[size(event.items), size(event.user), size(event.user.address.city)]`, `[2,4,6]`},
		{"lists are joined", `event.user.tags + ["c"]`, `["a","b",7,"c"]`},
		{"objects are compared", `event.user.address == {"city": "London"}`, `true`},
		{"lists are compared", `event.user.tags == ["a", "b", 7]`, `true`},
		{"the record's own facts", `[key, topic, partition, offset]`, `["k1","orders",3,42]`},
		{"the last of a repeated header", `headers.source + headers["content-type"]`, `"appjson"`},
		{"headers as a whole", `headers`, `{"content-type":"json","source":"app"}`},
		{"the record's time", `time`, `"2026-11-21T06:37:22.123456Z"`},
		{"a time in calculation", `time + duration("1h")`, `"2026-11-21T07:37:22.123456Z"`},
		{"a duration", `time - timestamp("2026-11-21T06:37:20Z")`, `"2.123456s"`},
		{"the year", `time.getFullYear()`, `2026`},
		{"text to number", `int(event.text) + 1`, `13`},
		{"string functions", `event.user.address.city.lowerAscii().substring(0, 3)`, `"lon"`},
		{"a split", `"a,b".split(",")`, `["a","b"]`},
		{"math", `math.greatest(event.whole, 2)`, `3`},
		{"rounding", `math.round(event.price * 1.2)`, `1`},
		{"formatting", `"%s-%d".format([event.text, event.whole])`, `"12-3"`},
		{"sets", `sets.contains(event.user.tags, ["a"])`, `true`},
		{"base64", `base64.encode(b"abc")`, `"YWJj"`},
		{"bytes", `b"abc"`, `"YWJj"`},
		{"a constant string", `"x\"y"`, `"x\"y"`},
		{"a constant double", `2.50`, `2.5`},
		{"an empty map", `{}`, `{}`},
		{"a field of the map type", `event.user.map(k, k)`, `["name","tags","none","address"]`},
		{"a huge integer as text", `"m-" + string(event.big)`, `"m-123456789012345678901234567890"`},
		{"other values as text", `[string(event.id), string(event.price), string(event.ok), string(time), string(b"a"), string("s")]`,
			`["9007199254740993","1.1","true","2026-11-21T06:37:22.123456Z","a","s"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, problems := Compile(c.src, Any)
			if problems != nil {
				t.Fatal(problems)
			}
			res, err := p.Eval(event(order))
			if err != nil || string(res.JSON()) != c.want {
				t.Errorf("%s\n have %s, %v\n want %s", c.src, res.JSON(), err, c.want)
			}
		})
	}
	p, _ := Compile("event", Any)
	if res, err := p.Eval(event(order)); err != nil || string(res.JSON()) != strings.TrimSpace(order) {
		t.Errorf("the whole event: %s, %v", res.JSON(), err)
	}
}

func TestAbsent(t *testing.T) {
	p := MustCompile(`event.?nothing`, Any)
	if res, err := p.Eval(event(order)); err != nil || !res.Absent() || res.JSON() != nil {
		t.Errorf("%s, %v, want absent", res.JSON(), err)
	}
}

func TestText(t *testing.T) {
	for src, want := range map[string]string{
		`event.user.name`: "Ada é", `event.big`: "123456789012345678901234567890", `event.price`: "1.10", `event.ok`: "true",
		`event.whole + 1`: "4", `event.ok ? event.price : 0.0`: "1.10", `key`: "k1", `"c"`: "c", `event.user.none`: "", `null`: "",
		`event.?nothing`: "", `event.?price`: "1.10", `time`: "2026-11-21T06:37:22.123456Z", `b"\x01"`: "\x01", `event.ok ? event.big : 0`: "123456789012345678901234567890",
	} {
		p, problems := Compile(src, String)
		if problems != nil {
			t.Errorf("%s: %v", src, problems)
			continue
		}
		if res, err := p.Eval(event(order)); err != nil || res.Text() != want || res.Absent() != (want == "") {
			t.Errorf("%s: %q absent %v, %v; want %q", src, res.Text(), res.Absent(), err, want)
		}
	}
}

func TestBool(t *testing.T) {
	for src, want := range map[string]bool{
		`event.ok`: true, `event.whole == 3`: true, `event.whole == 3.0`: true, `event.id == 9007199254740993`: true,
		`event.id == 9007199254740992`: false, `event.big == event.big`: true, `event.big == 1`: false, `false`: false,
		`event.user.none == null`: true, `event.nothing == 1 || event.ok`: true, `event.user.name.startsWith("Ada")`: true,
		`event.user.name.matches("^A.a")`: true, `event.items.exists(i, i.n == 3)`: true,
	} {
		p, problems := Compile(src, Bool)
		if problems != nil {
			t.Errorf("%s: %v", src, problems)
			continue
		}
		if res, err := p.Eval(event(order)); err != nil || res.Bool() != want {
			t.Errorf("%s: %v, %v; want %v", src, res.Bool(), err, want)
		}
	}
}

func TestOtherFormats(t *testing.T) {
	text := &record.Record{Value: []byte("hello"), Format: record.Text}
	raw := &record.Record{Value: []byte{1, 2}}
	list := event(` [1, {"a": 1.10}] `)
	for _, c := range []struct {
		name, src string
		r         *record.Record
		want      string
	}{
		{"text", `event`, text, `"hello"`},
		{"text in calculation", `event + "!"`, text, `"hello!"`},
		{"raw", `event`, raw, `"AQI="`},
		{"raw size", `size(event)`, raw, `2`},
		{"a list", `event[1].a`, list, `1.10`},
		{"a list in CEL", `event[1].a + event[0]`, list, `2.1`},
		{"a list as a whole", `event`, list, `[1, {"a": 1.10}]`},
		{"a tombstone", `event == null`, event(""), `true`},
	} {
		if c.name == "a tombstone" {
			c.r.Value = nil
		}
		res, err := MustCompile(c.src, Any).Eval(c.r)
		if err != nil || string(res.JSON()) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, res.JSON(), err, c.want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		src  string
		want Kind
		err  string
	}{
		{`event.a.b`, Any, `evaluate "event.a.b": no such field "a"`},
		{`event.user.b`, Any, `evaluate "event.user.b": no such field "b"`},
		{`event.user.b + 1`, Any, `evaluate "event.user.b + 1": no such field "b"`},
		{`event.items[7]`, Any, `evaluate "event.items[7]": no such element 7`},
		{`event.items[7].n + 1`, Any, `evaluate "event.items[7].n + 1": no such element 7`},
		{`headers.nothing`, Any, `evaluate "headers.nothing": no such field "nothing"`},
		{`event.big + 1`, Any, `evaluate "event.big + 1": 123456789012345678901234567890 is a number that 64 bits cannot hold: it can be copied, not calculated with`},
		{`1 + event.big`, Any, `evaluate "1 + event.big": 123456789012345678901234567890 is a number that 64 bits cannot hold: it can be copied, not calculated with`},
		{`event.big > 1`, Any, `evaluate "event.big > 1": 123456789012345678901234567890 is a number that 64 bits cannot hold: it can be copied, not calculated with`},
		{`double(event.big)`, Any, `evaluate "double(event.big)": 123456789012345678901234567890 is a number that 64 bits cannot hold: it can be copied, not calculated with`},
		{`event.id * 1.5`, Any, `evaluate "event.id * 1.5": 9007199254740993 has too many digits to be combined with a decimal number`},
		{`event.user.name + 1`, Any, `evaluate "event.user.name + 1": + does not work on a string and a whole number`},
		{`math.round(event.items[0].n)`, Any, `evaluate "math.round(event.items[0].n)": math.round does not work on the kinds of values it is given; it wants decimal numbers, double(...) makes them`},
		{`event.user < 1`, Any, `evaluate "event.user < 1": < does not work on the kinds of values it is given`},
		{`event.user.name - "a"`, Any, ``},
		{`event.whole / 0`, Any, `evaluate "event.whole / 0": division by zero`},
		{`event.price / 0`, Any, `evaluate "event.price / 0": the result is not a finite number`},
		{`event.id * event.id`, Any, `evaluate "event.id * event.id": integer overflow`},
		{`event.user`, String, `evaluate "event.user": gives an object, want a text`},
		{`event.ok ? event.user : null`, String, `evaluate "event.ok ? event.user : null": gives an object, want a text`},
		{`event.price`, Bool, `evaluate "event.price": gives a number, want a boolean`},
		{`event.ok ? event.user : null`, Bool, `evaluate "event.ok ? event.user : null": gives an object, want a boolean`},
	} {
		p, problems := Compile(c.src, c.want)
		if problems != nil {
			if c.err != "" {
				t.Errorf("%s: %v", c.src, problems)
			}
			continue
		}
		if _, err := p.Eval(event(order)); err == nil || err.Error() != c.err {
			t.Errorf("%s\n have %v\n want %s", c.src, err, c.err)
		}
	}
	if _, err := MustCompile("event.a", Any).Eval(&record.Record{Value: []byte("x"), Format: record.Text}); err == nil {
		t.Error("a field of a text: no error")
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		src          string
		want         Kind
		line, column int
		message      string
		hint         string
	}{
		{`evnt.a`, Any, 1, 1, `compile "evnt.a": unknown name "evnt"`, `did you mean "event"?`},
		{`event.a == heders.x`, Any, 1, 12, `compile "event.a == heders.x": unknown name "heders"`, `did you mean "headers"?`},
		{`event.a.startWith("x")`, Any, 1, 18, `compile "event.a.startWith(\"x\")": unknown name "startWith"`, `did you mean "startsWith"?`},
		{"event.a +\n  userId", Any, 2, 3, `compile "event.a + userId": unknown name "userId"`, `fields of the event are written event.name`},
		{`event.a and event.b`, Bool, 1, 9, ``, `write && instead of and`},
		{`event.a = 1`, Bool, 1, 9, ``, `compare with ==`},
		{`event.a == "x`, Any, 1, 12, ``, `close the quote`},
		{`event.ä`, Any, 1, 7, ``, `write names with such characters as event["name"], and text in quotes`},
		{`(event.a`, Any, 1, 9, ``, ``},
		{``, Any, 1, 1, `compile "": the expression ends too early`, ``},
		{`math.round(event.x * 1000)`, Any, 1, 11, `compile "math.round(event.x * 1000)": "math.round" does not work on (int)`, `it wants decimal numbers: write 1000.0 instead of 1000, or double(...)`},
		{`1.5 * 2`, Any, 1, 5, `compile "1.5 * 2": "*" does not work on (double, int)`, `it wants decimal numbers: write 2.0 instead of 2, or double(...)`},
		{`math.round(int(event["a 5"]))`, Any, 1, 11, `compile "math.round(int(event[\"a 5\"]))": "math.round" does not work on (int)`, `it wants decimal numbers: double(...) makes them`},
		{`1 + "a"`, Any, 1, 3, `compile "1 + \"a\"": "+" does not work on (int, string)`, `convert with string(...), int(...) or double(...) where the types differ`},
		{`size(event.a)`, Bool, 1, 1, `compile "size(event.a)": gives a whole number, want a boolean`, `compare with ==, <, > or another condition`},
		{`{"a": 1}`, String, 1, 1, `compile "{\"a\": 1}": gives an object, want a text`, `choose one field of it`},
		{strings.Repeat("1+", MaxSource) + "1", Any, 1, 1, ``, ``},
		{strings.Repeat("[", 500) + strings.Repeat("]", 500), Any, 1, 1, ``, ``},
	} {
		p, problems := Compile(c.src, c.want)
		if p != nil || len(problems) == 0 {
			t.Errorf("%.40s: no problem", c.src)
			continue
		}
		have := problems[0]
		if c.message != "" && have.Message != c.message || c.hint != "" && have.Hint != c.hint || have.Line != c.line || have.Column != c.column {
			t.Errorf("%.40s\n have %+v\n want %+v", c.src, have, c)
		}
		if strings.ContainsAny(have.Message, "\n") || len(have.Message) > 600 {
			t.Errorf("%.40s: the message is not one short line: %s", c.src, have.Message)
		}
	}
}

func TestProgramsMayBeShared(t *testing.T) {
	p := MustCompile(`{"a": event.price * event.whole, "b": event.items.map(i, i.n), "c": event.ok ? event.price : 0.0}`, Any)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				res, err := p.Eval(event(order))
				if err != nil || string(res.JSON()) != `{"a":3.3000000000000003,"b":[2,3],"c":1.10}` {
					t.Errorf("%s, %v", res.JSON(), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzEvalNeverPanicsAndGivesJSON(f *testing.F) {
	f.Add(`event.a + 1`, `{"a":1}`)
	f.Add(`event.a[0].b`, `{"a":[{"b":1e5}]}`)
	f.Add(`{"x": event, "y": event.?a}`, `[1]`)
	f.Fuzz(func(t *testing.T, src, doc string) {
		if !json.Valid([]byte(doc)) {
			return
		}
		p, problems := Compile(src, Any)
		if problems != nil {
			return
		}
		res, err := p.Eval(event(doc))
		if err == nil && !res.Absent() && !json.Valid(res.JSON()) {
			t.Errorf("%s on %s: %s", src, doc, res.JSON())
		}
	})
}

func oneKB(b *testing.B) *record.Record {
	doc, err := os.ReadFile("../document/testdata/1kb.json")
	if err != nil {
		b.Fatal(err)
	}
	return event(string(doc))
}

func benchmarkJSON(b *testing.B, src string) {
	p, r, in := MustCompile(src, Any), oneKB(b), new(Input)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(r)
		if _, _, err := p.AppendJSON(buf, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvalSelection(b *testing.B)  { benchmarkJSON(b, `event.user.address.city`) }
func BenchmarkEvalArithmetic(b *testing.B) { benchmarkJSON(b, `event.price * event.quantity`) }
func BenchmarkEvalConcat(b *testing.B)     { benchmarkJSON(b, `event.user.name + "-" + event.currency`) }
func BenchmarkEvalLoop(b *testing.B)       { benchmarkJSON(b, `event.items.map(i, i.price * i.count)`) }

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		MustCompile(`event.price * event.quantity > 10.0 && event.currency == "EUR"`, Bool)
	}
}
