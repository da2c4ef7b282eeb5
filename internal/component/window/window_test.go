package window

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// task runs one bolt as a task does.
type task struct {
	processor.Context
	state *store.State
	p     processor.Processor
	now   time.Time
	out   []string
}

// open1 opens a bolt with the defaults that the manifest fills in.
func open1(t *testing.T, settings string) *task {
	t.Helper()
	c := configOf(t, settings)
	d := Definition()
	if problems := d.Check(c); problems != nil {
		t.Fatal(problems)
	}
	state, err := store.Open(store.Options{Specs: placed(d.Shape(c).Stores)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.NewProcessor(c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	k := &task{state: state, p: p}
	if err := p.Open(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func configOf(t *testing.T, settings string) *Config {
	t.Helper()
	c := &Config{Collect: "event", Key: "group", Store: "memory", MaxRecords: 1000, MaxBytes: 256 << 10}
	if err := yaml.Unmarshal([]byte(settings), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (k *task) Emit(port int, r *record.Record) {
	k.out = append(k.out, fmt.Sprintf("%d %s %s", port, r.Key, r.Value))
}
func (k *task) KeyValue(name string) store.KeyValue { return k.state.KeyValue(name) }
func (k *task) Windows(name string) store.Windows   { return k.state.Windows(name) }
func (k *task) Sessions(name string) store.Sessions { return k.state.Sessions(name) }
func (k *task) Bolt() string                        { return "b" }
func (k *task) StreamTime() time.Time               { return k.now }

func (k *task) do(key, value string, ms int64) error {
	r := &record.Record{Key: []byte(key), Value: []byte(value), Format: record.JSON, Time: time.UnixMilli(ms)}
	if r.Time.After(k.now) {
		k.now = r.Time
		k.state.Observe(k.now)
	}
	return k.p.Process(0, r)
}

func TestTheRecordsOfAWindowComeTogetherWhenItCloses(t *testing.T) {
	type in struct {
		key, value string
		at         int64
	}
	for _, c := range []struct {
		name, settings string
		in             []in
		want           string
	}{
		{"tumbling", `window: {tumbling: 10ms}`, []in{{"k", `{"a": 1.10}`, 1}, {"l", `2`, 2}, {"k", `3`, 9}, {"k", `4`, 10}}, `0 k {"count":2,"records":[{"a": 1.10},3]}; 0 l {"count":1,"records":[2]}`},
		{"an expression", `{window: {tumbling: 10ms}, collect: "event.?a"}`, []in{{"k", `{"a":1}`, 1}, {"k", `{}`, 2}, {"k", `{}`, 10}}, `0 k {"count":2,"records":[1]}`},
		{"full of records", `{window: {tumbling: 10ms}, maxRecords: 1}`, []in{{"k", `1`, 1}, {"k", `2`, 2}, {"k", `3`, 10}}, `0 k {"count":2,"records":[1]}`},
		{"full of bytes", `{window: {tumbling: 10ms}, maxBytes: 10}`, []in{{"k", `1234`, 1}, {"k", `5678`, 2}, {"k", `9`, 3}, {"k", `3`, 10}}, `0 k {"count":3,"records":[1234,9]}`},
		{"sessions that become one", `window: {session: 10ms, grace: 1ms}`, []in{{"k", `1`, 0}, {"k", `2`, 11}, {"k", `3`, 5}, {"k", `4`, 50}}, `0 k {"count":3,"records":[1,2,3]}`},
		{"late", `window: {tumbling: 10ms}`, []in{{"k", `1`, 10}, {"k", `2`, 9}}, `1 k 2`},
		{"windowed key", `{window: {tumbling: 10ms}, key: windowed}`, []in{{"k", `1`, 0}, {"k", `2`, 10}}, `0 k@0/10 {"count":1,"records":[1]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := open1(t, c.settings)
			for _, in := range c.in {
				if err := k.do(in.key, in.value, in.at); err != nil {
					t.Fatal(err)
				}
			}
			if have := strings.Join(k.out, "; "); have != c.want {
				t.Errorf("\nhave %s\nwant %s", have, c.want)
			}
		})
	}
}

func TestAnExpressionThatFailsIsAPermanentError(t *testing.T) {
	k := open1(t, `{window: {tumbling: 10ms}, collect: event.a}`)
	if err := k.do("k", `{}`, 0); err == nil || component.ClassOf(err) != component.Never {
		t.Errorf("have %v", err)
	}
}

func TestCheck(t *testing.T) {
	for settings, want := range map[string]string{
		`{}`:                                    "window",
		`{window: {tumbling: 1h, sliding: 1h}}`: "window",
		`{window: {tumbling: 1h}, collect: evnt}`:        "collect",
		`{window: {tumbling: 1h}, maxRecords: 0}`:        "maxRecords",
		`{window: {tumbling: 1h}, maxBytes: 1000000000}`: "maxBytes",
		`{window: {tumbling: 1h}, retention: 1m}`:        "",
	} {
		problems := Definition().Check(configOf(t, settings))
		if len(problems) != 1 || problems[0].Path != want {
			t.Errorf("%s: %+v", settings, problems)
		}
	}
}

func TestExamplesRun(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Window yaml.Node }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Fatalf("%s: %v", e.Title, err)
		}
		text, err := yaml.Marshal(&node.Window)
		if err != nil {
			t.Fatal(err)
		}
		k := open1(t, string(text))
		for i := range 3 {
			if err := k.do("k", `{"page": "p"}`, int64(i)*7_200_000); err != nil {
				t.Errorf("%s: %v", e.Title, err)
			}
		}
		if len(k.out) != 2 {
			t.Errorf("%s: %q", e.Title, k.out)
		}
	}
}

// placed names stores as a plan does.
func placed(specs []store.Spec) []store.Spec {
	for i := range specs {
		specs[i].Name = strings.TrimSuffix("b-"+specs[i].Name, "-")
	}
	return specs
}
