package window

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/bolttest"
)

func open1(t *testing.T, settings string) *bolttest.Task {
	t.Helper()
	return bolttest.Open(t, Definition(), configOf(t, settings))
}

// configOf reads settings with the defaults that the manifest fills in.
func configOf(t *testing.T, settings string) *Config {
	t.Helper()
	c := &Config{Collect: "event", Key: "group", Store: "memory", MaxRecords: 1000, MaxBytes: 256 << 10}
	if err := yaml.Unmarshal([]byte(settings), c); err != nil {
		t.Fatal(err)
	}
	return c
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
				k.Do(in.key, in.value, in.at)
			}
			var out []string
			for _, o := range k.Out {
				out = append(out, o.String())
			}
			if have := strings.Join(out, "; "); have != c.want {
				t.Errorf("\nhave %s\nwant %s", have, c.want)
			}
		})
	}
}

func TestAnExpressionThatFailsIsAPermanentError(t *testing.T) {
	k := open1(t, `{window: {tumbling: 10ms}, collect: event.a}`)
	if err := k.Try(0, bolttest.Event("k", `{}`, 0)); err == nil || component.ClassOf(err) != component.Never {
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
		`{window: {tumbling: 1h}, retention: 1m}`:        "retention",
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
			k.Do("k", `{"page": "p"}`, int64(i)*7_200_000)
		}
		if len(k.Out) != 2 {
			t.Errorf("%s: %q", e.Title, k.Out)
		}
	}
}
