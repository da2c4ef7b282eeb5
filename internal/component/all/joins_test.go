package all_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

const shop = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: shop}
spec:
  tables:
    users: {topic: {name: users}}
    prices: {topic: {name: prices}, history: 1d}
    countries: {topic: {name: countries, format: text}, global: true}
  spouts:
    orders: {topic: {name: orders}}
    payments: {topic: {name: payments}}
  bolts:
    user: {from: orders, table-join: {table: users, type: left, as: user}}
    country: {from: user, table-join: {table: countries, key: 'event.?user.country', format: text, type: left, set: {country: table}}}
    priced: {from: country, table-join: {table: prices, asOf: time, set: {total: event.n * table.price}}}
    paid: {from: [priced, payments], stream-join: {within: 10s, type: left, set: {paid: 'right.?amount'}}}
  sinks:
    out: {from: paid, topic: {name: results}}
    rest: {from: paid.late, topic: {name: late}}
`

// task is one task of a plan that has one stage, and the global tables.
type task struct {
	plan    *topology.Plan
	late    *stage.Task
	globals *store.State
}

func newTask(t *testing.T, text string) *task {
	t.Helper()
	set, problems := manifest.Parse("shop.yaml", ".", []byte(strings.TrimSpace(text)), all.Components())
	plans, more := topology.Build(set, all.Components())
	for _, p := range append(problems, more...) {
		if p.Severity == "error" {
			t.Fatal(p)
		}
	}
	tk := &task{plan: plans[0]}
	var specs, globals []store.Spec
	for _, s := range tk.plan.Stages[0].Stores {
		specs = append(specs, s.Spec)
	}
	for _, g := range tk.plan.Globals {
		globals = append(globals, g.Store)
	}
	state := must(store.Open(store.Options{Specs: specs}))
	tk.globals = must(store.Open(store.Options{Specs: globals}))
	tk.late = must(stage.New(stage.Config{
		Plan: tk.plan, State: state, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Env: func(bolt string) component.Env { return component.Env{Name: bolt} },
		Global: func(name string) store.KeyValue {
			if slices.ContainsFunc(globals, func(s store.Spec) bool { return s.Name == name }) {
				return tk.globals.KeyValue(name)
			}
			return nil
		},
	}))
	return tk
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// arrive takes a record of a topic through the task, "sink: value" for each that comes out.
func (tk *task) arrive(t *testing.T, topic, key, value string, seconds int64) (out []string) {
	t.Helper()
	r := &record.Record{Key: []byte(key), Value: []byte(value), Format: record.JSON, Time: time.Unix(seconds, 0)}
	for _, g := range tk.plan.Globals {
		if g.Topic == topic {
			join.UpdateGlobal(tk.globals.KeyValue(g.Store.Name), r)
			return nil
		}
	}
	var work []stage.Work
	for _, in := range tk.plan.Inputs {
		if in.Topic == topic {
			for _, to := range in.Next {
				work = append(work, stage.Work{Target: to, Record: r.Clone()})
			}
		}
	}
	if len(work) == 0 {
		t.Fatalf("nobody reads %s", topic)
	}
	done, err := tk.late.Process(context.Background(), work)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range done {
		out = append(out, tk.plan.Sinks[o.Sink].Topic+": "+string(o.Record.Value))
	}
	return out
}

// TestJoinsOfFilesInATask takes the joins from a file through the planner into a task.
func TestJoinsOfFilesInATask(t *testing.T) {
	tk := newTask(t, shop)
	for _, s := range []struct {
		topic, key, value string
		at                int64
		want              string
	}{
		{"countries", "de", "Germany", 1, ""},
		{"users", "u1", `{"country":"de","vat":0.190}`, 1, ""},
		{"prices", "u1", `{"price":10}`, 1, ""},
		{"prices", "u1", `{"price":20}`, 100, ""},
		{"orders", "u1", `{"n":2}`, 101, ""},
		{"payments", "u1", `{"amount":40.0}`, 105, `results: {"n":2,"user":{"country":"de","vat":0.190},"country":"Germany","total":40,"paid":40.0}`},
		{"orders", "u1", `{"n":3}`, 94, `late: {"n":3,"user":{"country":"de","vat":0.190},"country":"Germany","total":30}`}, // by the price of its time
		{"orders", "u2", `{"n":1}`, 106, ""}, // has no price
		{"prices", "u2", `{"price":7}`, 107, ""},
		{"orders", "u2", `{"n":1}`, 116, ""},
		{"users", "u3", `{}`, 127, `results: {"n":1,"user":null,"country":null,"total":7}`},
	} {
		have := strings.Join(tk.arrive(t, s.topic, s.key, s.value, s.at), "\n")
		if have != s.want {
			t.Errorf("%s %s @%d:\nhave %s\nwant %s", s.topic, s.value, s.at, have, s.want)
		}
	}
}
