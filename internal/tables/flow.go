package tables

import (
	"maps"
	"slices"

	"ravenswood.dev/internal/topology"
)

// flow is the way of records through the stages of a topology to one table.
type flow struct {
	plan    *topology.Plan
	own     int                     // the table's stage, or Global
	reader  map[string]int          // which stage reads a topic, on the way to the table
	writes  map[int]map[string]bool // topics that a stage writes and reader knows
	cyclic  bool                    // what the table's stage writes comes back to it
	hopsMax int
}

// flowTo finds the ways to a table.
func flowTo(t *target) *flow {
	f := &flow{plan: t.plan, own: t.table.Stage, reader: map[string]int{}, writes: map[int]map[string]bool{}}
	for _, in := range t.plan.Inputs {
		if in.Name != "" { // not that of replayed records
			f.reader[in.Topic] = in.Stage
		}
	}
	if t.global() {
		f.reader[t.changelog()] = Global
	}
	for _, in := range t.plan.Inputs {
		f.follow(in.Stage, in.Next)
	}
	for _, b := range t.plan.Bolts {
		for _, next := range b.Next {
			f.follow(b.Stage, next)
		}
	}
	f.prune()
	f.hopsMax = len(t.plan.Stages) + 1
	return f
}

func (f *flow) follow(stage int, next []topology.Target) {
	for _, to := range next {
		if !to.Sink {
			continue
		}
		topic := f.plan.Sinks[to.Index].Topic
		if _, read := f.reader[topic]; read {
			if f.writes[stage] == nil {
				f.writes[stage] = map[string]bool{}
			}
			f.writes[stage][topic] = true
		}
	}
}

// prune forgets the topics from which no way leads to the table.
func (f *flow) prune() {
	leads := map[int]bool{f.own: true}
	for grown := true; grown; {
		grown = false
		for stage, topics := range f.writes {
			for topic := range topics {
				if leads[f.reader[topic]] && !leads[stage] {
					leads[stage], grown = true, true
				}
			}
		}
	}
	maps.DeleteFunc(f.reader, func(_ string, stage int) bool { return !leads[stage] })
	for stage, topics := range f.writes {
		maps.DeleteFunc(topics, func(topic string, _ bool) bool { _, on := f.reader[topic]; return !on })
		f.cyclic = f.cyclic || stage == f.own && len(topics) > 0
	}
}

// leads says whether records of a topic come to the table.
func (f *flow) leads(topic string) bool {
	_, on := f.reader[topic]
	return on
}

// reads is the stage that reads a topic on the way.
func (f *flow) reads(topic string) int { return f.reader[topic] }

// topicsOf are the topics on the way that some stages write, sorted.
func (f *flow) topicsOf(stages map[int]bool) []string {
	var all []string
	for stage := range stages {
		all = slices.AppendSeq(all, maps.Keys(f.writes[stage]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
