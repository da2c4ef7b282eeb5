package streamjoin

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// task is a context by itself, for a bolt called pay.
type task struct {
	processor.Context
	state *store.State
	now   time.Time
	due   func(time.Time) error
	out   []string
}

func (t *task) Bolt() string                        { return "pay" }
func (t *task) KeyValue(name string) store.KeyValue { return t.state.KeyValue(name) }
func (t *task) Windows(name string) store.Windows   { return t.state.Windows(name) }
func (t *task) StreamTime() time.Time               { return t.now }
func (t *task) Log() *slog.Logger                   { return slog.New(slog.DiscardHandler) }
func (t *task) Emit(port int, r *record.Record) {
	t.out = append(t.out, fmt.Sprintf("%d %s %s @%d", port, r.Key, r.Value, r.Time.UnixMilli()))
}
func (t *task) Schedule(clock processor.Clock, _ time.Duration, f func(time.Time) error) func() {
	if clock == processor.StreamTime {
		t.due = f
	}
	return func() {}
}

func configOf(t *testing.T, text string) *Config {
	t.Helper()
	c := new(Config)
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func open2(t *testing.T, text string) (*task, processor.Processor) {
	t.Helper()
	c := configOf(t, text)
	if problems := Definition().Check(c); problems != nil {
		t.Fatal(problems)
	}
	specs := slices.Clone(Definition().Shape(c).Stores)
	for i := range specs {
		specs[i].Name = "pay-" + specs[i].Name
	}
	state, err := store.Open(store.Options{Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Definition().NewProcessor(c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	on := &task{state: state}
	if err := p.Open(on); err != nil {
		t.Fatal(err)
	}
	return on, p
}

func (t *task) arrive(p processor.Processor, side int, value string, at int64) error {
	if now := time.UnixMilli(at); now.After(t.now) {
		t.now = now
		t.state.Observe(now)
	}
	r := &record.Record{Key: []byte("k"), Value: []byte(value), Format: record.JSON, Time: time.UnixMilli(at)}
	if err := p.Process(side, r); err != nil || t.due == nil {
		return err
	}
	return t.due(t.now)
}

func TestResults(t *testing.T) {
	type arrival struct {
		side  int
		value string
		at    int64
	}
	story := []arrival{{0, `{"o":1}`, 10}, {1, `{"p":1.10}`, 15}, {0, `{"o":2}`, 100}, {1, `{"p":2}`, 300}, {1, `{"p":3}`, 200}, {0, `{"o":3}`, 1000}}
	for _, c := range []struct {
		name, config string
		want         []string
	}{
		{"inner", `{within: 10ms, as: payment}`, []string{`0 k {"o":1,"payment":{"p":1.10}} @15`, `1 k {"p":3} @200`}},
		{"left", `{within: 10ms, type: left, store: memory, set: {paid: 'right.?p', key: key}}`,
			[]string{`0 k {"o":1,"key":"k","paid":1.10} @15`, `0 k {"o":2,"key":"k"} @100`, `1 k {"p":3} @200`}},
		{"outer", `{within: 10ms, type: outer, as: payment}`,
			[]string{`0 k {"o":1,"payment":{"p":1.10}} @15`, `0 k {"o":2,"payment":null} @100`, `1 k {"p":3} @200`, `0 k {"payment":{"p":2}} @300`}},
		{"asymmetric", `{after: 10ms, grace: 200ms, type: outer, set: {both: left != null && right != null}}`,
			[]string{`0 k {"o":1,"both":true} @15`, `0 k {"both":false} @200`, `0 k {"o":2,"both":false} @100`, `0 k {"both":false} @300`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			on, p := open2(t, c.config)
			for _, a := range story {
				if err := on.arrive(p, a.side, a.value, a.at); err != nil {
					t.Fatal(err)
				}
			}
			slices.Sort(on.out)
			slices.Sort(c.want)
			if !slices.Equal(on.out, c.want) {
				t.Errorf("\nhave %q\nwant %q", on.out, c.want)
			}
		})
	}
}

func TestBadRecordsArePermanentErrors(t *testing.T) {
	on, p := open2(t, `{within: 10ms, set: {x: left.a + right.a}}`)
	if err := on.arrive(p, 0, `{}`, 10); err != nil {
		t.Fatal(err)
	}
	if err := on.arrive(p, 1, `{"a":1}`, 10); err == nil || component.ClassOf(err) != component.Never || !strings.HasPrefix(err.Error(), `set "x": `) {
		t.Error(err)
	}
	err := p.Process(0, &record.Record{Key: []byte("k"), Value: []byte("hello"), Format: record.Text})
	if err == nil || component.ClassOf(err) != component.Never {
		t.Error(err)
	}
	if on.out != nil {
		t.Error(on.out)
	}
}

func TestShape(t *testing.T) {
	s := Definition().Shape(configOf(t, `{within: 1s, grace: 1s, type: left, as: x, store: memory}`))
	if !s.Keyed || !slices.Equal(s.Inputs, []string{"left", "right"}) || len(s.Stores) != 3 || !s.Stores[2].Memory || s.Stores[0].Retention <= 2*time.Second {
		t.Errorf("%+v", s)
	}
}

func TestCheck(t *testing.T) {
	for config, want := range map[string]string{
		`{as: x}`:                             " setting-missing",
		`{within: 1s}`:                        " setting-missing",
		`{within: 1s, before: 1s, as: x}`:     "within setting-conflict",
		`{after: 5000d, as: x}`:               "after value-invalid",
		`{within: 1s, set: {x: event.a}}`:     "set.x expression-invalid",
		`{within: 1s, as: a..b}`:              "as path-invalid",
		`{within: 1s, grace: 4000d, as: a.b}`: "grace value-invalid",
	} {
		var have []string
		for _, p := range Definition().Check(configOf(t, config)) {
			have = append(have, p.Path+" "+p.Code)
		}
		if got := strings.Join(have, ", "); got != want {
			t.Errorf("%s: have %q, want %q", config, got, want)
		}
	}
	if _, err := Definition().NewProcessor(configOf(t, `{within: 1s, set: {x: event.a}}`), component.Env{}); err == nil {
		t.Error("what does not compile was opened")
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct {
			Join Config `yaml:"stream-join"`
		}
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Join); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}
