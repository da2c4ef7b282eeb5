package document

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
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
