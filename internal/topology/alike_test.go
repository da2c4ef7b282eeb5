package topology_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

const (
	joined = `  spouts:
    orders: {topic: {name: orders}}
    paid: {topic: {name: paid}}
  bolts:
    parse: {from: paid, pass: }
    both: {from: [orders, parse], keep: {inputs: [left, right], stores: ['window:left', 'window:right']}}
    last: {from: both, pass: }
  sinks: {out: {from: last, topic: {name: results}}}
`
	lookedUp = `  spouts: {orders: {topic: {name: orders}}}
  tables:
    users: {topic: {name: users}}
  bolts:
    look: {from: orders, keep: {reads: [users]}}
    last: {from: look, count: {}}
  sinks: {out: {from: last, topic: {name: results}}}
`
	counted = `  spouts: {orders: {topic: {name: orders}}}
  bolts:
    by: {from: orders, rekey: }
    last: {from: by, count: {}}
  sinks: {out: {from: last, topic: {name: results}}}
`
)

func TestTopicsThatMeetHaveEquallyManyPartitions(t *testing.T) {
	of := func(name, partitions string) string {
		return "---\n" + topicOf(name, "cleanup: compact, partitions: "+partitions)
	}
	for name, c := range map[string]expectation{
		"two sides of a join": {graph("t", joined) + of("orders", "8") + of("paid", "4"), []string{"10:5 error co-partitioning"},
			`plan bolt "both": what it works on together has different numbers`, `put a rekey bolt between one of them and the bolt, or give them equally many partitions: topic "orders" has 8, topic "paid" has 4`},
		"a table and who reads it": {graph("t", lookedUp) + of("orders", "6") + of("users", "12"), []string{"9:5 error co-partitioning"}, `plan bolt "look"`, `topic "users" has 12`},
		"a topic asked for and a table": {graph("t", strings.Replace(lookedUp, "reads: [users]", "reads: [users], repartition: true, partitions: 5", 1)) + of("users", "12"),
			[]string{"9:5 error co-partitioning"}, `plan bolt "look"`, `the topic before bolt "look" has 5`},
		"a changelog declared with another number": {graph("t", counted) + "---\n" + topicOf("t.last.changelog", "cleanup: compact, partitions: 3") + of("t.last.repartition", "4"),
			[]string{"8:5 error co-partitioning", "19:17 error internal-topic"}, `plan bolt "last"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, plans, problems := build(t, c.text)
			if got := brief(problems); strings.Join(got, ",") != strings.Join(c.want, ",") || len(plans) > 0 {
				t.Fatalf("got %v, want %v: %+v", got, c.want, problems)
			}
			if p := problems[0]; !strings.Contains(p.Message, c.message) || !strings.Contains(p.Hint, c.hint) {
				t.Errorf("%q, hint %q", p.Message, p.Hint)
			}
		})
	}
}

func TestWhatIsNotDeclaredFollowsWhatIs(t *testing.T) {
	of := func(name, partitions string) string { return "---\n" + topicOf(name, "partitions: "+partitions) }
	for _, c := range []struct {
		name, text string
		want       map[string]int
	}{
		{"an undeclared side", graph("t", joined) + of("orders", "5"), map[string]int{"paid": 5, "t.both-left.changelog": 5, "t.both.replay": 0, "t.both-right.changelog": 5}},
		{"a table", graph("t", lookedUp) + of("orders", "3"), map[string]int{"users": 3, "t.last.changelog": 3, "t.last.replay": 3}},
		{"a feed", graph("t", strings.Replace(joined, "paid: {topic: {name: paid}}", "paid: {generate: }", 1)) + of("orders", "3"), map[string]int{"t.paid.feed": 3, "t.both-left.changelog": 3}},
		{"what is written", graph("t", counted) + of("orders", "20"), map[string]int{"t.last.repartition": 20, "t.last.changelog": 20, "t.last.replay": 20, "t.parked": 20}},
		{"what is written, where something else is read", graph("t", strings.Replace(lookedUp, "    look: {from: orders,", "    by: {from: orders, rekey: }\n    look: {from: by,", 1)) + of("orders", "20"),
			map[string]int{"users": 8, "t.look.repartition": 8, "t.last.changelog": 8}},
		{"a declared topic of its own", graph("t", counted) + of("orders", "20") + of("t.last.repartition", "2"), map[string]int{"t.last.changelog": 2, "t.last.replay": 2, "t.replay": 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, plans := mustBuild(t, c.text)
			have := map[string]int{}
			for _, topic := range plans[0].Topics {
				have[topic.Name] = topic.Spec.Partitions
			}
			for name, n := range c.want {
				if have[name] != n && n > 0 {
					t.Errorf("%s has %d, want %d", name, have[name], n)
				}
			}
			if err := topology.CheckPartitions(plans[0], have); err != nil {
				t.Errorf("the plan's own numbers are refused: %v", err)
			}
		})
	}
}

func TestPartitionsAreCheckedBeforeTheStart(t *testing.T) {
	for _, c := range []struct {
		name, text  string
		change      map[string]int
		topic, hint string
		others      int
	}{
		{"the other side of a join", joined, map[string]int{"paid": 12}, "orders", `put a rekey bolt between topic "orders" and bolt "both", or move its records to a topic with 12 partitions`, 12},
		{"the topic of a table", lookedUp, map[string]int{"users": 4}, "users", `between topic "users" and bolt "look"`, 8},
		{"partitions that were added", lookedUp, map[string]int{"users": 16, "orders": 16}, "t.last.changelog", "keys of \"orders\" are in other partitions now than what is kept of them: read a topic with 8 partitions, or begin with empty stores by `raven table reset t last`", 16},
		{"a changelog", counted, map[string]int{"t.last.changelog": 9}, "t.last.repartition", "`raven table reset t last` makes them anew", 9},
		{"a repartition topic", counted, map[string]int{"t.last.repartition": 9}, "t.last.repartition", "must never be changed", 8},
		{"dead letters on their way back", counted, map[string]int{"t.last.replay": 4}, "t.last.replay", "grow it to 8 partitions", 8},
		{"parked records", counted, map[string]int{"t.parked": 4}, "t.parked", "grow it to 8 partitions", 8},
		{"what comes back to a stage without state", counted, map[string]int{"t.replay": 4}, "t.replay", "grow it to 8 partitions", 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, plans := mustBuild(t, graph("t", c.text))
			have := map[string]int{}
			for _, topic := range plans[0].Topics {
				have[topic.Name] = topic.Spec.Partitions
			}
			maps.Copy(have, c.change)
			wrong, ok := errors.AsType[*topology.PartitionsError](topology.CheckPartitions(plans[0], have))
			if !ok || wrong.Topic != c.topic || wrong.Others != c.others || !strings.Contains(wrong.Hint, c.hint) {
				t.Errorf("got %v, hint %q", wrong, wrong.Hint)
			}
		})
	}
	_, plans := mustBuild(t, graph("t", counted))
	if err := topology.CheckPartitions(plans[0], map[string]int{"orders": 8}); err == nil || !strings.Contains(err.Error(), `there is no topic "results"`) {
		t.Errorf("missing topics: %v", err)
	}
}

func TestOwnTopicsAreMadeLikeWhatTheClusterHas(t *testing.T) {
	observed := func(topics map[string]int) topology.Observed {
		o := topology.Observed{Topics: map[string]topology.ObservedTopic{}}
		for name, n := range topics {
			o.Topics[name] = topology.ObservedTopic{Partitions: n}
		}
		return o
	}
	for _, c := range []struct {
		name, text string
		have       map[string]int
		want       map[string]int
		conflicts  string
	}{
		{"what is written into a stage", counted, map[string]int{"orders": 30}, map[string]int{"t.last.repartition": 30, "t.last.changelog": 30, "t.last.replay": 30, "t.dead-letters": 30}, ""},
		{"what stands stays", counted, map[string]int{"orders": 30, "t.last.changelog": 8}, map[string]int{"t.last.repartition": 8, "t.last.changelog": 8, "t.last.replay": 8}, ""},
		{"a table's topic", lookedUp, map[string]int{"users": 3}, map[string]int{"orders": 3, "t.last.changelog": 3, "t.last.replay": 3}, ""},
		{"topics that differ", lookedUp, map[string]int{"users": 3, "orders": 4}, map[string]int{"t.last.changelog": 4}, "users"},
		{"partitions that were added", lookedUp, map[string]int{"users": 6, "orders": 6, "t.last.changelog": 3, "t.last.replay": 3}, nil, "t.last.changelog t.last.replay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, plans := mustBuild(t, graph("t", c.text))
			changes := topology.Diff(plans, set, observed(c.have))
			var conflicts []string
			for _, change := range changes.Conflicts() {
				conflicts = append(conflicts, change.Name)
				if change.Message == "" || change.Hint == "" {
					t.Errorf("%+v", change)
				}
			}
			if strings.Join(conflicts, " ") != c.conflicts {
				t.Errorf("conflicts %v, want %s", conflicts, c.conflicts)
			}
			for _, change := range changes.Topics {
				if want := c.want[change.Name]; want > 0 && change.Partitions != want {
					t.Errorf("%s has %d partitions, want %d", change.Name, change.Partitions, want)
				}
			}
		})
	}
}

func TestTablesAreCheckedWhereTheyAreWritten(t *testing.T) {
	const in = "  spouts: {orders: {topic: {name: orders}}, made: {generate: }}\n"
	const out = "  sinks: {out: {from: last, topic: {name: results}}, rest: {from: made, store: }}\n"
	for name, c := range map[string]expectation{
		"a table that there is not": {graph("t", in+"  tables: {users: {topic: {name: users}}}\n  bolts:\n    last: {from: orders, keep: {reads: [user]}}\n"+out),
			[]string{"8:26 error unknown-table"}, `there is no table "user"`, `did you mean "users"?`},
		"a side too many": {graph("t", in+"  bolts:\n    last: {from: [orders, made], keep: {inputs: [left, right, table]}}\n"+out),
			[]string{"7:12 error join-inputs"}, "it is fed by 2 sources, want 3", "left, right, table"},
		"a table of two sources": {graph("t", in+"  bolts:\n    last: {from: [orders, made], keep: {table: true}}\n"+out), []string{"7:12 error join-inputs"}, "a table is made of one source", ""},
		"a global table of a feed": {graph("t", in+"  bolts:\n    world: {from: made, keep: {table: true, global: true}}\n    last: {from: orders, pass: }\n"+out),
			[]string{"7:19 error global-table"}, `not from spout "made"`, "write its records to a topic"},
		"records of a global table": {graph("t", in+"  tables: {world: {topic: {name: w}, global: true}}\n  bolts:\n    last: {from: [orders, world], pass: }\n"+out),
			[]string{"8:12 error global-table"}, `global table "world" gives no records`, ""},
		"a table named as a spout":   {graph("t", in+"  tables: {orders: {topic: {name: w}}}\n  bolts:\n    last: {from: orders, pass: }\n"+out), []string{"6:12 error duplicate-name"}, "a spout has this name already", ""},
		"a bad name":                 {graph("t", "  tables: {a.b: {topic: {name: w}}}\n"), []string{"5:12 error name-invalid"}, "", ""},
		"a table without a topic":    {graph("t", in+"  tables: {w: {topic: {nme: w}}}\n  bolts:\n    last: {from: orders, keep: {reads: [w]}}\n"+out), []string{"6:16 error missing-key", "6:24 error unknown-key"}, "", ""},
		"a table that keeps nothing": {graph("t", in+"  bolts:\n    w: {from: orders, keep: {tabel: true}}\n    last: {from: orders, keep: {reads: [w]}}\n"+out), []string{"7:30 error unknown-key"}, "", ""},
		"a topic read in two ways":   {graph("t", in+"  tables: {w: {topic: {name: orders, format: raw}}}\n  bolts:\n    last: {from: orders, pass: }\n"+out), []string{"6:30 error topic-read-twice"}, "", ""},
		"stores of one name":         {graph("t", in+"  bolts:\n    a: {from: orders, count: {stores: [b]}}\n    a-b: {from: a, count: {}}\n    last: {from: a-b, pass: }\n"+out), []string{"8:5 error duplicate-name"}, `its store "a-b" has the name of one of bolt "a"`, ""},
		"nothing comes in":           {graph("t", "  sinks: {}\n"), []string{"4:1 error missing-key", "4:1 error missing-key"}, "", ""},
		"nothing comes out":          {graph("t", "  spouts: {a: {topic: {name: a}}}\n  bolts: {b: {from: a, pass: }}\n"), []string{"4:1 error missing-key", "6:11 warning dropped-output"}, "it has no sinks and keeps nothing", ""},
		"a table of a topic that forgets": {graph("t", "  tables: {users: {topic: {name: users}}}\n") + "---\n" + topicOf("users", "retention: 7d"),
			[]string{"5:12 warning table-forgets"}, `topic "users" drops records after 7d`, "cleanup: compact"},
	} {
		t.Run(name, c.check)
	}
}

func TestATableOfATopicThatForgetsHasItsOwnChangelog(t *testing.T) {
	text := graph("t", "  tables: {users: {topic: {name: users}}}\n")
	for spec, source := range map[string]bool{"retention: 7d": false, "retention: 0s": false, "cleanup: compact": true} {
		_, plans, problems := build(t, text, topicOf("users", spec))
		if manifest.HasErrors(problems) {
			t.Fatal(problems)
		}
		s := plans[0].Stages[0].Stores[0]
		if want := map[bool]string{true: "users", false: "t.users.changelog"}[source]; s.Source != source || s.Changelog != want {
			t.Errorf("%s: %+v", spec, s)
		}
	}
}
