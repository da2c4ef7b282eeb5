package expr

import (
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"

	"ravenswood.dev/internal/record"
)

type oneVariable struct {
	name  string
	value ref.Val
}

func (v oneVariable) ResolveName(name string) (any, bool) { return v.value, name == v.name }
func (v oneVariable) Parent() cel.Activation              { return nil }

func TestValueOfOtherBytesReadsAsAnEventDoes(t *testing.T) {
	env, err := NewRecordEnvironment(cel.Variable("table", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, value string
		format     record.Format
		want       string
	}{
		{"table", ` {"price": 1.10, "n": 12345678901234567890123} `, record.JSON, `{"price": 1.10, "n": 12345678901234567890123}`},
		{"table.price", `{"price": 1.10}`, record.JSON, "1.10"},
		{"event.n + table.n", `{"n": 2}`, record.JSON, "3"},
		{`table.?x.orValue("none")`, `{}`, record.JSON, `"none"`},
		{"table", "[1.0]", record.JSON, "[1.0]"},
		{"table", "hello", record.Text, `"hello"`},
		{"table", "\x00\x01", record.Raw, `"AAE="`},
		{"table == null", "-", record.JSON, "true"},
		{"table", "", record.JSON, "error"},
	} {
		p, problems := env.Compile(c.src, Any)
		if problems != nil {
			t.Fatal(problems)
		}
		var in Input
		in.Reset(&record.Record{Value: []byte(`{"n":1}`), Format: record.JSON})
		value := []byte(c.value)
		if c.value == "-" {
			value = nil
		}
		in.Use(oneVariable{"table", in.Value(value, c.format)})
		have, _, err := p.AppendJSON(nil, &in)
		if err != nil {
			have = []byte("error")
		}
		if string(have) != c.want {
			t.Errorf("%s of %s: have %s (%v), want %s", c.src, c.value, have, err, c.want)
		}
	}
}
