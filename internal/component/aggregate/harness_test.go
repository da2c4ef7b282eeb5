package aggregate

import (
	"log/slog"
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
	t     *testing.T
	state *store.State
	p     processor.Processor
	now   time.Time
	out   []output
}

type output struct {
	port int
	*record.Record
}

// configOf reads settings the way a topology has them: with the defaults that the manifest fills in.
func configOf(t testing.TB, text string) *Config {
	t.Helper()
	c := &Config{Results: "changes", Key: "group", Store: "memory"}
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func open1(t *testing.T, text string) *task {
	t.Helper()
	c := configOf(t, text)
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
	k := &task{t: t, state: state, p: p}
	if err := p.Open(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *task) try(r *record.Record) error {
	k.state.Mark()
	if r.Time.After(k.now) {
		k.now = r.Time
		k.state.Observe(k.now)
	}
	if err := k.p.Process(0, r); err != nil {
		k.state.Rollback()
		return err
	}
	return k.state.Err()
}

func (k *task) do(key, value string, ms int64) {
	k.t.Helper()
	if err := k.try(event(key, value, ms)); err != nil {
		k.t.Fatal(err)
	}
}

func event(key, value string, ms int64) *record.Record {
	return &record.Record{Key: []byte(key), Value: []byte(value), Format: record.JSON, Time: time.UnixMilli(ms)}
}

// last is the last value that came out.
func (k *task) last() string {
	if len(k.out) == 0 {
		return ""
	}
	return string(k.out[len(k.out)-1].Value)
}

func (k *task) Emit(port int, r *record.Record)     { k.out = append(k.out, output{port, r}) }
func (k *task) KeyValue(name string) store.KeyValue { return k.state.KeyValue(name) }
func (k *task) Windows(name string) store.Windows   { return k.state.Windows(name) }
func (k *task) Sessions(name string) store.Sessions { return k.state.Sessions(name) }
func (k *task) Versions(name string) store.Versions { return k.state.Versions(name) }
func (k *task) StreamTime() time.Time               { return k.now }
func (k *task) Now() time.Time                      { return k.now }
func (k *task) Topology() string                    { return "t" }
func (k *task) Bolt() string                        { return "b" }
func (k *task) Partition() int32                    { return 0 }
func (k *task) Log() *slog.Logger                   { return slog.New(slog.DiscardHandler) }
func (k *task) Schedule(processor.Clock, time.Duration, func(time.Time) error) func() {
	panic("not used")
}

// placed names stores as a plan does.
func placed(specs []store.Spec) []store.Spec {
	for i := range specs {
		specs[i].Name = strings.TrimSuffix("b-"+specs[i].Name, "-")
	}
	return specs
}
