package topology_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"ravenswood.dev/internal/topology"
)

// transcript is the stages of a plan as text: what each reads, does, keeps and writes.
func transcript(p *topology.Plan) string {
	var b bytes.Buffer
	for n, st := range p.Stages {
		fmt.Fprintf(&b, "stage %s", st.Name)
		if st.Stateful {
			fmt.Fprintf(&b, ", %d tasks", st.Partitions)
		}
		fmt.Fprintln(&b)
		for _, i := range st.Inputs {
			in := p.Inputs[i]
			if in.Stage != n {
				fmt.Fprintf(&b, "  WRONG STAGE %d\n", in.Stage)
			}
			fmt.Fprintf(&b, "  reads %s %s -> %s\n", in.Topic, in.Format, ways(p, in.Next))
		}
		for _, i := range st.Bolts {
			bolt, when := p.Bolts[i], "early"
			if bolt.Late {
				when = "late"
			}
			fmt.Fprintf(&b, "  %s %s ->", when, bolt.Name)
			for _, next := range bolt.Next {
				fmt.Fprintf(&b, " %s", ways(p, next))
			}
			fmt.Fprintln(&b)
		}
		for _, s := range st.Stores {
			fmt.Fprintf(&b, "  store %s %s of %s, changelog %s", s.Name, s.Kind, s.Bolt, s.Changelog)
			if s.Source {
				fmt.Fprint(&b, " (the source)")
			}
			fmt.Fprintln(&b)
		}
	}
	for _, g := range p.Globals {
		fmt.Fprintf(&b, "global %s from %s %s\n", g.Name, g.Topic, g.Format)
	}
	for _, t := range p.Tables {
		fmt.Fprintf(&b, "table %s in %d: %s\n", t.Name, t.Stage, t.Store.Name)
	}
	for _, t := range p.Topics {
		fmt.Fprintf(&b, "topic %s: %d %s %s\n", t.Name, t.Spec.Partitions, t.Spec.Cleanup, t.Spec.Retention)
	}
	return b.String()
}

// ways writes targets as "bolt.1" (its second source) and ">sink".
func ways(p *topology.Plan, targets []topology.Target) string {
	var all []string
	for _, t := range targets {
		if t.Sink {
			all = append(all, ">"+p.Sinks[t.Index].Name)
		} else {
			all = append(all, fmt.Sprintf("%s.%d", p.Bolts[t.Index].Name, t.Input))
		}
	}
	return "[" + strings.Join(all, " ") + "]"
}

func topicOf(name string, spec string) string {
	return head + "kind: Topic\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n"
}

func TestStagesOfATopology(t *testing.T) {
	const in = "  spouts: {orders: {topic: {name: orders}}}\n"
	const out = "  sinks: {out: {from: last, topic: {name: results}}}\n"
	cases := []struct{ name, text string }{
		{"without-state", graph("t", "  spouts: {a: {topic: {name: a}}, b: {generate: }}\n  bolts:\n    last: {from: a, pass: }\n  sinks:\n    out: {from: last, topic: {name: c}}\n    rest: {from: b, store: }\n")},
		{"count", graph("t", in+"  bolts:\n    parse: {from: orders, pass: }\n    by: {from: parse, rekey: }\n    last: {from: by, count: {stores: ['window:hours']}}\n"+out) + "---\n" + topicOf("orders", "partitions: 12")},
		{"keys-as-they-are", graph("t", in+"  bolts:\n    parse: {from: orders, pass: }\n    totals: {from: parse, count: }\n    last: {from: totals, count: }\n"+out)},
		{"table-join", graph("t", "  spouts: {orders: {topic: {name: orders}}, people: {topic: {name: users}}}\n  bolts:\n    users: {from: people, keep: {table: true}}\n    by: {from: orders, rekey: }\n    last: {from: by, keep: {reads: [users], keyed: true}}\n  sinks: {out: {from: [last, users], topic: {name: results}}}\n") + "---\n" + topicOf("users", "partitions: 4, cleanup: compact") + "---\n" + topicOf("orders", "partitions: 16")},
		{"stream-join", graph("t", "  spouts: {orders: {topic: {name: orders}}, paid: {topic: {name: paid}}}\n  bolts:\n    by: {from: paid, rekey: }\n    last: {from: [orders, by], keep: {inputs: [left, right], stores: ['window:left', 'window:right']}}\n"+out)},
		{"both-sides", graph("t", in+"  bolts:\n    by: {from: orders, rekey: }\n    again: {from: by, pass: }\n    last: {from: [again, by], keep: {inputs: [left, right], stores: ['window:left', 'window:right']}}\n"+out)},
		{"shared", graph("t", in+"  bolts:\n    by: {from: orders, rekey: }\n    b: {from: by, count: }\n    a: {from: by, count: }\n    c: {from: by, count: {repartition: true, partitions: 3}}\n    last: {from: [a, b, c], pass: }\n"+out)},
		{"handover", graph("t", in+"  bolts:\n    ask: {from: orders, wait: }\n    sum: {from: ask, count: }\n    tell: {from: sum, wait: }\n    last: {from: tell, pass: }\n"+out)},
		{"merged", graph("t", "  spouts: {a: {topic: {name: a}}, b: {topic: {name: b}}}\n  bolts:\n    by: {from: a, rekey: }\n    last: {from: [by, b], count: }\n"+out)},
		{"global", graph("t", "  spouts: {orders: {topic: {name: orders}}, countries: {topic: {name: countries, format: raw}}}\n  bolts:\n    world: {from: countries, keep: {global: true, table: true}}\n    by: {from: orders, rekey: }\n    last: {from: by, keep: {reads: [world]}}\n"+out)},
		{"chain", graph("t", in+"  bolts:\n    by: {from: orders, rekey: }\n    one: {from: by, count: }\n    by2: {from: one, rekey: }\n    two: {from: by2, count: }\n    last: {from: two, pass: }\n"+out)},
		{"self-loop", graph("t", in+"  bolts:\n    sum: {from: orders, count: }\n    ask: {from: sum, wait: }\n    last: {from: [sum, ask], pass: }\n"+out)},
		{"forced", graph("t", in+"  bolts:\n    last: {from: orders, shaped: {repartition: true, partitions: 20}}\n"+out)},
		{"tables", graph("t", in+"  tables:\n    users: {topic: {name: users}}\n    old: {topic: {name: users}, history: 7d, store: memory}\n    world: {topic: {name: countries}, global: true}\n    again: {topic: {name: orders}}\n  bolts:\n    last: {from: orders, keep: {reads: [users, world]}}\n"+out) + "---\n" + topicOf("orders", "partitions: 6, retention: 0s")},
		{"formats", graph("t", "  spouts: {lines: {topic: {name: lines, format: text}}}\n  bolts:\n    by: {from: lines, rekey: }\n    sum: {from: by, count: }\n    by2: {from: sum, rekey: }\n    by3: {from: sum.late, rekey: }\n    more: {from: by2, count: }\n    last: {from: by3, count: }\n"+out)},
		{"only-a-table", graph("t", "  standbys: 1\n  tables:\n    users: {topic: {name: users}}\n")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, plans := mustBuild(t, c.text)
			golden(t, "stages-"+c.name+".txt", []byte(transcript(plans[0])))
		})
	}
}
