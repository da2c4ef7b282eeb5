package deduplicate

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
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

func open1(t *testing.T, c *Config) *task {
	t.Helper()
	d := Definition()
	if problems := d.Check(c); problems != nil {
		t.Fatal(problems)
	}
	state, err := store.Open(store.Options{Specs: placed(d.Shape(c).Stores)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.NewProcessor(c, component.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	k := &task{state: state, p: p}
	if err := p.Open(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *task) Emit(port int, r *record.Record) {
	if port == 1 {
		k.out = append(k.out, "late")
		return
	}
	k.out = append(k.out, string(r.Value))
}
func (k *task) Windows(name string) store.Windows { return k.state.Windows(name) }
func (k *task) Bolt() string                      { return "b" }
func (k *task) StreamTime() time.Time             { return k.now }

func (k *task) do(key, value string, at time.Duration) error {
	r := &record.Record{Key: []byte(key), Format: record.JSON, Time: time.UnixMilli(0).Add(at)}
	if value != "" {
		r.Value = []byte(value)
	}
	if r.Time.After(k.now) {
		k.now = r.Time
		k.state.Observe(k.now)
	}
	return k.p.Process(0, r)
}

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
			k := open1(t, &c.config)
			for _, in := range c.in {
				if err := k.do(in.key, in.value, in.at); err != nil {
					t.Fatal(err)
				}
			}
			if have := strings.Join(k.out, " "); have != c.want {
				t.Errorf("have %s, want %s", have, c.want)
			}
		})
	}
}

func TestAnIDThatFailsIsAPermanentError(t *testing.T) {
	k := open1(t, &Config{ID: "event.id", Within: api.Duration(time.Second)})
	err := k.do("k", `{}`, 0)
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
		k := open1(t, &node.Deduplicate)
		for range 3 {
			if err := k.do("k", `{"orderId": "o", "order": "o", "line": 1}`, 0); err != nil {
				t.Errorf("%s: %v", e.Title, err)
			}
		}
		if len(k.out) != 1 {
			t.Errorf("%s: %d records of 3 equal ones went through", e.Title, len(k.out))
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
