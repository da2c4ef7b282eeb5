package deduplicate

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/bolttest"
	"ravenswood.dev/internal/engine/aggregate"
)

func TestTheFirstOfEqualRecordsGoesThrough(t *testing.T) {
	type in struct {
		key, value string
		at         time.Duration
	}
	const s = time.Second
	for _, c := range []struct {
		name   string
		config Config
		in     []in
		want   string
	}{
		{"by id", Config{ID: "event.id", Within: api.Duration(10 * s)}, []in{{"k", `{"id":1}`, 0}, {"k", `{"id":1,"x":2}`, 10 * s}, {"k", `{"id":2}`, 10 * s}}, `{"id":1} {"id":2}`},
		{"again after the time", Config{ID: "event.id", Within: api.Duration(10 * s)}, []in{{"k", `{"id":1}`, 0}, {"k", `{"id":1}`, 10*s + time.Millisecond}}, `{"id":1} {"id":1}`},
		{"before the first in time", Config{ID: "event.id", Within: api.Duration(10 * s)}, []in{{"k", `{"id":1}`, 10 * s}, {"k", `{"id":1}`, 0}}, `{"id":1}`},
		{"other keys are other records", Config{ID: "event.id", Within: api.Duration(10 * s)}, []in{{"k", `{"id":1}`, 0}, {"l", `{"id":1}`, 0}}, `{"id":1} {"id":1}`},
		{"without an id", Config{ID: "event.?id", Within: api.Duration(10 * s)}, []in{{"k", `{}`, 0}, {"k", `{}`, 0}, {"k", `{"id":null}`, 0}}, `{} {} {"id":null}`},
		{"whole values", Config{Within: api.Duration(10 * s)}, []in{{"k", `{"id":1}`, 0}, {"k", `{"id": 1}`, 0}, {"k", `{"id":1}`, 0}, {"k", ``, 0}, {"k", ``, 0}}, `{"id":1} {"id": 1} `},
		{"too late", Config{ID: "event.id", Within: api.Duration(10 * s), Grace: api.Duration(s)}, []in{{"k", `{"id":1}`, 60 * s}, {"k", `{"id":2}`, 59 * s}, {"k", `{"id":3}`, 59*s - time.Millisecond}}, `{"id":1} {"id":2} late`},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := bolttest.Open(t, Definition(), &c.config)
			for _, in := range c.in {
				k.Do(in.key, in.value, in.at.Milliseconds())
			}
			var out []string
			for _, o := range k.Out {
				if o.Port == aggregate.PortLate {
					o.Value = []byte("late")
				}
				out = append(out, string(o.Value))
			}
			if have := strings.Join(out, " "); have != c.want {
				t.Errorf("have %s, want %s", have, c.want)
			}
			if gone := len(c.in) - len(out); k.Drops["duplicate"] != gone || k.Counted() != uint64(gone) {
				t.Errorf("%v were told and %d counted, want %d", k.Drops, k.Counted(), gone)
			}
		})
	}
}

func TestAnIDThatFailsIsAPermanentError(t *testing.T) {
	k := bolttest.Open(t, Definition(), &Config{ID: "event.id", Within: api.Duration(time.Second)})
	err := k.Try(0, bolttest.Event("k", `{}`, 0))
	if err == nil || component.ClassOf(err) != component.Never || !strings.HasPrefix(err.Error(), "evaluate id: ") {
		t.Errorf("have %v", err)
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"nothing":          {Config{}, "within"},
		"expression":       {Config{ID: "evnt", Within: api.Duration(time.Second)}, "id"},
		"too long":         {Config{Within: api.Duration(1000 * 24 * time.Hour)}, "within"},
		"negative grace":   {Config{Within: api.Duration(time.Second), Grace: -1}, "grace"},
		"less than a tick": {Config{Within: 1}, "within"},
	} {
		problems := Definition().Check(&c.config)
		if len(problems) != 1 || problems[0].Path != c.want {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

func TestExamplesRun(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Deduplicate Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Fatalf("%s: %v", e.Title, err)
		}
		k := bolttest.Open(t, Definition(), &node.Deduplicate)
		for range 3 {
			k.Do("k", `{"orderId": "o", "order": "o", "line": 1}`, 0)
		}
		if len(k.Out) != 1 {
			t.Errorf("%s: %d records of 3 equal ones went through", e.Title, len(k.Out))
		}
	}
}
