package topology_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

func TestGraphMistakesAreFound(t *testing.T) {
	const in, out = "  spouts: {in: {topic: {name: a}}}\n", "  sinks: {out: {from: last, topic: {name: b}}}\n"
	cases := map[string]expectation{
		"unknown source": {graph("t", in+"  bolts:\n    last: {from: inn, pass: }\n"+out), []string{"5:12 error unused-spout", "7:18 error unknown-source"},
			"nobody takes its records", ""},
		"unknown source in a list": {graph("t", in+"  bolts:\n    last: {from: [in, lost], pass: }\n"+out), []string{"7:23 error unknown-source"},
			`there is no spout or bolt "lost"`, "allowed is in"},
		"fed by itself":   {graph("t", in+"  bolts:\n    last: {from: [in, last], pass: }\n"+out), []string{"7:12 error cycle"}, "last -> last", ""},
		"fed by a sink":   {graph("t", in+"  sinks:\n    out: {from: in, topic: {name: b}}\n    more: {from: out, topic: {name: c}}\n"), []string{"8:18 error unknown-source"}, `"out" is a sink`, ""},
		"fed twice":       {graph("t", in+"  bolts:\n    last: {from: [in, in], pass: }\n"+out), []string{"7:23 error duplicate-source"}, "twice", ""},
		"a cycle":         {graph("t", in+"  bolts:\n    a: {from: [in, c], pass: }\n    b: {from: a, pass: }\n    c: {from: b, pass: }\n    last: {from: c, pass: }\n"+out), []string{"7:9 error cycle"}, "a -> b -> c -> a", "cut the circle"},
		"two cycles":      {graph("t", in+"  bolts:\n    a: {from: [in, b, c], pass: }\n    b: {from: a, pass: }\n    c: {from: a, pass: }\n    last: {from: c, pass: }\n"+out), []string{"7:9 error cycle", "7:9 error cycle"}, "a -> b -> a", ""},
		"a detached ring": {graph("t", in+"  bolts:\n    last: {from: in, pass: }\n    x: {from: y, pass: }\n    y: {from: x, pass: }\n"+out), []string{"8:15 error cycle"}, "x -> y -> x", ""},
		"unfed bolt":      {graph("t", in+"  bolts:\n    last: {from: in, pass: }\n    x: {pass: }\n"+out), []string{"8:5 warning dropped-output", "8:5 error missing-key"}, "", ""},
		"unused spout":    {graph("t", "  spouts: {in: {topic: {name: a}}, more: {topic: {name: c}}}\n  bolts: {last: {from: in, pass: }}\n"+out), []string{"5:36 error unused-spout"}, `spout "more": nobody takes its records`, ""},
		"dropped output":  {graph("t", in+"  bolts:\n    last: {from: in, pass: }\n    x: {from: in, pass: }\n"+out), []string{"8:5 warning dropped-output"}, `bolt "x": nobody takes the records it emits`, ""},
		"dropped branch":  {graph("t", in+"  bolts:\n    b: {from: in, branch: {to: [x, y]}}\n    last: {from: b.x, pass: }\n"+out), []string{"7:5 warning dropped-output"}, `nobody takes the records of output "y"`, `name "b.y"`},
		"unknown output":  {graph("t", in+"  bolts:\n    b: {from: in, branch: {to: [xray]}}\n    last: {from: b.xry, pass: }\n"+out), []string{"7:5 warning dropped-output", "8:18 error unknown-source"}, "", ""},
		"output left out": {graph("t", in+"  bolts:\n    b: {from: in, branch: {to: [x]}}\n    last: {from: [b, b.x], pass: }\n"+out), []string{"8:19 error unknown-source"}, `bolt "b" has named outputs only`, "allowed is b.x"},
		"output of none":  {graph("t", in+"  bolts:\n    b: {from: in, pass: }\n    last: {from: [b, b.x], pass: }\n"+out), []string{"8:22 error unknown-source"}, `bolt "b" has no output "x"`, "allowed is b"},
		"empty output":    {graph("t", in+"  bolts:\n    b: {from: in, pass: }\n    last: {from: [b, b.], pass: }\n"+out), []string{"8:22 error unknown-source"}, "", ""},
		"one name twice":  {graph("t", in+"  bolts:\n    in: {from: in, pass: }\n    last: {from: in, pass: }\n"+out), []string{"7:5 error duplicate-name"}, "a spout has this name already", ""},
		"unknown service": {graph("t", in+"  bolts:\n    last: {from: in, call: {service: user}}\n"+out) + "---\n" + service("users", "{name: v1, url: 'http://a'}"), []string{"7:38 error unknown-service"}, `service "user" is not declared`, `did you mean "users"?`},
		"expression":      {graph("t", in+"  bolts:\n    last: {from: in, filter: {when: a => b}}\n"+out), []string{"7:39 error expression-invalid"}, "unexpected =>", ""},
		"broken settings": {graph("t", in+"  bolts:\n    b: {from: in, branch: {too: [x]}}\n    last: {from: b.x, pass: }\n"+out), []string{"7:19 error missing-key", "7:28 error unknown-key"}, "", ""},
		"same topic":      {graph("t", "  spouts: {in: {topic: {name: a}}, more: {topic: {name: a}}}\n  bolts: {last: {from: [in, more], pass: }}\n"+out), []string{"5:57 error topic-read-twice"}, `spout "in" reads topic "a" already`, ""},
		"own output":      {graph("t", in+"  sinks: {out: {from: in, topic: {name: a}}}\n"), []string{"6:41 warning own-output"}, `spout "in" reads topic "a"`, ""},
		"mixed formats":   {graph("t", "  spouts: {in: {topic: {name: a}}, more: {bytes: }}\n  sinks: {out: {from: [in, more], store: }}\n"), []string{"6:17 warning mixed-formats"}, "", ""},
		"bad topic name":  {graph("t", in+"  sinks: {out: {from: in, topic: {name: 'b/c'}}}\n"), []string{"6:41 error topic-name-invalid"}, "", ""},
		"topic misspelt":  {graph("t", in+"  sinks: {out: {from: in, topic: {name: clcks}}}\n") + "---\n" + head + "kind: Topic\nmetadata: {name: clicks}\n", []string{"6:41 warning topic-undeclared"}, "", `did you mean "clicks"?`},
		"own topic":       {graph("t", in+"  sinks: {out: {from: in, topic: {name: t.parked}}}\n"), []string{"6:41 error internal-topic"}, `topic "t.parked" belongs to topology "t" itself`, ""},
	}
	for name, c := range cases {
		t.Run(name, c.check)
	}
}

func TestABoltWithoutFromIsFoundWithoutFilesToo(t *testing.T) {
	// From a file, Load reports it.
	text := graph("t", "  spouts: {in: {topic: {name: a}}}\n  bolts: {x: {from: in, pass: }, y: {from: x, pass: }}\n  sinks: {out: {from: y, topic: {name: b}}, more: {from: in, topic: {name: c}}}\n")
	set, _, _ := build(t, text)
	x := set.Topologies[0].Spec.Bolts["x"]
	x.From = nil
	set.Topologies[0].Spec.Bolts["x"] = x
	plans, problems := topology.Build(set, fakes())
	if got := brief(problems); len(plans) > 0 || !slices.Equal(got, []string{"6:11 error unfed-bolt"}) {
		t.Errorf("got %v", got)
	}
}

// TestWhatCannotBeReadHasNoEchoes: a misspelt kind must not make everything that refers to it look wrong.
func TestWhatCannotBeReadHasNoEchoes(t *testing.T) {
	nodes := graph("t", "  spouts: {in: {topic: {name: a}}}\n  bolts: {b: {from: in, call: {service: users}}}\n  sinks: {out: {from: b, topic: {name: b}}}\n")
	users := service("users", "{name: v1, url: 'http://a'}")
	for name, text := range map[string]string{
		"unknown kind": strings.Replace(users, "Service", "Servcie", 1),
		"no name":      strings.Replace(users, "name: users", "team: users", 1),
		"malformed":    users + "]\n",
		"no resource":  "[]\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, plans, problems := build(t, nodes, text); len(problems) != 1 || len(plans) > 0 {
				t.Errorf("got %v", problems)
			}
		})
	}
}

func TestLimitsMustMakeSense(t *testing.T) {
	text := graph("t", `  workers: 0
  commitInterval: 0s
  limits: {records: 0, bytes: 1KB, recordBytes: 2KB, partitionRecords: 5, parked: 0}
  retry: {backoff: 0s, maxBackoff: 1ms, parkEvery: 0s}
  spouts: {in: {topic: {name: a}}}
  sinks: {out: {from: in, topic: {name: b}}}
`)
	_, plans, problems := build(t, text)
	want := []string{"5:12 ", "6:19 ", "7:21 ", "7:49 ", "7:72 ", "7:83 ", "8:20 ", "8:52 "}
	for i, p := range brief(problems) {
		if i >= len(want) || p != want[i]+"error limit-invalid" {
			t.Errorf("problem %d is %s: %s", i, p, problems[i].Message)
		}
	}
	if len(problems) != len(want) || len(plans) != 0 {
		t.Errorf("got %d problems, %d plans", len(problems), len(plans))
	}
}

func TestPlanOfAWholeTopology(t *testing.T) {
	_, plans := mustBuild(t,
		graph("orders", `  delivery: at-least-once
  workers: 2
  spouts:
    clicks: {topic: {name: clicks, format: text, start: latest}}
    made: {generate: }
  bolts:
    zero: {from: [made], pass: }
    split: {from: zero, branch: {to: [good, bad]}}
    call: {from: split.good, call: {service: users}}
  sinks:
    archive: {from: [split.bad, call], store: }
    done: {from: [call, clicks], topic: {name: done}}
`), service("users", "{name: v1, url: 'http://127.0.0.1:1'}"),
		head+"kind: Topic\nmetadata: {name: clicks}\nspec: {partitions: 12}\n",
		head+"kind: Topic\nmetadata: {name: orders.made.feed}\nspec: {partitions: 3}\n")
	p := plans[0]
	if p.Name != "orders" || p.Dir != "dir" || p.Delivery != api.AtLeastOnce || p.Workers != 2 || p.Limits.Records != 16384 || p.Retry.Park == 0 || p.Commit == 0 || p.Drain == 0 {
		t.Errorf("plan: %+v", p)
	}
	if p.Group != "raven.orders" || p.DeadLetters != "orders.dead-letters" || p.Parked != "orders.parked" || p.Replay != "orders.replay" {
		t.Errorf("names: %+v", p)
	}
	bolt := func(i int) topology.Target { return topology.Target{Index: i} }
	sink := func(i int) topology.Target { return topology.Target{Sink: true, Index: i} }
	wantInputs := []topology.Input{
		{Name: "clicks", Topic: "clicks", Format: record.Text, Start: "latest", Next: []topology.Target{sink(1)}},
		{Name: "made", Topic: "orders.made.feed", Format: record.JSON, Start: "earliest", Stage: 1, Next: []topology.Target{bolt(0)}},
		{Topic: "orders.replay", Start: "earliest"},
	}
	if !reflect.DeepEqual(p.Inputs, wantInputs) {
		t.Errorf("inputs %+v\nwant %+v", p.Inputs, wantInputs)
	}
	var bolts []string
	var nexts [][][]topology.Target
	for _, b := range p.Bolts {
		bolts, nexts = append(bolts, b.Name), append(nexts, b.Next)
	}
	if want := []string{"zero", "split", "call"}; !slices.Equal(bolts, want) {
		t.Errorf("bolts %v, want %v", bolts, want)
	}
	if want := [][][]topology.Target{{{bolt(1)}}, {{bolt(2)}, {sink(0)}}, {{sink(0), sink(1)}}}; !reflect.DeepEqual(nexts, want) {
		t.Errorf("next %v, want %v", nexts, want)
	}
	if want := []topology.Sink{{Name: "archive", Topic: "orders.archive.deliver", Internal: true}, {Name: "done", Topic: "done"}}; !slices.Equal(p.Sinks, want) {
		t.Errorf("sinks %v, want %v", p.Sinks, want)
	}
	if f := p.Feeds[0]; len(p.Feeds) != 1 || f.Name != "made" || f.Topic != "orders.made.feed" || f.Group != "raven.orders.made" || f.Config == nil {
		t.Errorf("feeds %+v", p.Feeds)
	}
	if d := p.Deliveries[0]; len(p.Deliveries) != 1 || d.Topic != "orders.archive.deliver" || d.Group != "raven.orders.archive" || d.Format != record.JSON {
		t.Errorf("deliveries %+v", p.Deliveries)
	}
	checkTopics(t, p)
}

func checkTopics(t *testing.T, p *topology.Plan) {
	t.Helper()
	type row struct {
		name               string
		partitions         int
		retention, cleanup string
		internal, declared bool
	}
	var got []row
	for _, tp := range p.Topics {
		got = append(got, row{tp.Name, tp.Spec.Partitions, tp.Spec.Retention.String(), tp.Spec.Cleanup, tp.Internal, tp.Declared})
	}
	want := []row{
		{"clicks", 12, "168h0m0s", "delete", false, true},
		{"done", 8, "168h0m0s", "delete", false, false},
		{"orders.archive.deliver", 12, "168h0m0s", "delete", true, false},
		{"orders.dead-letters", 12, "720h0m0s", "delete", true, false},
		{"orders.made.feed", 3, "168h0m0s", "delete", true, true},
		{"orders.parked", 12, "0s", "compact", true, false},
		{"orders.replay", 12, "720h0m0s", "delete", true, false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("topics\n%v\nwant\n%v", got, want)
	}
}

func TestTheFormatOfADeliveryIsThatOfItsSpouts(t *testing.T) {
	_, plans := mustBuild(t, graph("t", "  spouts: {in: {bytes: }}\n  bolts: {b: {from: in, pass: }}\n  sinks: {out: {from: b, store: }}\n"))
	if p := plans[0]; p.Deliveries[0].Format != record.Raw || p.Inputs[0].Format != record.Raw {
		t.Errorf("got %v", p.Deliveries[0].Format)
	}
}

func TestTopologiesMustNotShareGroupsOrTopics(t *testing.T) {
	one := graph("a", "  spouts: {b: {generate: }}\n  sinks: {out: {from: b, topic: {name: x}}}\n")
	two := graph("a.b", "  spouts: {in: {topic: {name: x}}}\n  sinks: {out: {from: in, topic: {name: y}}}\n")
	_, _, problems := build(t, one, two)
	if got := brief(problems); !slices.Equal(got, []string{"10:18 error group-conflict"}) || !strings.Contains(problems[0].Message, `group "raven.a.b" is that of topology "a" too`) {
		t.Errorf("got %v", problems)
	}
	thief := graph("z", "  spouts: {in: {topic: {name: x}}}\n  sinks: {out: {from: in, topic: {name: a.b.feed}}}\n")
	_, _, problems = build(t, one, thief)
	if got := brief(problems); !slices.Equal(got, []string{"13:41 error internal-topic"}) {
		t.Errorf("got %v", problems)
	}
}

func TestDeclaredInternalTopicsMustWork(t *testing.T) {
	base := graph("t", "  spouts: {in: {topic: {name: a}}}\n  sinks: {out: {from: in, topic: {name: b}}}\n")
	parked := head + "kind: Topic\nmetadata: {name: t.parked}\nspec: {partitions: 4}\n"
	_, none, problems := build(t, base, parked)
	if got := brief(problems); len(none) > 0 || !slices.Equal(got, []string{"11:1 error internal-topic", "11:20 error internal-topic"}) {
		t.Errorf("got %v", got)
	}
	_, plans := mustBuild(t, base, head+"kind: Topic\nmetadata: {name: t.parked}\nspec: {partitions: 16, cleanup: compact}\n")
	i := slices.IndexFunc(plans[0].Topics, func(tp topology.Topic) bool { return tp.Name == "t.parked" })
	if tp := plans[0].Topics[i]; tp.Spec.Partitions != 16 || !tp.Internal || !tp.Declared {
		t.Errorf("got %+v", tp)
	}
}

func TestSourcesAreOnlySuggestedIfTheyCanFeed(t *testing.T) {
	_, _, problems := build(t, graph("t", "  spouts: {in: {topic: {name: a}}}\n  bolts: {last: {from: [in, ou], pass: }}\n  sinks: {out: {from: last, topic: {name: b}}}\n"))
	if len(problems) != 1 || strings.Contains(problems[0].Hint, "out") {
		t.Errorf("got %+v", problems)
	}
}
