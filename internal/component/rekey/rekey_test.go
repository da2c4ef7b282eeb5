package rekey

import (
	"context"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

func TestRekey(t *testing.T) {
	const value = `{"id": "u1", "n": 12345678901234567890123, "none": null, "list": [1]}`
	for _, c := range []struct {
		name, key string
		want      string
		absent    bool
		err       string
	}{
		{"text", "event.id", "u1", false, ""},
		{"a number as it is written", "event.n", "12345678901234567890123", false, ""},
		{"several fields", `event.id + "/" + key`, "u1/k", false, ""},
		{"empty text is a key", `""`, "", false, ""},
		{"null", "event.none", "", true, ""},
		{"nothing", "event.?x", "", true, ""},
		{"a missing field", "event.x", "", false, `set the key: evaluate "event.x": no such field "x"`},
		{"not text", "event.list", "", false, `set the key: evaluate "event.list": gives a list, want a text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Definition()
			config := &Config{Key: c.key}
			if problems := d.Check(config); problems != nil {
				t.Fatal(problems)
			}
			b, err := d.NewBolt(config, component.Env{})
			if err != nil {
				t.Fatal(err)
			}
			in := &record.Record{Key: []byte("k"), Value: []byte(value), Format: record.JSON, Old: []byte("{}")}
			var out []*record.Record
			err = b.Process(context.Background(), in, func(_ int, r *record.Record) { out = append(out, r) })
			if c.err != "" {
				if err == nil || err.Error() != c.err || component.ClassOf(err) != component.Never {
					t.Errorf("have %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || len(out) != 1 || string(out[0].Key) != c.want || (out[0].Key == nil) != c.absent || out[0].Old != nil || string(out[0].Value) != value {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config     Config
		code, path string
	}{
		"does not read":       {Config{Key: "event.a ="}, "expression-invalid", "key"},
		"no text":             {Config{Key: "[1]"}, "expression-invalid", "key"},
		"fewer than none":     {Config{Key: "key", Partitions: -1}, "value-invalid", "partitions"},
		"more than there are": {Config{Key: "key", Partitions: 10001}, "value-invalid", "partitions"},
	} {
		problems := Definition().Check(&c.config)
		if len(problems) == 0 || problems[0].Code != c.code || problems[0].Path != c.path {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

func TestItAsksForATopicBehindIt(t *testing.T) {
	shape := Definition().Shape(&Config{Key: "key", Partitions: 3})
	if !shape.Rekeys || shape.Repartition || shape.Keyed || shape.Partitions != 3 {
		t.Errorf("%+v", shape)
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Rekey Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Rekey); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}
