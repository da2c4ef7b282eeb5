package tablejoin

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// task is a context with the stores of three tables: users, countries (of text) and prices, which has a history.
type task struct {
	processor.Context
	state *store.State
	out   []*record.Record
}

func (t *task) KeyValue(name string) store.KeyValue { return t.state.KeyValue(name) }
func (t *task) Versions(name string) store.Versions { return t.state.Versions(name) }
func (t *task) Emit(_ int, r *record.Record)        { t.out = append(t.out, r) }

func newTask(t *testing.T) *task {
	t.Helper()
	state, err := store.Open(store.Options{Specs: []store.Spec{{Name: "users"}, {Name: "countries"},
		{Name: "prices", Kind: store.KindVersioned, Retention: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	state.KeyValue("users").Put([]byte("u1"), store.Entry{Value: []byte(`{"name":"Ada","limit":1.10}`)})
	state.KeyValue("countries").Put([]byte("de"), store.Entry{Value: []byte("Germany")})
	for at, value := range map[int64]string{10: `{"price":10}`, 20: `{"price":20}`} {
		state.Versions("prices").Put([]byte("u1"), store.Entry{Value: []byte(value), Time: time.UnixMilli(at)})
	}
	return &task{state: state}
}

// configOf reads settings with the defaults that matter.
func configOf(t *testing.T, text string) *Config {
	t.Helper()
	c := &Config{Type: "inner", Format: "json"}
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func processorOf(t *testing.T, text string, on *task) processor.Processor {
	t.Helper()
	c := configOf(t, text)
	if problems := Definition().Check(c); problems != nil {
		t.Fatal(problems)
	}
	p, err := Definition().NewProcessor(c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Open(on); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResults(t *testing.T) {
	for _, c := range []struct{ name, config, key, value, want string }{
		{"the row under the table's name", `table: users`, "u1", `{"n":1}`, `{"n":1,"users":{"name":"Ada","limit":1.10}}`},
		{"the row under another name", `{table: users, as: a.b}`, "u1", `{}`, `{"a":{"b":{"name":"Ada","limit":1.10}}}`},
		{"fields of it", `{table: users, set: {name: table.name, left: table.limit - event.n}}`, "u1", `{"n":1}`, `{"n":1,"left":0.10000000000000009,"name":"Ada"}`},
		{"no row", `table: users`, "u2", `{}`, ""},
		{"no row in a left join", `{table: users, type: left}`, "u2", `{"n":1}`, `{"n":1,"users":null}`},
		{"another key", `{table: countries, key: event.country, format: text}`, "u1", `{"country":"de"}`, `{"country":"de","countries":"Germany"}`},
		{"no other key", `{table: countries, key: 'event.?country', format: text, type: left}`, "u1", `{}`, `{"countries":null}`},
		{"no other key, no result", `{table: countries, key: 'event.?country', format: text}`, "u1", `{}`, ""},
		{"as of the record", `{table: prices, asOf: time, set: {p: table.price}}`, "u1", `{}`, `{"p":10}`},
		{"the latest", `{table: prices, asOf: latest, set: {p: table.price}}`, "u1", `{}`, `{"p":20}`},
		{"as of a time of the event", `{table: prices, asOf: timestamp(event.at), set: {p: table.price}}`, "u1", `{"at":"1970-01-01T00:00:00.021Z"}`, `{"at":"1970-01-01T00:00:00.021Z","p":20}`},
		{"before the first", `{table: prices, asOf: 'time - duration("10ms")'}`, "u1", `{}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			on := newTask(t)
			p := processorOf(t, c.config, on)
			r := &record.Record{Key: []byte(c.key), Value: []byte(c.value), Format: record.JSON, Time: time.UnixMilli(15)}
			if err := p.Process(0, r); err != nil {
				t.Fatal(err)
			}
			have := ""
			for _, r := range on.out {
				have += string(r.Value)
				if r.Format != record.JSON || !r.Time.Equal(time.UnixMilli(15)) || string(r.Key) != c.key {
					t.Errorf("%+v", r)
				}
			}
			if have != c.want {
				t.Errorf("\nhave %s\nwant %s", have, c.want)
			}
		})
	}
}

func TestBadRecordsArePermanentErrorsWithTheirCause(t *testing.T) {
	for _, c := range []struct {
		name, config, value string
		format              record.Format
		want                string
	}{
		{"a field", `{table: users, set: {x: table.x}}`, `{}`, record.JSON, `set "x": evaluate "table.x": no such field "x"`},
		{"the key", `{table: users, key: event.x}`, `{}`, record.JSON, `make the key: evaluate "event.x": no such field "x"`},
		{"the time", `{table: prices, asOf: event.at}`, `{"at":"soon"}`, record.JSON, `make the time: evaluate "event.at": "soon" is not a time`},
		{"no time", `{table: prices, asOf: 'event.?at'}`, `{}`, record.JSON, `make the time: evaluate "event.?at": it gives none`},
		{"text", `table: users`, `hello`, record.Text, `join table "users": the value is text, want a JSON object`},
		{"a row of another format", `{table: countries, key: '"de"'}`, `{}`, record.JSON, `read table: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			on := newTask(t)
			p := processorOf(t, c.config, on)
			err := p.Process(0, &record.Record{Key: []byte("u1"), Value: []byte(c.value), Format: c.format})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || component.ClassOf(err) != component.Never || on.out != nil {
				t.Errorf("have %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestDropsAreCountedByTheTask(t *testing.T) {
	on := &counting{task: newTask(t)}
	c := configOf(t, `table: users`)
	p, err := Definition().NewProcessor(c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Open(on); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*record.Record{{Value: []byte(`{}`), Format: record.JSON}, {Key: []byte("u1"), Format: record.JSON}} {
		if err := p.Process(0, r); err != nil {
			t.Error(err)
		}
	}
	if counted := p.(join.Counted); counted.Dropped() != 2 || counted.Late() != 0 {
		t.Error(counted.Dropped(), counted.Late())
	}
	if len(on.dropped) != 2 || on.dropped[0] != string(join.NoKey) || on.dropped[1] != string(join.NoValue) {
		t.Error(on.dropped)
	}
}

type counting struct {
	*task
	dropped []string
}

func (c *counting) Dropped(reason string) { c.dropped = append(c.dropped, reason) }

func TestShape(t *testing.T) {
	for config, want := range map[string]component.Shape{
		`table: users`:                             {ReadKinds: []store.Kind{store.KindKeyValue}},
		`{table: users, key: event.id}`:            {ReadKinds: []store.Kind{store.KindKeyValue}, AnyKey: true},
		`{table: users, asOf: time}`:               {ReadKinds: []store.Kind{store.KindVersioned}},
		`{table: users, asOf: latest, type: left}`: {ReadKinds: []store.Kind{store.KindVersioned}},
	} {
		want.Reads = []string{"users"}
		if have := Definition().Shape(configOf(t, config)); !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %+v", config, have)
		}
	}
}

func TestCheckReportsEverythingWithItsPlace(t *testing.T) {
	c := configOf(t, `{key: evnt.x, asOf: event., as: a..b, set: {x: tble.y}}`)
	var have []string
	for _, p := range Definition().Check(c) {
		have = append(have, p.Path+" "+p.Code)
	}
	want := "table value-missing, key expression-invalid, asOf expression-invalid, asOf setting-conflict, as path-invalid, set.x expression-invalid"
	if got := strings.Join(have, ", "); got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	for _, config := range []string{`{table: t, key: evnt.x}`, `{table: t, asOf: event.}`, `{table: t, set: {x: tble.y}}`, `{table: t, format: tape}`} {
		if _, err := Definition().NewProcessor(configOf(t, config), component.Env{}); err == nil {
			t.Errorf("%s was opened", config)
		}
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct {
			Join Config `yaml:"table-join"`
		}
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Join); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
		if s := Definition().Shape(&node.Join); len(s.Reads) != 1 || s.Reads[0] != node.Join.Table {
			t.Errorf("%s: %+v", e.Title, s)
		}
	}
}
