package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

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
