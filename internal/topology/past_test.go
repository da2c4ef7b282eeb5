package topology_test

import (
	"slices"
	"strings"
	"testing"
)

// Line 5 has the spout, 6 the bolts, 7 the sinks.
func TestRecordsOfThePastNeedADeclaredTopic(t *testing.T) {
	const (
		timed    = "  spouts: {in: {read: {time: at}}}\n"
		untimed  = "  spouts: {in: {read: {}}}\n"
		rekeyed  = "by: {from: in, rekey: {}}, "
		windowed = "{from: by, keep: {keyed: true, stores: ['window:w']}}"
		out      = "  sinks: {out: {from: last, topic: {name: results}}}\n"
		database = "  sinks: {out: {from: last, store: }}\n"

		orderLost, sinkForgets = "5:12 warning order-lost", "7:43 warning sink-forgets"
	)
	bolts := func(all string) string { return "  bolts: {" + all + "}\n" }
	topic := func(name, spec string) string {
		return "---\n" + head + "kind: Topic\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n"
	}
	for _, c := range []struct {
		name    string
		text    []string
		order   bool
		forgets bool
	}{
		{name: "both", text: []string{timed, bolts(rekeyed + "last: " + windowed), out}, order: true, forgets: true},
		{name: "the time of reading is never past", text: []string{untimed, bolts(rekeyed + "last: " + windowed), out}},
		{name: "a bolt says the time before the topic", text: []string{untimed, bolts("tick: {from: in, clock: {time: at}}, by: {from: tick, rekey: {}}, last: " + windowed), out}, order: true, forgets: true},
		{name: "a bolt says the time behind the topic", text: []string{untimed, bolts(rekeyed + "mid: {from: by, shaped: {keyed: true}}, tick: {from: mid, clock: {time: at}}, last: {from: tick, keep: {keyed: true, stores: ['window:w']}}"), out}, order: true, forgets: true},
		{name: "a bolt that could say the time does not", text: []string{untimed, bolts("tick: {from: in, clock: {}}, by: {from: tick, rekey: {}}, last: " + windowed), out}},
		{name: "what is made now has no past", text: []string{"  spouts: {in: {generate: }}\n", bolts("tick: {from: in, clock: {time: at}}, by: {from: tick, rekey: {}}, last: " + windowed), out}},
		{name: "nor has a topic", text: []string{"  spouts: {in: {topic: {name: a}}}\n", bolts("tick: {from: in, clock: {time: at}}, by: {from: tick, rekey: {}}, last: " + windowed), out}},
		{name: "keys as they are in the file: a partition is in order", text: []string{timed, bolts("last: {from: in, keep: {keyed: true, stores: ['window:w']}}"), database}},
		{name: "a bolt that does not go by time", text: []string{timed, bolts(rekeyed + "last: {from: by, keep: {keyed: true, stores: [sum]}}"), database}},
		{name: "a history goes by time", text: []string{timed, bolts(rekeyed + "last: {from: by, keep: {keyed: true, stores: ['versioned:h']}}"), database}, order: true},
		{name: "far behind", text: []string{timed, bolts(rekeyed + "a: " + windowed + ", b: {from: a, rekey: {}}, last: {from: b, keep: {keyed: true, stores: [sum]}}"), out}, order: true, forgets: true},
		{name: "a feed of one partition keeps the order", text: []string{timed, bolts(rekeyed + "last: " + windowed), database, topic("t.in.feed", "partitions: 1")}},
		{name: "who declares a feed has decided", text: []string{timed, bolts(rekeyed + "last: " + windowed), database, topic("t.in.feed", "partitions: 4")}},
		{name: "so has who declares the results", text: []string{timed, bolts("last: {from: in, pass: }"), out, topic("results", "retention: 7d")}},
		{name: "no bolt with state", text: []string{timed, bolts("last: {from: in, pass: }"), out}, forgets: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, plans, problems := build(t, graph("t", strings.Join(c.text, "")))
			var want []string
			if c.order {
				want = append(want, orderLost)
			}
			if c.forgets {
				want = append(want, sinkForgets)
			}
			if got := brief(problems); strings.Join(got, "; ") != strings.Join(want, "; ") || len(plans) != 1 {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Line 5 has the spouts, 6 the bolts.
func TestSpoutsThatAreNotReadInStep(t *testing.T) {
	const out = "  sinks: {out: {from: last, store: }}\n"
	window := "{from: [a, b], keep: {keyed: true, stores: ['window:w']}}"
	for name, c := range map[string]struct{ spouts, last, want string }{
		"two files":                    {"a: {read: {time: at}}, b: {read: {time: at}}", window, `6:11 warning order-lost`},
		"a file and a topic":           {"a: {read: {time: at}}, b: {topic: {name: b}}", window, ""},
		"only one says when it was":    {"a: {read: {time: at}}, b: {read: {}}", window, ""},
		"a bolt that goes not by time": {"a: {read: {time: at}}, b: {read: {time: at}}", "{from: [a, b], keep: {keyed: true, stores: [sum]}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, problems := build(t, graph("t", "  spouts: {"+c.spouts+"}\n  bolts: {last: "+c.last+"}\n"+out))
			if got := strings.Join(brief(problems), "; "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTopicsThatTablesAreMadeOfForgetNothing(t *testing.T) {
	_, _, problems := build(t, graph("t", "  spouts: {in: {read: {time: at}}, again: {topic: {name: users}}}\n"+
		"  bolts: {b: {from: in, pass: }, table: {from: again, table: {}}}\n  sinks: {out: {from: b, topic: {name: users}}, rest: {from: table, store: }}\n"))
	if got := brief(problems); !slices.Equal(got, []string{"7:40 warning own-output"}) {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsSaidOfRecordsOfThePast(t *testing.T) {
	text := graph("t", "  spouts: {in: {read: {time: at}}}\n  bolts: {by: {from: in, rekey: {}}, z: {from: by, keep: {keyed: true, stores: ['window:w']}}, y: {from: by, keep: {keyed: true, stores: ['window:v']}}}\n"+
		"  sinks: {out: {from: [y, z], topic: {name: results}}}\n")
	expectation{text, []string{"5:12 warning order-lost", "7:45 warning sink-forgets"},
		`plan spout "in": its records take 8 partitions, which keep no common order of time, and bolt "y" goes by time: many may come late`,
		`declare topic "t.in.feed" with partitions: 1 to keep the order`}.check(t)
	orderly := "---\n" + head + "kind: Topic\nmetadata: {name: t.in.feed}\nspec: {partitions: 1}\n"
	expectation{text + orderly, []string{"7:45 warning sink-forgets"},
		`plan sink "out": topic "results" would be made to keep records for 7d by their own time, and spout "in" may read older ones`,
		"retention: 0 is for ever"}.check(t)
}
