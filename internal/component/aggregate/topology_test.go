package aggregate_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

const sales = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: sales}
spec:
  spouts:
    orders: {topic: {name: orders}}
  bolts:
    once: {from: orders, deduplicate: {id: event.id, within: 1h}}
    totals: {from: once, aggregate: {compute: {orders: count, revenue: {sum: event.total}}}}
    hourly: {from: once, aggregate: {window: {tumbling: 1h, grace: 5m}, results: final, key: windowed, compute: {average: {average: event.total}}}}
    visits: {from: once, window: {window: {session: 30m}, collect: event.id}}
  sinks:
    totals-out: {from: totals, topic: {name: totals}}
    hourly-out: {from: hourly, topic: {name: hourly}}
    visits-out: {from: visits, topic: {name: visits}}
    late-out: {from: [once.late, hourly.late, visits.late], topic: {name: late}}
`

// TestWhatOfSettingsIsKept: a new version goes on with the stores unless they would hold something else from then on.
func TestWhatOfSettingsIsKept(t *testing.T) {
	const after = "    by-key: {from: hourly, aggregate: {compute: {n: count}}}\n    ids: {from: once, aggregate: {compute: {ids: {collect: event.total, limit: 9}}}}\n    visits:"
	sales := strings.Replace(sales, "    visits:", after, 1)
	old := planOf(t, sales).Kept(nil)
	for _, c := range []struct{ name, from, to, store, want string }{
		{"another function", "{sum: event.total}", "{max: event.total}", "totals", "compute.revenue.max is event.total now; compute.revenue.sum was event.total"},
		{"another expression", "{sum: event.total}", "{sum: event.paid}", "totals", "compute.revenue.sum was event.total, is event.paid"},
		{"a condition", "orders: count", "orders: {count: true, when: event.paid}", "totals", "compute.orders.when is event.paid now"},
		{"a further field", "orders: count", "orders: count, items: {sum: event.items}", "totals", "compute.items.sum is event.items now"},
		{"the same, written out", "orders: count", "orders: {count: true}", "totals", ""},
		{"a bound", "limit: 9", "limit: 9, maxBytes: 1MB", "ids", ""},
		{"how long it is kept", "{compute: {orders", "{retention: 9d, store: memory, compute: {orders", "totals", ""},
		{"longer windows", "tumbling: 1h", "tumbling: 2h", "hourly", "window was 1h0m0s, is 2h0m0s; window.tumbling was 1h0m0s, is 2h0m0s"},
		{"moved windows", "tumbling: 1h", "tumbling: 1h, offset: 5m", "hourly", "window.offset is 5m0s now"},
		{"grace", "grace: 5m", "grace: 9m", "hourly", ""},
		{"grace, for who follows", "grace: 5m", "grace: 9m", "by-key", ""},
		{"the key of results", "key: windowed", "key: group", "hourly", ""},
		{"the key of results, for who follows", "key: windowed, ", "", "by-key",
			"key was hourly aggregate{compute.average.average: event.total, key: windowed, results: final, window.tumbling: 1h0m0s}, is hourly aggregate{compute.average.average: event.total, results: final, window.tumbling: 1h0m0s}"},
		{"when results go on", "results: final", "results: changes", "hourly", "results was final"},
		{"how much is collected", "collect: event.id", "collect: event.id, maxRecords: 5", "visits", "maxRecords is 5 now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := topology.KeptKey("sales", c.store)
			changed := planOf(t, strings.Replace(sales, c.from, c.to, 1))
			if got := strings.Join(old[key].Identity.Differences(changed.Kept(nil)[key].Identity), "; "); got != c.want {
				t.Errorf("\nhave %s\nwant %s", got, c.want)
			}
			if err := topology.CheckStores(changed, map[string]topology.Kept{key: old[key]}, nil); (err != nil) != (c.want != "") {
				t.Errorf("start: %v", err)
			}
		})
	}
}

// TestWhoFollowsWindowedKeysIsCutOff: a store behind them is asked for their keys, so it is shared out by them.
func TestWhoFollowsWindowedKeysIsCutOff(t *testing.T) {
	const after = "    by-key: {from: hourly, aggregate: {compute: {n: count}}}\n    visits:"
	for key, stages := range map[string]int{"windowed": 2, "group": 1} {
		text := strings.Replace(sales, "    visits:", after, 1)
		if got := len(planOf(t, strings.Replace(text, "key: windowed", "key: "+key, 1)).Stages); got != stages {
			t.Errorf("with the key of the %s: %d stages, want %d", key, got, stages)
		}
	}
}

// TestWhatFunctionsRememberIsNotShown: who asks the table sees what goes on as result.
func TestWhatFunctionsRememberIsNotShown(t *testing.T) {
	for _, table := range planOf(t, sales).Tables {
		for kept, want := range map[string]string{
			`{"average":2.5,"raven-state":{"average":[5.0,2]}}`: `{"average":2.5}`,
			`{"raven-state":{"average":[5.0,2]}}`:               `{}`,
			`{"average":{"raven-state":1}}`:                     `{"average":{"raven-state":1}}`,
			`{"average":`:                                       `{"average":`,
			`7`:                                                 `7`,
		} {
			switch hides := table.Name == "hourly" || table.Name == "totals"; {
			case hides != (table.Show != nil):
				t.Errorf("table %q: it hides something: %v", table.Name, !hides)
			case hides && string(table.Show([]byte(kept))) != want:
				t.Errorf("%s is shown as %s, want %s", kept, table.Show([]byte(kept)), want)
			}
		}
	}
}

// TestBoltsOfFilesInATask takes the bolts from a file through the planner into a task.
func TestBoltsOfFilesInATask(t *testing.T) {
	plan := planOf(t, sales)
	if len(plan.Stages) != 1 {
		t.Fatalf("%d stages, want one: all keep the key", len(plan.Stages))
	}
	task := taskOf(t, plan)
	for _, s := range []struct {
		key, value string
		minute     int64
		want       string
	}{
		{"a", `{"id":1,"total":1.10}`, 1, `totals a {"orders":1,"revenue":1.10}`},
		{"a", `{"id":1,"total":1.10}`, 2, ``},
		{"a", `{"id":2,"total":2.20}`, 20, `totals a {"orders":2,"revenue":3.30}`},
		{"b", `{"id":1,"total":5}`, 64, `totals b {"orders":1,"revenue":5}
visits a {"count":2,"records":[1,2]}`},
		{"a", `{"id":3,"total":3}`, 59, `totals a {"orders":3,"revenue":6.30}`},
		{"b", `{"id":2,"total":5}`, 65, `totals b {"orders":2,"revenue":10}
hourly a@0/3600000 {"average":2.1}`},
		{"a", `{"id":4,"total":1}`, 58, `totals a {"orders":4,"revenue":7.30}
late a {"id":4,"total":1}`},
		{"a", `{"id":5}`, 66, `error`},
	} {
		r := &record.Record{Key: []byte(s.key), Value: []byte(s.value), Format: record.JSON, Time: time.UnixMilli(s.minute * 60_000)}
		if have := arrive(plan, task, r); !sameLines(have, s.want) {
			t.Errorf("%s %s in minute %d:\nhave\n%s\nwant\n%s", s.key, s.value, s.minute, have, s.want)
		}
	}
}

// taskOf is a task of the first stage, over stores in memory.
func taskOf(t *testing.T, plan *topology.Plan) *stage.Task {
	t.Helper()
	var specs []store.Spec
	for _, s := range plan.Stages[0].Stores {
		specs = append(specs, s.Spec)
	}
	state, err := store.Open(store.Options{Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	task, err := stage.New(stage.Config{Plan: plan, State: state, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Env: func(bolt string) component.Env { return component.Env{Name: bolt} }})
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func planOf(t *testing.T, text string) *topology.Plan {
	t.Helper()
	set, problems := manifest.Parse("sales.yaml", ".", []byte(strings.TrimSpace(text)), all.Components())
	plans, more := topology.Build(set, all.Components())
	for _, p := range append(problems, more...) {
		if p.Severity == manifest.SeverityError {
			t.Fatal(p)
		}
	}
	return plans[0]
}

// arrive takes a record through the task: "topic key value" for each that comes out.
func arrive(plan *topology.Plan, task *stage.Task, r *record.Record) string {
	var work []stage.Work
	for _, to := range plan.Inputs[0].Next {
		work = append(work, stage.Work{Target: to, Record: r})
	}
	done, err := task.Process(context.Background(), work)
	if err != nil {
		return "error"
	}
	var out []string
	for _, o := range done {
		out = append(out, fmt.Sprintf("%s %s %s", plan.Sinks[o.Sink].Topic, o.Record.Key, o.Record.Value))
	}
	return strings.Join(out, "\n")
}

func sameLines(a, b string) bool {
	seen := map[string]int{}
	for line := range strings.SplitSeq(a, "\n") {
		seen[line]++
	}
	for line := range strings.SplitSeq(b, "\n") {
		seen[line]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestAWindowKnowsMillisecondsOnly: a time that is set by an expression may be finer than what the log keeps, and must give
// what it gives when the record has come through a topic.
func TestAWindowKnowsMillisecondsOnly(t *testing.T) {
	const fine = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: fine}
spec:
  spouts:
    in: {topic: {name: in}}
  bolts:
    slide: {from: in, aggregate: {window: {sliding: 10ms}, results: final, key: windowed, compute: {n: count}}}
    visit: {from: in, aggregate: {window: {session: 10ms}, results: final, key: windowed, compute: {n: count}}}
  sinks:
    slides: {from: slide, topic: {name: slides}}
    visits: {from: visit, topic: {name: visits}}
`
	run := func(round time.Duration) (out []string) {
		plan := planOf(t, fine)
		task := taskOf(t, plan)
		for _, micros := range []int64{900, 1_400, 1_600, 5_100, 11_950, 12_100, 22_700, 22_900, 60_000} {
			at := time.UnixMicro(micros).Truncate(round)
			out = append(out, arrive(plan, task, &record.Record{Key: []byte("k"), Value: []byte("{}"), Format: record.JSON, Time: at}))
		}
		return out
	}
	fineOut, coarse := run(time.Microsecond), run(time.Millisecond)
	for i := range coarse {
		if !sameLines(fineOut[i], coarse[i]) {
			t.Errorf("record %d:\nhave\n%s\nwant\n%s", i, fineOut[i], coarse[i])
		}
	}
}
