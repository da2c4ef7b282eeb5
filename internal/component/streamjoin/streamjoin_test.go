package streamjoin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/bolttest"
	"ravenswood.dev/internal/record"
)

func configOf(t *testing.T, text string) *Config {
	t.Helper()
	c := new(Config)
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func open2(t *testing.T, text string) *bolttest.Task {
	t.Helper()
	return bolttest.Open(t, Definition(), configOf(t, text))
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
			on := open2(t, c.config)
			for _, a := range story {
				if err := on.Try(a.side, bolttest.Event("k", a.value, a.at)); err != nil {
					t.Fatal(err)
				}
			}
			var out []string
			for _, o := range on.Out {
				out = append(out, fmt.Sprintf("%s @%d", o, o.Time.UnixMilli()))
			}
			slices.Sort(out)
			slices.Sort(c.want)
			if !slices.Equal(out, c.want) {
				t.Errorf("\nhave %q\nwant %q", out, c.want)
			}
		})
	}
}

func TestBadRecordsArePermanentErrors(t *testing.T) {
	on := open2(t, `{within: 10ms, set: {x: left.a + right.a}}`)
	if err := on.Try(0, bolttest.Event("k", `{}`, 10)); err != nil {
		t.Fatal(err)
	}
	if err := on.Try(1, bolttest.Event("k", `{"a":1}`, 10)); err == nil || component.ClassOf(err) != component.Never || !strings.HasPrefix(err.Error(), `set "x": `) {
		t.Error(err)
	}
	err := on.Try(0, &record.Record{Key: []byte("k"), Value: []byte("hello"), Format: record.Text})
	if err == nil || component.ClassOf(err) != component.Never {
		t.Error(err)
	}
	if on.Out != nil {
		t.Error(on.Out)
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
