package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidAgreesWithEncodingJSON(t *testing.T) {
	for _, doc := range []string{
		`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `-1.5e+10`, `1e5`, `12345678901234567890123`, `""`, `"é\u00e9\n"`,
		` { "a" : [ 1 , { } , [ ] ] } `, `{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`,
		``, ` `, `{`, `}`, `[`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `01`, `1.`, `.5`, `+1`, `-`, `1e`,
		`tru`, `truex`, `nul`, `"`, `"\x"`, `"\u12g4"`, "\"\n\"", `"a" "b"`, `[1}`, `{"a":1]`, `1 2`, "\x00", `{"a":1}x`, `[[[]`,
	} {
		err := Valid([]byte(doc))
		if want := json.Valid([]byte(doc)); (err == nil) != want {
			t.Errorf("Valid(%q) = %v, encoding/json says %v", doc, err, want)
		}
	}
}

func TestValidSaysWhereTheFaultIs(t *testing.T) {
	for doc, want := range map[string]string{
		`{"a":1,}`:         `read JSON at byte 7: unexpected '}': want a name in quotes`,
		`{"a":tru}`:        `read JSON at byte 8: unexpected '}': want true`,
		`[1 2]`:            `read JSON at byte 3: unexpected '2': want ',' or ']'`,
		`{"a":1`:           `read JSON at byte 6: the document ends too early: want ',' or '}'`,
		``:                 `read JSON at byte 0: the document ends too early: want a value`,
		`{"a":"b`:          `read JSON at byte 7: the document ends too early: the string does not end`,
		"{\"a\":\"b\tc\"}": `read JSON at byte 7: unexpected '\t': a control character in a string must be escaped`,
	} {
		if err := Valid([]byte(doc)); err == nil || err.Error() != want {
			t.Errorf("Valid(%q):\n have %v\n want %s", doc, err, want)
		}
	}
}

func TestValidBoundsDepth(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if err := Valid(nested(MaxDepth)); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	var syntax *SyntaxError
	if err := Valid(nested(MaxDepth + 1)); !errors.As(err, &syntax) || syntax.Offset != MaxDepth {
		t.Errorf("depth %d: %v, want an error at byte %d", MaxDepth+1, err, MaxDepth)
	}
	mixed := strings.Repeat(`{"a":[`, MaxDepth/2) + strings.Repeat(`]}`, MaxDepth/2)
	if err := Valid([]byte(mixed)); err != nil {
		t.Errorf("mixed: %v", err)
	}
}

func TestParsePath(t *testing.T) {
	for in, want := range map[string]Path{
		`a`:                  {{Name: "a"}},
		`a.b[0].c`:           {{Name: "a"}, {Name: "b"}, {Index: 0, InList: true}, {Name: "c"}},
		`"a.b".c`:            {{Name: "a.b"}, {Name: "c"}},
		`["a.b"][12]["é\n"]`: {{Name: "a.b"}, {Index: 12, InList: true}, {Name: "é\n"}},
		`größe.$x-1.a b`:     {{Name: "größe"}, {Name: "$x-1"}, {Name: "a b"}},
		`a.""`:               {{Name: "a"}, {Name: ""}},
	} {
		have, err := ParsePath(in)
		if err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("ParsePath(%q) = %v, %v", in, have, err)
		}
		if again, err := ParsePath(have.String()); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%q written as %q reads as %v, %v", in, have, again, err)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for in, column := range map[string]int{
		``: 1, `.`: 1, `a.`: 3, `a..b`: 3, `a[`: 3, `a[x]`: 3, `a[-1]`: 3, `a[0`: 4, `[0]`: 1, `a"b"`: 2, `"a`: 1, `"a"b`: 4, ` a`: 1,
		`a[99999999999]`: 3, "a.\x00": 3, strings.Repeat("a.", 64) + "a": 130, strings.Repeat("a", 2000): 1,
	} {
		var fault *PathError
		if _, err := ParsePath(in); !errors.As(err, &fault) || fault.Column != column {
			t.Errorf("ParsePath(%.20q) = %v, want column %d", in, err, column)
		}
	}
}

func path(t testing.TB, s string) Path {
	t.Helper()
	p, err := ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGet(t *testing.T) {
	const doc = ` { "a" : { "b" : [ 1.10 , {"c" : 1e5} ] } , "big":12345678901234567890123, "\u00e9" : 1, "a.b":2, "":3,
		"twice": {"x":1}, "twice": {"y":2}, "n": null } `
	for p, want := range map[string]string{
		`a.b[0]`: "1.10", `a.b[1].c`: "1e5", `a.b`: `[ 1.10 , {"c" : 1e5} ]`, `big`: "12345678901234567890123",
		`é`: "1", `"a.b"`: "2", `""`: "3", `twice`: `{"y":2}`, `twice.y`: "2", `n`: "null",
		`x`: "", `a.b[2]`: "", `a.b.c`: "", `big.x`: "", `twice.x`: "", `a[0]`: "", `n.x`: "",
	} {
		raw, ok := Get([]byte(doc), path(t, p))
		if string(raw) != want || ok != (want != "") {
			t.Errorf("Get(%s) = %q, %v; want %q", p, raw, ok, want)
		}
		var o Object
		if err := o.Read([]byte(doc)); err != nil {
			t.Fatal(err)
		}
		if raw, ok := o.Lookup(path(t, p)); string(raw) != want || ok != (want != "") {
			t.Errorf("Lookup(%s) = %q, %v; want %q", p, raw, ok, want)
		}
	}
}

func TestEdit(t *testing.T) {
	set := func(p, raw string) func(testing.TB, []byte) ([]byte, error) {
		return func(t testing.TB, doc []byte) ([]byte, error) { return Set(doc, path(t, p), []byte(raw)) }
	}
	remove := func(p string) func(testing.TB, []byte) ([]byte, error) {
		return func(t testing.TB, doc []byte) ([]byte, error) { return Delete(doc, path(t, p)) }
	}
	rename := func(from, to string) func(testing.TB, []byte) ([]byte, error) {
		return func(t testing.TB, doc []byte) ([]byte, error) { return Move(doc, path(t, from), path(t, to)) }
	}
	for _, c := range []struct {
		name string
		edit func(testing.TB, []byte) ([]byte, error)
		doc  string
		want string
	}{
		{"set replaces in place", set("b", "9"), `{ "a": 1.10, "b" : 2 , "c":1e5 }`, `{ "a": 1.10, "b" : 9 , "c":1e5 }`},
		{"set appends", set("z", "9"), `{"a":1 }`, `{"a":1,"z":9 }`},
		{"set in an empty object", set("z", "9"), `{ }`, `{"z":9 }`},
		{"set makes objects", set("x.y.z", "9"), `{"a":1}`, `{"a":1,"x":{"y":{"z":9}}}`},
		{"set makes a list", set("x[0].y", "9"), `{}`, `{"x":[{"y":9}]}`},
		{"set through null", set("x.y", "9"), `{"x": null,"a":1}`, `{"x": {"y":9},"a":1}`},
		{"set in a list", set("x[1]", "9"), `{"x":[1 , 2,3]}`, `{"x":[1 , 9,3]}`},
		{"set appends to a list", set("x[2]", "9"), `{"x":[1,2]}`, `{"x":[1,2,9]}`},
		{"set quotes a name", set(`"a\"b.c"`, "9"), `{}`, `{"a\"b.c":9}`},
		{"set finds an escaped name", set("é", "9"), `{"\u00e9":1}`, `{"\u00e9":9}`},
		{"set leaves one of a repeated name", set("a", "9"), `{"a":1,"b":2,"a":3}`, `{"b":2,"a":9}`},
		{"remove first", remove("a"), `{ "a":1, "b":2}`, `{ "b":2}`},
		{"remove middle", remove("b"), `{"a":1 , "b":2 , "c":3}`, `{"a":1 , "c":3}`},
		{"remove last", remove("b"), `{"a":1, "b":2 }`, `{"a":1 }`},
		{"remove only", remove("a"), `{ "a":1 }`, `{  }`},
		{"remove missing", remove("x.y"), `{ "a":1 }`, `{ "a":1 }`},
		{"remove below a scalar", remove("a.y"), `{ "a":1 }`, `{ "a":1 }`},
		{"remove element", remove("a[1]"), `{"a":[1, 2, 3]}`, `{"a":[1, 3]}`},
		{"remove repeated", remove("a"), `{"a":1,"b":2,"a":3}`, `{"b":2}`},
		{"rename keeps place", rename("b", "z"), `{"a":1, "b" : 1.10 ,"c":3}`, `{"a":1, "z" : 1.10 ,"c":3}`},
		{"rename takes the name over", rename("b", "a"), `{"a":1,"b":2,"c":3}`, `{"a":2,"c":3}`},
		{"rename missing", rename("x", "a"), `{"a":1}`, `{"a":1}`},
		{"rename below", rename("u.a", "u.b"), `{"u":{"a":1,"c":2}}`, `{"u":{"b":1,"c":2}}`},
		{"rename into another object", rename("u.a", "v.b"), `{"u":{"a":1e5,"c":2}}`, `{"u":{"c":2},"v":{"b":1e5}}`},
		{"rename out of a list", rename("l[0]", "first"), `{"l":[7,8]}`, `{"l":[8],"first":7}`},
		{"rename into itself", rename("a", "a.b"), `{"a":1}`, `{"a":{"b":1}}`},
		{"rename to the same", rename("a", "a"), `{"a":1}`, `{"a":1}`},
		{"rename over its parent", rename("a.b", "a"), `{"a":{"b":1},"c":2}`, `{"a":1,"c":2}`},
		{"rename within a list", rename("a[0]", "a[1]"), `{"a":[1,2]}`, `{"a":[2,1]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			have, err := c.edit(t, []byte(c.doc))
			if err != nil || string(have) != c.want {
				t.Errorf("%s\n have %s, %v\n want %s", c.doc, have, err, c.want)
			}
		})
	}
}

func TestSetSaysWhatIsInTheWay(t *testing.T) {
	for _, c := range []struct{ doc, path, want string }{
		{`{"a":{"b":1}}`, "a.b.c", `set "a.b.c": "a.b" is a number, not an object`},
		{`{"a":[1]}`, "a.b", `set "a.b": "a" is a list, not an object`},
		{`{"a":{}}`, "a[0]", `set "a[0]": "a" is an object, not a list`},
		{`{"a":[1]}`, "a[2]", `set "a[2]": the list has 1 elements`},
		{`{}`, "a[1]", `set "a[1]": the list has 0 elements`},
		{`[1]`, "a", `want an object, have a list`},
		{`7`, "a", `want an object, have a number`},
		{``, "a", `want an object, have nothing`},
	} {
		if _, err := Set([]byte(c.doc), path(t, c.path), []byte("9")); err == nil || err.Error() != c.want {
			t.Errorf("set %s in %s:\n have %v\n want %s", c.path, c.doc, err, c.want)
		}
	}
}

func TestPutOfNothingLeavesThePlace(t *testing.T) {
	e := Prepare(Edit{Op: Put, Path: path(t, "a")}, Edit{Op: Put, Path: path(t, "x.y")}, Edit{Op: Put, Path: path(t, "b")})
	var o Object
	if err := o.Read([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	have, err := e.Apply(nil, &o, [][]byte{nil, nil, []byte("2")})
	if err != nil || string(have) != `{"a":1,"b":2}` {
		t.Errorf("have %s, %v", have, err)
	}
}

// genDoc draws a document as text with odd spacing, escapes, repeated names and number literals that float64 loses.
func genDoc(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
		n := rapid.IntRange(0, 4).Draw(t, "n")
		var b strings.Builder
		b.WriteString("{" + space.Draw(t, "s"))
		for i := range n {
			if i > 0 {
				b.WriteString("," + space.Draw(t, "s"))
			}
			b.WriteString(rapid.SampledFrom([]string{`"a"`, `"b"`, `"c"`, `"\u0061"`, `"a.b"`, `"é"`}).Draw(t, "key"))
			b.WriteString(space.Draw(t, "s") + ":" + space.Draw(t, "s") + genValue(depth-1).Draw(t, "v") + space.Draw(t, "s"))
		}
		return b.String() + "}"
	})
}

func genValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 2
		if depth <= 0 {
			kinds = 0
		}
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 1:
			return genDoc(depth).Draw(t, "object")
		case 2:
			return "[" + strings.Join(rapid.SliceOfN(genValue(depth-1), 0, 3).Draw(t, "list"), " , ") + "]"
		}
		return rapid.SampledFrom([]string{`1`, `1.10`, `1e5`, `12345678901234567890123`, `null`, `true`, `"x"`, `"\u00e9\"{"`, `"]}"`}).Draw(t, "scalar")
	})
}

func genPath() *rapid.Generator[Path] {
	name := rapid.SampledFrom([]Step{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "a.b"}, {Name: "é"}, {Name: "new"}})
	return rapid.Custom(func(t *rapid.T) Path {
		p := Path{name.Draw(t, "first")}
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
				p = append(p, Step{Index: rapid.IntRange(0, 2).Draw(t, "index"), InList: true})
			} else {
				p = append(p, name.Draw(t, "name"))
			}
		}
		return p
	})
}

func decode(t interface{ Fatalf(string, ...any) }, doc []byte) any {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decode %s: %v", doc, err)
	}
	return v
}

func lookup(v any, p Path) (any, bool) {
	for _, s := range p {
		switch c := v.(type) {
		case map[string]any:
			next, ok := c[s.Name]
			if s.InList || !ok {
				return nil, false
			}
			v = next
		case []any:
			if !s.InList || s.Index >= len(c) {
				return nil, false
			}
			v = c[s.Index]
		default:
			return nil, false
		}
	}
	return v, true
}

func TestGetAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, p := []byte(genDoc(3).Draw(t, "doc")), genPath().Draw(t, "path")
		if err := Valid(doc); err != nil {
			t.Fatal(err)
		}
		raw, ok := Get(doc, p)
		want, wantOK := lookup(decode(t, doc), p)
		if ok != wantOK || ok && !reflect.DeepEqual(decode(t, raw), want) {
			t.Fatalf("%s in %s: %s %v, want %v %v", p, doc, raw, ok, want, wantOK)
		}
	})
}

func TestSetChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, p := []byte(genDoc(3).Draw(t, "doc")), genPath().Draw(t, "path")
		out, err := Set(doc, p, []byte(`"new"`))
		if err != nil {
			return
		}
		if err := Valid(out); err != nil {
			t.Fatalf("set %s in %s: %s: %v", p, doc, out, err)
		}
		if raw, ok := Get(out, p); !ok || string(raw) != `"new"` {
			t.Fatalf("set %s in %s: reads back %s", p, doc, raw)
		}
		sameElsewhere(t, doc, out, p)
	})
}

// sameElsewhere walks along path and compares the raw bytes of everything beside it.
func sameElsewhere(t *rapid.T, before, after []byte, p Path) {
	for _, s := range p {
		var old, now Object
		if s.InList || old.Read(before) != nil || now.Read(after) != nil {
			return
		}
		for name, raw := range old.All() {
			text, _ := Text(name)
			last, _ := old.Get(text)
			if text == s.Name {
				continue
			}
			if have, ok := now.Get(text); !ok || !bytes.Equal(have, last) {
				t.Fatalf("%s changed from %s to %s", name, raw, have)
			}
		}
		before, _ = old.Get(s.Name)
		after, _ = now.Get(s.Name)
	}
}

// The dumb twin of one pass over N edits is N passes over one edit.
func TestOnePassEqualsOneEditAfterAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := []byte(genDoc(3).Draw(t, "doc"))
		var edits []Edit
		var values [][]byte
		for _, op := range []Op{Rename, Remove, Put} {
			for range rapid.IntRange(0, 2).Draw(t, "edits") {
				e := Edit{Op: op, Path: genPath().Draw(t, "path")}
				if op == Rename {
					e.To = genPath().Draw(t, "to")
				}
				if op == Put {
					values = append(values, []byte(rapid.SampledFrom([]string{"7", `{"a":1.10}`, "[]"}).Draw(t, "value")))
				}
				edits = append(edits, e)
			}
		}
		var o Object
		if err := o.Read(doc); err != nil {
			t.Fatal(err)
		}
		have, err := Prepare(edits...).Apply(nil, &o, values)
		want, used := doc, 0
		var wantErr error
		for _, e := range edits {
			var put [][]byte
			if e.Op == Put {
				put = values[used : used+1]
				used++
			}
			if want, wantErr = one(want, e, put...); wantErr != nil {
				break
			}
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v in %s: %v, one by one: %v", edits, doc, err, wantErr)
		}
		if err == nil && (Valid(have) != nil || !reflect.DeepEqual(decode(t, have), decode(t, want))) {
			t.Fatalf("%v in %s:\n have %s\n want %s", edits, doc, have, want)
		}
	})
}

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		raw := AppendText(nil, s)
		var std string
		if err := json.Unmarshal(raw, &std); err != nil {
			t.Fatalf("%q as %s: %v", s, raw, err)
		}
		if have, err := Text(raw); err != nil || have != std {
			t.Fatalf("%s reads as %q, %v; encoding/json says %q", raw, have, err, std)
		}
		std2, _ := json.Marshal(s)
		if have, err := Text(std2); err != nil || have != std {
			t.Fatalf("%s reads as %q, %v; encoding/json says %q", std2, have, err, std)
		}
	})
}

func TestTextOfOddStringsIsWhatEncodingJSONSays(t *testing.T) {
	for _, raw := range []string{`"\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00\ud800"`, "\"\xff\xc3\"", `"\/\b\f\u0000"`, `""`} {
		var want string
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatal(err)
		}
		if have, err := Text([]byte(raw)); err != nil || have != want {
			t.Errorf("%s: %q, %v; want %q", raw, have, err, want)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9"]}`, `[`, `"\ud800"`, `{"a":1,}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if want := json.Valid(doc); (Valid(doc) == nil) != want && bytes.Count(doc, []byte("["))+bytes.Count(doc, []byte("{")) <= MaxDepth {
			t.Errorf("Valid(%q) = %v, encoding/json says %v", doc, Valid(doc), want)
		}
	})
}

func FuzzSetAndGet(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2]}}`), "a.b[1]")
	f.Add([]byte(`{"a":`), "a.b")
	f.Add([]byte(`{"a" 1`), `"x.y"`)
	f.Fuzz(func(t *testing.T, doc []byte, in string) {
		p, err := ParsePath(in)
		if err != nil {
			return
		}
		Get(doc, p)
		out, err := Set(doc, p, []byte("7"))
		if err != nil || Valid(doc) != nil {
			return
		}
		if raw, ok := Get(out, p); !ok || string(raw) != "7" || Valid(out) != nil {
			t.Errorf("set %s in %s: %s", p, doc, out)
		}
		Delete(out, p)
		Move(out, p, Path{{Name: "to"}})
	})
}

func oneKB(t testing.TB) []byte {
	t.Helper()
	doc, err := os.ReadFile("testdata/1kb.json")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func BenchmarkValid1KB(b *testing.B) {
	doc := oneKB(b)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Valid(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead1KB(b *testing.B) {
	doc := oneKB(b)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	var o Object
	for b.Loop() {
		if err := o.Read(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet1KB(b *testing.B) {
	doc, p := oneKB(b), path(b, "user.address.city")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Get(doc, p); !ok {
			b.Fatal("missing")
		}
	}
}

func BenchmarkTwoPuts1KB(b *testing.B) {
	var o Object
	if err := o.Read(oneKB(b)); err != nil {
		b.Fatal(err)
	}
	e := Prepare(Edit{Op: Put, Path: path(b, "user.segment")}, Edit{Op: Put, Path: path(b, "total")})
	values := [][]byte{[]byte(`"gold"`), []byte("12.5")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Apply(nil, &o, values); err != nil {
			b.Fatal(err)
		}
	}
}
