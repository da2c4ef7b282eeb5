package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ravenswood.dev/api"
)

// stageTopics adds the topics of stages: those between them, changelogs, and those dead letters come back through. All
// inputs and changelogs of a stateful stage have equally many partitions.
func (c *checker) stageTopics(here at, p *Plan, g *graph, needed map[string]Topic) {
	for n := range p.Stages {
		st := &p.Stages[n]
		written := p.widths(n, func(topic string) int { return needed[topic].Spec.Partitions })
		if st.Stateful {
			st.Partitions = c.fixedTasks(here, p, g, n)
			if st.Partitions == 0 {
				st.Partitions = p.tasks(n, written)
			}
			for topic := range written {
				written[topic] = st.Partitions
			}
		}
		c.inputTopics(here, p, st, written, needed)
		for _, s := range st.Stores {
			if s.Changelog != "" && !s.Source {
				needed[s.Changelog] = c.internal(here, s.Changelog, changelogSpec(s, st.Partitions))
			}
		}
	}
}

// inputTopics adds what a stage reads. What is not declared gets the number of partitions that the stage needs.
func (c *checker) inputTopics(here at, p *Plan, st *Stage, written map[string]int, needed map[string]Topic) {
	for _, i := range st.Inputs {
		in := p.Inputs[i]
		switch t := needed[in.Topic]; {
		case in.Repartition:
			needed[in.Topic] = c.internal(here, in.Topic, api.TopicSpec{Partitions: written[in.Topic], Cleanup: "delete"})
		case !st.Stateful:
		case in.Topic == st.Replay:
			needed[in.Topic] = c.internal(here, in.Topic, api.TopicSpec{Partitions: st.Partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"})
		case !t.saysPartitions():
			t.Spec.Partitions = st.Partitions
			needed[in.Topic] = t
		}
	}
}

// fixed is a number of partitions that cannot be chosen, and what fixes it.
type fixed struct {
	what       string
	topic      string
	partitions int
}

// fixedTasks is the number of partitions that the files fix for the topics of a stage, 0 if they do not. Two different
// ones are a mistake.
func (c *checker) fixedTasks(here at, p *Plan, g *graph, stage int) int {
	all := c.fixed(p, stage)
	most := 0
	for _, f := range all {
		most = max(most, f.partitions)
	}
	if slices.ContainsFunc(all, func(f fixed) bool { return f.partitions != most }) {
		c.notAlike(here, p, g, stage, all)
	}
	return most
}

// fixed lists the numbers that the files say: of declared topics, and asked for by bolts.
func (c *checker) fixed(p *Plan, stage int) []fixed {
	var all []fixed
	for _, i := range p.Stages[stage].Inputs {
		if in := p.Inputs[i]; in.asked > 0 {
			all = append(all, fixed{"the topic before bolt " + strconv.Quote(p.Bolts[in.Next[0].Index].Name), in.Topic, in.asked})
		}
	}
	for _, m := range p.members(stage) {
		if t, ok := c.set.Topic(m.topic); ok && !t.Open.Partitions {
			all = append(all, fixed{"topic " + strconv.Quote(m.topic), m.topic, t.Spec.Partitions})
		}
	}
	return all
}

// notAlike reports topics that cannot be worked on together, at the bolt where they meet.
func (c *checker) notAlike(here at, p *Plan, g *graph, stage int, all []fixed) {
	var have []string
	numbers := map[string]int{}
	for _, f := range all {
		numbers[f.topic] = f.partitions
		have = append(have, fmt.Sprintf("%s has %d", f.what, f.partitions))
	}
	bolt := p.meeting(stage, func(topic string) int { return numbers[topic] })
	c.errorf(g.byName[bolt].place(here), CodeCoPartitioning,
		"put a rekey bolt between one of them and the bolt, or give them equally many partitions: "+strings.Join(have, ", "),
		"plan bolt %q: what it works on together has different numbers of partitions, so the records of a key do not meet", bolt)
}
