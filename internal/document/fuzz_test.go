package document

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

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
