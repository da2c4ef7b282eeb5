package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ravenswood.dev/api"
)

// fixed is a number of partitions that cannot be chosen, and what fixes it.
type fixed struct {
	what       string
	partitions int
}

// stageTopics adds the topics of stages: those between them, changelogs, and those dead letters come back through. All
// inputs and changelogs of a stateful stage have equally many partitions.
func (c *checker) stageTopics(here at, p *Plan, g *graph, needed map[string]Topic) {
	hops := map[string]*hop{}
	for _, h := range g.hops {
		hops[h.name] = h
	}
	for n := range p.Stages {
		st := &p.Stages[n]
		tasks := 0
		if st.Stateful {
			tasks = c.tasks(here, p, st, hops, needed)
			st.Partitions = tasks
		}
		for _, i := range st.Inputs {
			in := p.Inputs[i]
			partitions := tasks
			if h := hops[in.Name]; h != nil && tasks == 0 {
				partitions = h.wanted(p, needed)
			}
			switch t, known := needed[in.Topic]; {
			case in.Repartition:
				needed[in.Topic] = c.internal(here, in.Topic, api.TopicSpec{Partitions: partitions, Cleanup: "delete"})
			case st.Stateful && in.Name == "":
				needed[in.Topic] = c.internal(here, in.Topic, api.TopicSpec{Partitions: partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"})
			case known && st.Stateful && !t.Declared:
				t.Spec.Partitions = partitions
				needed[in.Topic] = t
			}
		}
		for _, s := range st.Stores {
			if s.Changelog != "" && !s.Source {
				needed[s.Changelog] = c.internal(here, s.Changelog, changelogSpec(s, tasks))
			}
		}
	}
}

// tasks is the number of partitions that the topics of a stateful stage have: the one number that is fixed among them,
// else as many as the stages have that write its input, or what topics are made with.
func (c *checker) tasks(here at, p *Plan, st *Stage, hops map[string]*hop, needed map[string]Topic) int {
	known := c.fixed(p, st, hops, needed)
	tasks, external, written := 0, false, 0
	for _, f := range known {
		tasks = max(tasks, f.partitions)
	}
	if slices.ContainsFunc(known, func(f fixed) bool { return f.partitions != tasks }) {
		c.notAlike(here, p, st, known)
	}
	if tasks > 0 {
		return tasks
	}
	for _, i := range st.Inputs {
		in := p.Inputs[i]
		if h := hops[in.Name]; h != nil {
			written = max(written, h.wanted(p, needed))
		} else if in.Name != "" {
			external = true
		}
	}
	if external || written == 0 {
		return unknownPartitions
	}
	return written
}

// fixed lists the numbers that the files say: of declared topics, and asked for by bolts.
func (c *checker) fixed(p *Plan, st *Stage, hops map[string]*hop, needed map[string]Topic) []fixed {
	var all []fixed
	declared := func(topic string) {
		if t, ok := c.set.Topic(topic); ok {
			all = append(all, fixed{"topic " + strconv.Quote(topic), t.Spec.Partitions})
		}
	}
	for _, i := range st.Inputs {
		declared(p.Inputs[i].Topic)
		if h := hops[p.Inputs[i].Name]; h != nil && h.partitions > 0 {
			all = append(all, fixed{"bolt " + strconv.Quote(h.to[0].bolt.name), h.partitions})
		}
	}
	for _, s := range st.Stores {
		if s.Changelog != "" && !s.Source {
			declared(s.Changelog)
		}
	}
	return all
}

// notAlike reports topics that cannot be worked on together.
func (c *checker) notAlike(here at, p *Plan, st *Stage, known []fixed) {
	var have []string
	for _, f := range known {
		have = append(have, fmt.Sprintf("%s has %d", f.what, f.partitions))
	}
	c.errorf(here.in("spec.bolts.%s", st.Name), CodeCoPartitioning,
		"give them equally many partitions, or put a rekey bolt between a topic and the bolt: "+strings.Join(have, ", "),
		"plan bolt %q: the topics it is worked on with have different numbers of partitions, so the records of a key do not meet", st.Name)
}

// wanted is how many partitions a topic between stages gets if nothing else decides: as asked for, else the most that any
// stage reads that writes it.
func (h *hop) wanted(p *Plan, needed map[string]Topic) int {
	if h.partitions > 0 {
		return h.partitions
	}
	most := 0
	for _, n := range h.stages() {
		for _, i := range p.Stages[n].Inputs {
			most = max(most, needed[p.Inputs[i].Topic].Spec.Partitions)
		}
	}
	if most == 0 {
		return unknownPartitions
	}
	return most
}
