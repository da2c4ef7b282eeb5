package filter

import (
	"context"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

func TestFilter(t *testing.T) {
	const value = `{"type": "edit", "n": 12345678901234567890123, "bot": true}`
	for _, c := range []struct {
		name   string
		config Config
		passes bool
		err    string
	}{
		{"keep what is true", Config{Keep: `event.type == "edit"`}, true, ""},
		{"keep not what is false", Config{Keep: `event.type == "new"`}, false, ""},
		{"drop what is true", Config{Drop: `event.bot`}, false, ""},
		{"drop not what is false", Config{Drop: `!event.bot`}, true, ""},
		{"a missing field that is asked for", Config{Keep: `has(event.x)`}, false, ""},
		{"by key, header and origin", Config{Keep: `key == "k" && headers.h == "v" && topic == "t" && partition == 1 && offset == 2`}, true, ""},
		{"a missing field", Config{Keep: `event.x == 1`}, false, `evaluate "event.x == 1": no such field "x"`},
		{"not a boolean", Config{Drop: `event.type`}, false, `evaluate "event.type": gives a string, want a boolean`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Definition()
			if problems := d.Check(&c.config); problems != nil {
				t.Fatal(problems)
			}
			b, err := d.NewBolt(&c.config, component.Env{})
			if err != nil {
				t.Fatal(err)
			}
			in := &record.Record{Key: []byte("k"), Value: []byte(value), Format: record.JSON, Headers: []record.Header{{Key: "h", Value: []byte("v")}},
				Origin: record.Origin{Topic: "t", Partition: 1, Offset: 2}}
			var out []*record.Record
			err = b.Process(context.Background(), in, func(_ int, r *record.Record) { out = append(out, r) })
			if c.err != "" {
				if err == nil || err.Error() != c.err || component.ClassOf(err) != component.Never {
					t.Errorf("have %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || (len(out) == 1) != c.passes || c.passes && (out[0] != in || string(in.Value) != value) {
				t.Errorf("passed %v, %v", out, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		code   string
		path   string
	}{
		"neither":       {Config{}, "setting-missing", ""},
		"both":          {Config{Keep: "true", Drop: "true"}, "setting-conflict", "drop"},
		"does not read": {Config{Keep: "event.a ="}, "expression-invalid", "keep"},
		"no boolean":    {Config{Drop: `"a"`}, "expression-invalid", "drop"},
	} {
		problems := Definition().Check(&c.config)
		if len(problems) == 0 || problems[0].Code != c.code || problems[0].Path != c.path {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Filter Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Filter); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}
