package enrich

import (
	"strings"
	"testing"

	"ravenswood.dev/internal/record"
)

func TestMaker(t *testing.T) {
	for _, c := range []struct {
		name, as         string
		set              Fields
		event, row, want string
		format           record.Format
	}{
		{format: record.JSON, name: "a whole row, byte for byte", as: "user", event: `{"n": 1.10}`, row: ` {"price":1.10 , "z":1e5} `, want: `{"n": 1.10,"user":{"price":1.10 , "z":1e5}}`},
		{format: record.JSON, name: "a field of each", set: Fields{"total": "event.n * table.n", "copy": "table.price"}, event: `{"n":3}`, row: `{"n":4,"price":1.10}`, want: `{"n":3,"copy":1.10,"total":12}`},
		{format: record.JSON, name: "both", as: "a.row", set: Fields{"a.n": "table.n"}, event: `{}`, row: `{"n":1}`, want: `{"a":{"row":{"n":1},"n":1}}`},
		{format: record.JSON, name: "no row", as: "user", event: `{}`, row: "-", want: `{"user":null}`},
		{format: record.JSON, name: "no row, asked", set: Fields{"name": "table.?name", "known": "table != null"}, event: `{"name":"x"}`, row: "-", want: `{"name":"x","known":false}`},
		{format: record.JSON, name: "no row, with a default", set: Fields{"name": `table.?name.orValue("none")`}, event: `{}`, row: "-", want: `{"name":"none"}`},
		{name: "a text", as: "t", event: `{}`, row: "hello", format: record.Text, want: `{"t":"hello"}`},
		{name: "bytes", as: "t", event: `{}`, row: "\x00\x01", want: `{"t":"AAE="}`, format: record.Raw},
		{format: record.JSON, name: "a list", as: "t", event: `{}`, row: "[1.0]", want: `{"t":[1.0]}`},
		{format: record.JSON, name: "what the record is", set: Fields{"k": "key", "s": "headers.s"}, event: `{}`, row: "1", want: `{"k":"K","s":"web"}`},
		{format: record.JSON, name: "a row that is not JSON", as: "t", event: `{}`, row: "{\"a\":", want: "error: read table: "},
		{format: record.JSON, name: "a missing field", set: Fields{"x": "table.x"}, event: `{}`, row: "{}", want: `error: set "x": evaluate "table.x": `},
		{format: record.JSON, name: "an event that is a list", as: "t", event: `[]`, row: "{}", want: `error: set fields: want an object, have a list`},
	} {
		t.Run(c.name, func(t *testing.T) {
			language, row := OverRecord("table"), []byte(c.row)
			if c.row == "-" {
				row = nil
			}
			if problems := Check(language, c.as, c.set); problems != nil {
				t.Fatal(problems)
			}
			m, err := New(language, c.as, "table", c.set)
			if err != nil {
				t.Fatal(err)
			}
			m.Input().Reset(&record.Record{Key: []byte("K"), Value: []byte(c.event), Format: record.JSON, Headers: []record.Header{{Key: "s", Value: []byte("web")}}})
			have, err := m.Make([]byte(c.event), Variable{row, c.format})
			if err != nil {
				have = []byte("error: " + err.Error())
			}
			if string(have) != c.want && (err == nil || !strings.HasPrefix(string(have), c.want)) {
				t.Errorf("\nhave %s\nwant %s", have, c.want)
			}
		})
	}
}

func TestMakerWithoutARecord(t *testing.T) {
	m, err := New(Over("left", "right"), "", "right", Fields{"sum": "left.n + right.n", "none": "left.?x"})
	if err != nil {
		t.Fatal(err)
	}
	left := []byte(`{"n":1}`)
	for range 2 { // scratch space is used again
		have, err := m.Make(left, Variable{left, record.JSON}, Variable{[]byte(`{"n":2}`), record.JSON})
		if err != nil || string(have) != `{"n":1,"sum":3}` {
			t.Errorf("%s: %v", have, err)
		}
	}
}

func TestCheckPointsIntoTheSettings(t *testing.T) {
	var have []string
	for _, p := range Check(Over("left"), "a..b", Fields{"x": "lft.a", "y..z": "left", "w": "event"}) {
		have = append(have, p.Path+" "+p.Code)
	}
	if got, want := strings.Join(have, ", "), "as path-invalid, set.w expression-invalid, set.x expression-invalid, set.y..z path-invalid"; got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	if _, err := New(Over("left"), "", "left", Fields{"x": "lft"}); err == nil {
		t.Error("what does not compile was opened")
	}
}
