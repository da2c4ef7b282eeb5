package topology_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ravenswood.dev/internal/topology"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file in testdata, which -update rewrites for review as a diff.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -run %s -update rewrites it); got:\n%s", path, t.Name(), got)
	}
}

var enrich = []string{
	graph("enricher", `  spouts:
    made: {generate: }
    messages: {topic: {name: user-messages}}
  bolts:
    parsed: {from: [messages, made], pass: }
    users: {from: parsed, call: {service: users}}
    kinds: {from: users, branch: {to: [good, bad]}}
  sinks:
    enriched: {from: kinds.good, topic: {name: enriched-messages}}
    latest: {from: [kinds.good, kinds.bad], store: }
`),
	withRoute("{service: users, default: v1, rules: [{name: gold, match: [{field: segment, equals: gold}], version: v2}, {match: [{field: id, exists: true}], version: v1}], split: {key: userId, versions: [{version: v2, percent: 12.5}]}, mirror: {version: v2}}"),
	service("local", "{name: v1, exec: [raven, serve, $PORT]}"),
	head + "kind: Topic\nmetadata: {name: user-messages}\nspec: {partitions: 4, retention: 36h, config: {max.message.bytes: 2000000}}\n",
	head + "kind: Topic\nmetadata: {name: audit}\nspec: {cleanup: compact, retention: 0s}\n",
}

func TestPlanForAnEmptyCluster(t *testing.T) {
	set, plans := mustBuild(t, enrich...)
	checkText(t, "empty.txt", topology.Diff(plans, set, topology.Observed{}))
}

func TestPlanForARunningCluster(t *testing.T) {
	set, plans := mustBuild(t, enrich...)
	changes := topology.Diff(plans, set, topology.Observed{
		Topics: map[string]topology.ObservedTopic{
			"user-messages":         {Partitions: 4, Config: map[string]string{"retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": "1000000"}},
			"audit":                 {Partitions: 8, Config: map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"}},
			"enriched-messages":     {Partitions: 3, Config: map[string]string{"retention.ms": "1"}},
			"enricher.made.feed":    {Partitions: 2},
			"enricher.parked":       {Partitions: 8, Config: map[string]string{"cleanup.policy": "delete"}},
			"enricher.dead-letters": {Partitions: 8},
		},
		Groups: map[string]string{"raven.enricher": "Stable", "raven.enricher.made": ""},
	})
	checkText(t, "running.txt", changes)
	if len(changes.Conflicts()) != 0 {
		t.Errorf("conflicts: %+v", changes.Conflicts())
	}
}

func TestAnotherPartitionCountIsAConflict(t *testing.T) {
	set, plans := mustBuild(t, enrich...)
	changes := topology.Diff(plans, set, topology.Observed{Topics: map[string]topology.ObservedTopic{
		"user-messages": {Partitions: 1}, "enricher.parked": {Partitions: 2},
	}})
	checkText(t, "conflict.txt", changes)
	if c := changes.Conflicts(); len(c) != 2 || c[0].Name != "enricher.parked" || c[1].Name != "user-messages" || c[1].Wanted != 4 || c[1].Hint == "" {
		t.Errorf("conflicts: %+v", c)
	}
}

func checkText(t *testing.T, name string, changes topology.Changes) {
	t.Helper()
	var b bytes.Buffer
	if err := changes.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, name, b.Bytes())
	text, err := json.Marshal(changes)
	var back topology.Changes
	if err != nil || json.Unmarshal(text, &back) != nil {
		t.Fatalf("JSON: %v", err)
	}
	for i := range changes.Topics {
		back.Topics[i].Spec = changes.Topics[i].Spec // not printed
	}
	if !reflect.DeepEqual(back, changes) {
		t.Errorf("changes do not survive JSON: %s", text)
	}
}

func TestEmptyListsAreEmptyInJSON(t *testing.T) {
	set, plans := mustBuild(t, head+"kind: Topic\nmetadata: {name: a}\n")
	text, err := json.Marshal(topology.Diff(plans, set, topology.Observed{}))
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s %v", text, err)
	}
}

// TestOwnTopicsGrowWithInputsThatAreNotDeclared: parked records and dead letters are written by the number of the
// partition they were read from, and only a look at the cluster shows how many an undeclared topic has.
func TestOwnTopicsGrowWithInputsThatAreNotDeclared(t *testing.T) {
	set, plans := mustBuild(t, graph("t", "  spouts: {in: {topic: {name: a}}}\n  sinks: {out: {from: in, topic: {name: b}}}\n"),
		graph("watch", "  spouts: {in: {topic: {name: t.dead-letters}}}\n  sinks: {out: {from: in, topic: {name: c}}}\n"))
	changes := topology.Diff(plans, set, topology.Observed{Topics: map[string]topology.ObservedTopic{"a": {Partitions: 30}, "t.replay": {Partitions: 30}}})
	want := map[string]int{"a": 30, "b": 8, "c": 8, "t.dead-letters": 30, "t.parked": 30, "t.replay": 30, "watch.dead-letters": 30, "watch.parked": 30, "watch.replay": 30}
	for _, c := range changes.Topics {
		if c.Partitions != want[c.Name] || c.Action == topology.ActionConflict {
			t.Errorf("%s: %s with %d partitions, want %d", c.Name, c.Action, c.Partitions, want[c.Name])
		}
		if c.Name == "t.dead-letters" && c.Spec.Retention.String() != "720h0m0s" {
			t.Errorf("being read by another topology changed its settings: %+v", c.Spec)
		}
	}
	changes = topology.Diff(plans, set, topology.Observed{Topics: map[string]topology.ObservedTopic{"a": {Partitions: 30}, "t.parked": {Partitions: 8}}})
	if c := changes.Conflicts(); len(c) != 1 || c[0].Name != "t.parked" || !strings.Contains(c[0].Message, "its topology reads a topic with 30") {
		t.Errorf("conflicts: %+v", c)
	}
}

func TestAddressesArePrintedWithoutPasswords(t *testing.T) {
	set, plans := mustBuild(t, service("s", "{name: v1, url: 'http://me:secret@a'}"))
	text, _ := json.Marshal(topology.Diff(plans, set, topology.Observed{}))
	if strings.Contains(string(text), "secret") {
		t.Errorf("%s", text)
	}
}

// A program may say how many partitions a topic has and nothing else: what a table needs of a new topic is up to the plan.
func TestANewTopicOfWhichAPartIsOpenIsMadeAsThePlanNeedsIt(t *testing.T) {
	set, plans := mustBuild(t, graph("t", "  spouts: {in: {topic: {name: a}}}\n  sinks: {out: {from: in, topic: {name: b}}}\n"),
		head+"kind: Topic\nmetadata: {name: a}\nspec: {partitions: 3}\n", head+"kind: Topic\nmetadata: {name: b}\n")
	for i := range set.Topics {
		set.Topics[i].Open.Retention = true
	}
	for i, topic := range plans[0].Topics {
		if topic.Name == "a" { // as it is planned for a table
			plans[0].Topics[i].Open.Retention = true
			plans[0].Topics[i].Spec.Cleanup, plans[0].Topics[i].Spec.Retention = "compact", 0
		}
	}
	for _, c := range topology.Diff(plans, set, topology.Observed{}).Topics {
		if c.Name == "a" && (c.Spec.Cleanup != "compact" || c.Spec.Retention != 0 || c.Partitions != 3) {
			t.Errorf("made as %+v with %d partitions", c.Spec, c.Partitions)
		}
	}
}
